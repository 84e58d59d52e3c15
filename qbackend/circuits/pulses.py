"""The gates on a qubit between two others that it shares, in few pulses, where RX takes one.

A rotation about Z is a change of frame and takes no pulse (McKay et al., arXiv 1612.00858). With
quarter turns alone any other rotation by an open angle takes two; with RX it takes one, and
constant gates beside it often none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Operation, ParameterExpression
from qiskit.circuit.library import RXGate, RZGate
from qiskit.synthesis import OneQubitEulerDecomposer

Angle: TypeAlias = float | ParameterExpression
Turn: TypeAlias = tuple[str, Angle]
"""About "x" or "z"."""

ROUNDING = 1e-12
"""Radians by which a constant may miss a multiple of a quarter turn and be one."""
QUARTER = math.pi / 2

_CONSTANT: dict[str, list[Turn]] = {
    "id": [], "x": [("x", math.pi)], "sx": [("x", QUARTER)], "sxdg": [("x", -QUARTER)],
    "h": [("z", QUARTER), ("x", QUARTER), ("z", QUARTER)],
}  # fmt: skip
_OPEN = {"rz": "z", "p": "z", "rx": "x"}
_ZXZ = OneQubitEulerDecomposer("ZXZ")


def in_few_pulses(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit, up to its global phase, with RZ, SX, X and RX as gates on one qubit.

    Gates on one qubit that are none of Qiskit's rotations about X or Z, H, or quarter turns about X
    stay as they are.
    """
    short = circuit.copy_empty_like()
    runs: dict[Any, list[Turn]] = {qubit: [] for qubit in circuit.qubits}

    def finish(qubits: Iterable[Any]) -> None:
        for qubit in qubits:
            _append_turns(short, qubit, runs[qubit])
            runs[qubit] = []

    for item in circuit.data:
        turns = _turns(item.operation)
        if turns is None:
            finish(item.qubits)
            short.append(item)
            continue
        for turn in turns:
            _push(runs[item.qubits[0]], *turn)
    finish(circuit.qubits)
    return short


def count_pulses(circuit: QuantumCircuit) -> int:
    """Gates on one qubit that are no change of frame."""
    return sum(
        item.operation.num_qubits == 1 and item.operation.name not in ("rz", "p", "id")
        for item in circuit.data
    )


def _turns(operation: Operation) -> list[Turn] | None:
    if operation.name in _OPEN:
        return [(_OPEN[operation.name], _number(operation.params[0]))]
    return _CONSTANT.get(operation.name)


def _number(angle: Any) -> Angle:
    is_open = isinstance(angle, ParameterExpression) and angle.parameters
    return angle if is_open else float(angle)


def _push(run: list[Turn], axis: str, angle: Angle) -> None:
    """Append a turn to a run that is in few pulses, and leave it so.

    Each rule takes away one of the turns about X; `x z x` below are turns in the circuit's order.
    """
    if _steps(angle, 4 * QUARTER) is not None:
        return
    if run and run[-1][0] == axis:
        _push(run, axis, run.pop()[1] + angle)
        return
    if axis == "x" and len(run) > 1:
        first, between = run[-2][1], run[-1][1]
        shorter = _shorter(first, between, angle)
        if shorter is not None:
            del run[-2:]
            for turn in shorter:
                _push(run, *turn)
            return
    run.append((axis, angle))


def _shorter(a: Angle, c: Angle, b: Angle) -> list[Turn] | None:
    """x(a) z(c) x(b) with one turn about X or none; None where it takes two."""
    s, t, u = (_odd_quarter(angle) for angle in (a, c, b))
    if _steps(c, 2 * QUARTER) is not None:
        # z(pi) reverses what follows about X.
        return [("x", a - b), ("z", c)]
    if isinstance(a, float) and isinstance(b, float) and isinstance(c, float):
        matrix = np.asarray(RXGate(b)) @ np.asarray(RZGate(c)) @ np.asarray(RXGate(a))
        theta, phi, lam = _ZXZ.angles(matrix)
        return [("z", float(lam)), ("x", float(theta)), ("z", float(phi))]
    if s and t:
        return [("z", s * t * b), ("x", a), ("z", c)]
    if t and u:
        return [("z", c), ("x", b), ("z", t * u * a)]
    if s and u:
        # A turn about Y, and where both quarters have one sign a half turn about X behind it.
        half = math.pi if s == u else 0.0
        return [("z", -QUARTER), ("x", s * c + half), ("z", -QUARTER if s == u else QUARTER)]
    return None


def _steps(angle: Angle, step: float) -> int | None:
    """How many such steps a constant is; None for any other angle."""
    if not isinstance(angle, float):
        return None
    steps = round(angle / step)
    return steps if abs(angle - steps * step) <= ROUNDING else None


def _odd_quarter(angle: Angle) -> int:
    """1 or -1 for a quarter turn, forwards or backwards; 0 for any other angle."""
    steps = _steps(angle, QUARTER)
    return 0 if steps is None or steps % 2 == 0 else 2 - steps % 4


def _append_turns(circuit: QuantumCircuit, qubit: Any, run: list[Turn]) -> None:
    for axis, angle in run:
        if isinstance(angle, float):
            angle = math.remainder(angle, 4 * QUARTER)
        if axis == "z":
            circuit.rz(angle, qubit)
        elif _steps(angle, QUARTER) == 1:
            circuit.sx(qubit)
        elif _steps(angle, QUARTER) in (2, -2):
            circuit.x(qubit)
        else:
            circuit.rx(angle, qubit)
