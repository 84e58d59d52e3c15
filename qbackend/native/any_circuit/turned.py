"""Any circuit as rotations about Pauli strings, its Clifford gates moved into the observables.

Where a Clifford gate C stands before a rotation, exp(-i t P/2) C = C exp(-i t C†PC/2): carried to
the end, constant gates leave rotations about longer strings and observables that are other strings
(Aaronson and Gottesman, quant-ph/0406196). Those in front of everything make the state that the
rotations begin with.

Letters: M observables, P angles, D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from ...layers.program import LayerProgram
from ...layers.spec import LayerSpec
from ...layers.spec_circuit import append_operation
from .strings import IDENTITY, Frame, PauliString, clifford, letters

ROTATIONS = {
    "rx": "X", "ry": "Y", "rz": "Z", "p": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ", "rzx": "ZX",
}  # fmt: skip
"""What each turns about, on its qubits in order."""
EIGHTHS = {"t": pi / 4, "tdg": -pi / 4}
"""Rotations about Z that are written without their angle."""


@dataclass(frozen=True)
class Turn:
    """exp(-i (angle + offset)/2 P).

    Attributes:
        string: P, Hermitian.
        angle: index of an angle, -1 for none.
        offset: radians.
    """

    string: PauliString
    angle: int
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class TurnedCircuit:
    """What a layer computes.

    Attributes:
        n_qubits: Q.
        start: (D,) the state that the turns begin with.
        turns: in the order of execution, without those that nothing depends on.
        observables: for each of M outputs its strings with real factors.
    """

    n_qubits: int
    start: NDArray[np.complex128]
    turns: tuple[Turn, ...]
    observables: tuple[tuple[tuple[PauliString, float], ...], ...]


def turned_ansatz(spec: LayerSpec) -> TurnedCircuit:
    """What a layer of the catalogue does behind its encoding, whatever state that is.

    Angle i is weight i. Its start is |0...0>, for any other to take its place.
    """
    circuit = QuantumCircuit(spec.n_wires)
    weights = ParameterVector("weight", spec.n_weights)
    for operation in spec.operations:
        append_operation(circuit, operation, weights)
    program = replace(spec.program(), circuit=circuit, parameters=tuple(weights))
    return turned_circuit(program, of_any_state=True)


def turned_circuit(program: LayerProgram, *, of_any_state: bool = False) -> TurnedCircuit:
    """The program in that form; `of_any_state` leaves its start at |0...0>, for any other to take.

    That is for circuits whose constant gates are Clifford ones, T and its inverse.
    """
    circuit = program.circuit
    n_qubits = circuit.num_qubits
    column = {parameter: index for index, parameter in enumerate(program.parameters)}
    start = np.zeros(2**n_qubits, dtype=complex)
    start[0] = 1
    frame, turns = Frame(n_qubits), []
    turned: set[int] = set()
    for gate, qubits in _gates(circuit, tuple(range(n_qubits))):
        angle = gate.params[0] if gate.name in ROTATIONS else EIGHTHS.get(gate.name, 0.0)
        is_open = bool(getattr(angle, "parameters", ()))
        if not (is_open or of_any_state or turned & set(qubits)):
            start = _applied(gate.to_matrix(), qubits, start)
            continue
        turned |= set(qubits)
        images = None if is_open else clifford(gate.to_matrix())
        if images is not None:
            frame.append(images, qubits)
            continue
        string = frame.before(letters(ROTATIONS.get(gate.name, "Z"), qubits))
        if is_open:
            turns.append(Turn(string, column[angle]))
        else:
            turns.append(Turn(string, -1, float(angle)))
    observables = tuple(_strings(observable, frame) for observable in program.observables)
    return TurnedCircuit(n_qubits, start, _effective(turns, observables), observables)


def _gates(circuit: QuantumCircuit, where: Sequence[int]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Gates on one or two qubits; a Toffoli gate by its definition."""
    for item in circuit.data:
        qubits = tuple(where[circuit.find_bit(qubit).index] for qubit in item.qubits)
        if len(qubits) > 2:
            yield from _gates(item.operation.definition, qubits)
        else:
            yield item.operation, qubits


def _applied(
    matrix: NDArray[np.complex128], qubits: tuple[int, ...], state: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """A gate on a state (D,); the first qubit is the gate's least significant."""
    n_qubits = len(state).bit_length() - 1
    axes = [n_qubits - 1 - qubit for qubit in reversed(qubits)]
    front = list(range(len(axes)))
    tensor = np.moveaxis(state.reshape([2] * n_qubits), axes, front)
    product = (matrix @ tensor.reshape(len(matrix), -1)).reshape(tensor.shape)
    return np.moveaxis(product, front, axes).ravel()


def _strings(observable: SparsePauliOp, frame: Frame) -> tuple[tuple[PauliString, float], ...]:
    found: dict[tuple[int, int], float] = {}
    for names, qubits, coefficient in observable.to_sparse_list():
        string = frame.before(letters(names, tuple(qubits)))
        key = string.x, string.z
        found[key] = found.get(key, 0.0) + string.sign * coefficient.real
    return tuple(
        (PauliString((x & z).bit_count() % 4, x, z), value) for (x, z), value in found.items()
    )


def _effective(
    turns: Sequence[Turn], observables: Sequence[Sequence[tuple[PauliString, float]]]
) -> tuple[Turn, ...]:
    """Without those that commute with everything behind them."""
    kept: list[Turn] = []
    behind = list({string for terms in observables for string, _ in terms} - {IDENTITY})
    for turn in reversed(turns):
        if not all(map(turn.string.commutes, reversed(behind))):
            kept.append(turn)
            behind.append(turn.string)
    return tuple(reversed(kept))
