"""Rotations about products of two Paulis, each as one RZZ with constant gates around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit

_ENTANGLERS = ("cx", "cz")
_TWO_PAULIS = ("rxx", "ryy", "rzz", "rzx")
_LETTERS = {"rx": "x", "ry": "y", "rz": "z", "p": "z"}
_DIAGONAL = ("rz", "p", "z", "s", "sdg", "t", "tdg", "id")
_INTO_Z = {"x": "h", "y": "sx"}
_OUT_OF_Z = {"x": "h", "y": "sxdg"}


@dataclass(frozen=True)
class _Step:
    """A gate, or, with two `letters`, a rotation about their product by `what`."""

    name: str
    qubits: tuple[int, ...]
    what: Any
    letters: str = ""


def with_zz_rotations(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit, up to its global phase, with every such rotation as an RZZ.

    Those are RXX, RYY and RZX, and a rotation of one qubit between two equal CNOTs or CZ.
    """
    steps: list[_Step | None] = []
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        name = item.operation.name
        if name in _TWO_PAULIS:
            steps.append(_Step(name, qubits, item.operation.params[0], name[1:]))
            continue
        step = _Step(name, qubits, item.operation)
        around = _surrounded(steps, step) if name in _ENTANGLERS else None
        if around is None:
            steps.append(step)
            continue
        opening, inner = around
        rotation = steps[inner]
        assert rotation is not None
        (partner,) = set(qubits) - set(rotation.qubits)
        where = (partner, *rotation.qubits)
        # The entangler carries the other qubit's Z to a product with it.
        letters = "z" + _LETTERS[rotation.name]
        steps[opening] = steps[inner] = None
        steps.append(_Step("", where, rotation.what.params[0], letters))
    turned = circuit.copy_empty_like()
    for kept in steps:
        if kept is not None:
            _append(turned, kept)
    return turned


def _surrounded(steps: list[_Step | None], closing: _Step) -> tuple[int, int] | None:
    """Numbers of an equal entangler before, and of the one rotation since then.

    All else since then commutes with both.
    """
    inner: list[int] = []
    for number in reversed(range(len(steps))):
        step = steps[number]
        if step is None or not set(step.qubits) & set(closing.qubits):
            continue
        if len(step.qubits) > 1:
            is_equal = not step.letters and _same(step, closing)
            return (number, inner[0]) if is_equal and len(inner) == 1 else None
        on_control = closing.name == "cz" or step.qubits[0] == closing.qubits[0]
        if step.name in _DIAGONAL and on_control:
            continue
        turns = ("rx", "ry") if closing.name == "cz" else ("rz", "p", "ry")
        if step.name not in turns or (closing.name == "cx" and on_control):
            return None
        inner.append(number)
    return None


def _same(one: _Step, other: _Step) -> bool:
    if one.name != other.name:
        return False
    return one.qubits == other.qubits or (one.name == "cz" and one.qubits == other.qubits[::-1])


def _append(circuit: QuantumCircuit, step: _Step) -> None:
    if not step.letters:
        circuit.append(step.what, step.qubits)
        return
    for changes in (_INTO_Z, None, _OUT_OF_Z):
        if changes is None:
            circuit.rzz(step.what, *step.qubits)
            continue
        for letter, qubit in zip(step.letters, step.qubits, strict=True):
            if letter in changes:
                getattr(circuit, changes[letter])(qubit)
