"""A layer on ideal qubits, any two of which may interact."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from qiskit import QuantumCircuit

from ..layers.program import Layer
from ..seam.requests import CompiledLayer


@lru_cache(maxsize=8)
def compile_layer(spec: Layer) -> CompiledLayer:
    """The layer as its definition has it.

    Layers of one definition share what is returned: nothing changes it.
    """
    program = spec.program()
    return CompiledLayer(
        spec=spec,
        circuit=program.circuit,
        observables=program.observables,
        parameters=program.parameters,
        inputs=program.inputs,
        record=circuit_record(program.circuit),
    )


def circuit_record(circuit: QuantumCircuit) -> dict[str, Any]:
    """What a run's record says of a circuit: qubits, gates, depth, and the two-qubit ones."""
    return {
        "qubits": circuit.num_qubits,
        "gates": circuit.size(),
        "depth": circuit.depth(),
        "two_qubit_gates": circuit.num_nonlocal_gates(),
        "two_qubit_depth": circuit.depth(lambda item: item.operation.num_qubits == 2),
    }
