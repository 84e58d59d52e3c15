"""Gates without parameters that a user's circuit keeps: every simulator knows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import SparsePauliOp, Statevector

from qbackend import CircuitLayer, QuantumLayer
from qbackend.layers.unsharing import CONSTANT_GATES

from ..support.cases import MACHINE


@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize("name", [*CONSTANT_GATES, "iswap", "dcx", "cswap"])
def test_it_is_the_gate_that_it_is(name: str, backend: str) -> None:
    gate, angle = get_standard_gate_name_mapping()[name], Parameter("angle")
    circuit = QuantumCircuit(3)
    circuit.ry(angle, [0, 1, 2])
    circuit.rx(0.4, [0, 1, 2])
    circuit.append(gate, range(gate.num_qubits))
    observables = [SparsePauliOp(letters) for letters in ("IIX", "IYI", "ZIZ", "XZY")]
    layer = CircuitLayer(circuit, features=[angle], observables=observables)
    values = QuantumLayer(layer, backend=backend)(torch.tensor([[0.7]], dtype=torch.float64))
    state = Statevector(circuit.assign_parameters([0.7]))
    expected = [[state.expectation_value(each).real for each in observables]]
    np.testing.assert_allclose(values.detach().numpy(), expected, atol=MACHINE)
