"""Layers of the user's own that several test files share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qbackend import CircuitLayer, get_backend
from qbackend.seam.requests import Request

MIXED = (
    SparsePauliOp.from_list(
        [("XXI", 0.7), ("YIY", -0.4), ("ZZI", 1.1), ("III", 0.5), ("IIZ", 0.3), ("IXI", -0.6)]
    ),
    SparsePauliOp(["III", "IIZ", "IZI", "IZZ"], [0.25] * 4),
    SparsePauliOp("III", [-2.0]),
    SparsePauliOp("XII", [0.0]),
    SparsePauliOp.from_list([("IYI", -2.0), ("III", -1.0)]),
)
"""Sums over three bases and in one, a constant, nothing, and one string scaled and shifted."""
BASES = 3
"""That `MIXED` is read in."""


def own_layer(observables: Sequence[SparsePauliOp] = MIXED) -> CircuitLayer:
    """Three wires, features and weights mixed, a controlled rotation among the gates."""
    x, w, circuit = ParameterVector("x", 2), ParameterVector("w", 2), QuantumCircuit(3)
    circuit.ry(x[0], 0)
    circuit.rx(x[1], 1)
    circuit.h(2)
    circuit.crx(w[0], 0, 1)
    circuit.cx(1, 2)
    circuit.ry(w[1] * x[0], 2)
    return CircuitLayer(circuit, features=[x], weights=[w], observables=observables)


FEATURES = np.array([[0.3, -0.8], [1.2, 0.4], [-0.5, 2.0]])
WEIGHTS = np.array([0.7, -1.3])


def exact(layer: CircuitLayer, rows: NDArray[np.float64] = FEATURES) -> NDArray[np.float64]:
    """Values (N, M) without noise."""
    backend = get_backend("aer")
    compiled = backend.compile(layer)
    return backend.evaluate(Request(compiled, compiled.rows(rows, WEIGHTS))).values


def bell(*observables: SparsePauliOp) -> CircuitLayer:
    """Two qubits that always agree, without parameters."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    return CircuitLayer(circuit, observables=observables)
