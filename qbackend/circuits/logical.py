"""From a layer's description to a circuit with its observables.

Here, and only here, wires become qubits: wire q of Q is Qiskit's qubit Q-1-q, so that wire 0 is
the most significant bit of a basis state's index in Qiskit's little-endian order too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from ..layers.ansatze import Cnots, Operation
from ..layers.spec import LayerSpec
from ..seam.requests import CompiledLayer


def qubit_of(wire: int, n_wires: int) -> int:
    """The logical circuit's qubit that carries `wire`."""
    return n_wires - 1 - wire


@lru_cache(maxsize=8)
def compile_layer(spec: LayerSpec) -> CompiledLayer:
    """The layer on ideal qubits, any two of which may interact.

    Layers of one spec share what is returned: nothing changes it.
    """
    angles = ParameterVector("angle", spec.encoding_rule.n_angles(spec.n_wires))
    weights = ParameterVector("weight", spec.n_weights)
    circuit = QuantumCircuit(spec.n_wires, name=f"{spec.encoding}-{spec.ansatz}")
    circuit.compose(encoding_circuit(spec, angles), inplace=True)
    circuit.compose(ansatz_circuit(spec, weights), inplace=True)
    # Qiskit reads a Pauli string from its last qubit to its first: wire 0 first, as we do.
    observables = tuple(SparsePauliOp(name) for name in spec.observables)
    return CompiledLayer(
        spec=spec,
        circuit=circuit,
        observables=observables,
        parameters=(*angles, *weights),
        record=circuit_record(circuit),
    )


def encoding_circuit(spec: LayerSpec, angles: ParameterVector) -> QuantumCircuit:
    """Prepares the encoding's state from |0...0>, with one RY per angle."""
    n_wires = spec.n_wires
    circuit = QuantumCircuit(n_wires, name=spec.encoding)
    if spec.encoding_rule.is_product:
        for wire in range(n_wires):
            circuit.ry(angles[wire], qubit_of(wire, n_wires))
        return circuit
    for wire in range(n_wires):
        _multiplexed_ry(circuit, list(angles)[2**wire - 1 : 2 ** (wire + 1) - 1], wire)
    return circuit


def _multiplexed_ry(circuit: QuantumCircuit, angles: list[Any], target: int) -> None:
    """RY on wire `target`, controlled by all wires before it, in Gray-code order.

    Neighbouring Gray codes differ in one bit, so that one CNOT stands between two RY gates
    (Möttönen et al., quant-ph/0404089, fig. 2).
    """
    n_wires = circuit.num_qubits
    for index, angle in enumerate(angles):
        circuit.ry(angle, qubit_of(target, n_wires))
        if target == 0:
            continue
        step = index + 1
        lowest_set_bit = (step & -step).bit_length() - 1
        control = target - 1 - min(lowest_set_bit, target - 1)
        circuit.cx(qubit_of(control, n_wires), qubit_of(target, n_wires))


def ansatz_circuit(spec: LayerSpec, weights: ParameterVector | list[Any]) -> QuantumCircuit:
    """The trainable circuit; `weights` are parameters or numbers, in the spec's order."""
    circuit = QuantumCircuit(spec.n_wires, name=spec.ansatz)
    for operation in spec.operations:
        append_operation(circuit, operation, weights)
    return circuit


def append_operation(
    circuit: QuantumCircuit, operation: Operation, weights: ParameterVector | list[Any]
) -> None:
    """Append one operation of an ansatz to a circuit over the layer's wires."""
    n_wires = circuit.num_qubits
    if isinstance(operation, Cnots):
        for control, target in operation.pairs:
            circuit.cx(qubit_of(control, n_wires), qubit_of(target, n_wires))
        return
    rotate = {"x": circuit.rx, "y": circuit.ry, "z": circuit.rz}[operation.axis]
    for wire, index in enumerate(operation.weights):
        rotate(weights[index], qubit_of(wire, n_wires))


def circuit_record(circuit: QuantumCircuit) -> dict[str, Any]:
    """What a run's record says of a circuit: qubits, gates, depth, and the two-qubit ones."""
    return {
        "qubits": circuit.num_qubits,
        "gates": circuit.size(),
        "depth": circuit.depth(),
        "two_qubit_gates": circuit.num_nonlocal_gates(),
        "two_qubit_depth": circuit.depth(lambda item: item.operation.num_qubits == 2),
    }
