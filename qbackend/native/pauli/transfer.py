"""Noisy gates as Pauli transfer matrices and turns.

The density matrix of Q qubits is the real vector r of its 4^Q Pauli expectation values
r_P = Tr(P rho), qubit 0 the least significant digit of P, digits ordered I, X, Y, Z. A gate with
the channel behind it is a small constant real matrix, its Pauli transfer matrix (Greenbaum, arXiv
1509.02921); RZ by an angle turns the plane of X and Y.

Letters: P circuit parameters, Q qubits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Operation, Parameter, ParameterExpression
from qiskit.circuit.library import CXGate, HGate, SXdgGate, SXGate
from qiskit.quantum_info import PTM, SuperOp

from ...errors import OptionError, suggest
from ...layers.inputs import Array

ChannelAfter = Callable[[Operation, tuple[int, ...]], Any]
"""The channel on these qubits after an operation, as `SuperOp` takes it; None where it is ideal."""

TURNS: dict[str, tuple[Gate | None, Gate | None]] = {
    "rz": (None, None),
    "p": (None, None),
    "rx": (HGate(), HGate()),
    "ry": (SXGate(), SXdgGate()),
    "rzz": (CXGate(), CXGate()),
}
"""Gates by an angle, as the constant gates before and after RZ on their last qubit."""


@dataclass(frozen=True)
class Constant:
    """A transfer matrix on `qubits` in ascending order, the first the least significant digit."""

    qubits: tuple[int, ...]
    matrix: Array

    def on(self, qubits: tuple[int, ...]) -> Array:
        """The matrix on one or two qubits among which are its own."""
        if self.qubits == qubits:
            return self.matrix
        factors = (np.eye(4), self.matrix)
        return np.kron(*(factors if self.qubits[0] == qubits[0] else factors[::-1]))

    def after(self, earlier: Constant) -> Constant:
        """The product; one of the two acts on all the qubits of the other."""
        qubits = max(self.qubits, earlier.qubits, key=len)
        return Constant(qubits, self.on(qubits) @ earlier.on(qubits))


@dataclass(frozen=True)
class Turn:
    """RZ on `qubit` by slopes · parameters + offset, radians; `slopes` is (P,)."""

    qubit: int
    slopes: Array
    offset: float

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubit, as a `Constant` has it."""
        return (self.qubit,)

    def after(self, earlier: Turn) -> Turn:
        """The sum of the two turns."""
        return Turn(self.qubit, self.slopes + earlier.slopes, self.offset + earlier.offset)

    def constant(self) -> Constant:
        """The transfer matrix where all parameters are zero."""
        cosine, sine = np.cos(self.offset), np.sin(self.offset)
        matrix = np.eye(4)
        matrix[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
        return Constant(self.qubits, matrix)


Element = Constant | Turn


def noisy_elements(
    circuit: QuantumCircuit, parameters: Sequence[Parameter], channel_after: ChannelAfter
) -> list[Element]:
    """The circuit gate by gate, each with the channel behind it.

    Raises:
        OptionError: a parameter in a gate that is not among `TURNS`, or not affinely.
    """
    column = {parameter: index for index, parameter in enumerate(parameters)}
    known: dict[tuple[Any, ...], Constant] = {}
    elements: list[Element] = []
    for item in circuit.data:
        operation = item.operation
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        if operation.name == "barrier":
            continue
        channel = channel_after(operation, qubits)
        is_open = any(isinstance(value, ParameterExpression) for value in operation.params)
        if is_open or operation.name == "rz":
            before, after = _around(operation)
            turn = Turn(qubits[-1], *_affine(operation, column))
            steps = (before, turn, after, channel)
            elements += [
                step if isinstance(step, Turn) else _constant(step, qubits)
                for step in steps
                if step is not None
            ]
            continue
        key = (operation.name, operation.label, *operation.params, *qubits)
        if key not in known:
            gate = _constant(operation, qubits)
            known[key] = gate if channel is None else _constant(channel, qubits).after(gate)
        elements.append(known[key])
    return elements


def fuse(elements: Sequence[Element]) -> list[Element]:
    """Multiply out constant neighbours, and add up turns that follow one another."""
    fused: list[Element | None] = []
    last: dict[int, int] = {}
    """Where in `fused` each qubit's last element is."""
    for element in elements:
        places = {last.get(qubit, -1) for qubit in element.qubits}
        place = places.pop() if len(places) == 1 else -1
        previous = fused[place] if place >= 0 else None
        if isinstance(element, Turn):
            if isinstance(previous, Turn):
                fused[place] = element.after(previous)
                continue
            if not element.slopes.any():
                element = element.constant()
        if isinstance(element, Constant):
            if isinstance(previous, Constant) and len(previous.qubits) >= len(element.qubits):
                fused[place] = element.after(previous)
                continue
            for qubit in set(element.qubits) & set(last):
                earlier = fused[last[qubit]]
                if isinstance(earlier, Constant) and earlier.qubits == (qubit,):
                    element = element.after(earlier)
                    fused[last[qubit]] = None
        last |= dict.fromkeys(element.qubits, len(fused))
        fused.append(element)
    return [element for element in fused if element is not None]


def _constant(channel: Any, qubits: tuple[int, ...]) -> Constant:
    matrix = PTM(SuperOp(channel)).data.real
    if list(qubits) != sorted(qubits):
        matrix = matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
    return Constant(tuple(sorted(qubits)), matrix)


def _around(operation: Operation) -> tuple[Gate | None, Gate | None]:
    try:
        return TURNS[operation.name]
    except KeyError:
        raise OptionError(
            f"gate '{operation.name}' by an open angle is not simulated natively: "
            f"{suggest(operation.name, TURNS)}; use the backend 'aer:DEVICE'"
        ) from None


def _affine(operation: Operation, column: Mapping[Parameter, int]) -> tuple[Array, float]:
    """A gate's angle as slopes by the parameters (P,), and an offset."""
    angle = operation.params[0]
    slopes = np.zeros(len(column))
    if not isinstance(angle, ParameterExpression):
        return slopes, float(angle)
    for parameter in angle.parameters:
        slope = angle.gradient(parameter)
        if isinstance(slope, ParameterExpression) and slope.parameters:
            raise OptionError(
                f"the angle '{angle}' of gate '{operation.name}' is not affine in {parameter}; "
                "use the backend 'aer:DEVICE'"
            )
        slopes[column[parameter]] = float(slope)
    return slopes, float(angle.bind(dict.fromkeys(angle.parameters, 0.0)))
