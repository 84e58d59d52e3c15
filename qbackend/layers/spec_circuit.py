"""The catalogue's layers as circuits.

Here, and only here, wires become qubits: wire q of Q is Qiskit's qubit Q-1-q, so that wire 0 is
the most significant bit of a basis state's index in Qiskit's little-endian order too.
"""

from __future__ import annotations

from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from .ansatze import Cnots, Operation
from .encodings import Encoding


def qubit_of(wire: int, n_wires: int) -> int:
    """The logical circuit's qubit that carries `wire`."""
    return n_wires - 1 - wire


def encoding_circuit(encoding: Encoding, n_wires: int, angles: ParameterVector) -> QuantumCircuit:
    """Prepares the encoding's state from |0...0>, with one RY per angle."""
    circuit = QuantumCircuit(n_wires, name=encoding.name)
    if encoding.is_product:
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
