"""Fractional gates: RX by any angle in one pulse, and RZZ by any angle in one two-qubit gate.

RZZ is calibrated for angles from 0 to a quarter turn. Any other folds there: half a turn about ZZ
is a virtual half turn about Z on both qubits, and an X before and behind it on one qubit reverses
it. A compiled layer has RZZ by its own angles, open ones too, with their derivatives; what is
executed has, for every open one, with t in [0, pi/2] and a, b in {0, 1},

    t = |arctan(tan angle)|,  a = [cos angle < 0],  b = [cos angle * sin angle < 0],

RZ(pi a) on both qubits, RX(pi b) on one, RZZ(t), RX(-pi b) on the one: one circuit for all rows.

https://quantum.cloud.ibm.com/docs/guides/fractional-gates

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.transpiler import Target

from ..layers.inputs import Array
from .pulses import in_few_pulses

FRACTIONAL_GATES = ("rx", "rzz")
BESIDE_THEM = ("rz", "sx", "x")
"""What a device with fractional gates has for the rest."""


def has_fractional_gates(target: Target) -> bool:
    """Whether a device has both, beside the gates that they stand in for."""
    return {*FRACTIONAL_GATES, *BESIDE_THEM} <= set(target.operation_names)


def without_fractional_gates(target: Target) -> Target:
    """The same device without them."""
    return _rebuilt(target, without=FRACTIONAL_GATES)


def without_bounds(target: Target) -> Target:
    """The same device with RZZ by any angle: what the transpiler writes is folded afterwards."""
    return _rebuilt(target)


def constants_folded(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same circuit, up to its global phase, with every constant angle of an RZZ folded."""
    short = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name != "rzz" or _is_open(angle := item.operation.params[0]):
            short.append(item)
            continue
        a, b, t = (float(value) for value in _fold(np.array(float(angle))))
        _append_folded(short, item.qubits, math.pi * a, math.pi * b, t)
    return short


def executed(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit in the form that is executed, all its angles open."""
    return executed_rows(circuit, np.empty((0, circuit.num_parameters)))[0]


def executed_rows(circuit: QuantumCircuit, rows: Array) -> tuple[QuantumCircuit, Array]:
    """The circuit with parameters of its own for open angles of RZZ, and the rows for it.

    Args:
        circuit: with P parameters.
        rows: (N, P), in the order of `circuit.parameters`.
    """
    parameters = list(circuit.parameters)
    columns = dict(zip(parameters, rows.T, strict=True))
    folds: dict[ParameterExpression, tuple[Parameter, Parameter, Parameter]] = {}
    sent = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name != "rzz" or not _is_open(angle := item.operation.params[0]):
            sent.append(item)
            continue
        if angle not in folds:
            names = (f"fold{len(folds)}_{part}" for part in "zxt")
            z, x, t = folds[angle] = tuple(map(Parameter, names))
            of_a, of_b, of_t = _fold(_affine(angle, columns, len(rows)))
            columns |= {z: math.pi * of_a, x: math.pi * of_b, t: of_t}
        _append_folded(sent, item.qubits, *folds[angle])
    if not folds:
        return circuit, rows
    sent = in_few_pulses(sent)
    values = [columns[parameter] for parameter in sent.parameters]
    return sent, np.stack(values, axis=1)


def _is_open(angle: Any) -> bool:
    return isinstance(angle, ParameterExpression) and bool(angle.parameters)


def _fold(angles: Array) -> tuple[Array, Array, Array]:
    """(a, b, t) of the module's text."""
    cosine, sine = np.cos(angles), np.sin(angles)
    is_beyond, is_reversed = (part.astype(float) for part in (cosine < 0, cosine * sine < 0))
    return is_beyond, is_reversed, np.abs(np.arctan(np.tan(angles)))


def _affine(angle: ParameterExpression, columns: dict[Parameter, Array], n_rows: int) -> Array:
    """An angle's values (N,) where it is affine, which the angles of a compiled layer are."""
    at_zero = float(angle.bind(dict.fromkeys(angle.parameters, 0.0)))
    moved = (float(angle.gradient(each)) * columns[each] for each in angle.parameters)
    return sum(moved, np.full(n_rows, at_zero))


def _append_folded(circuit: QuantumCircuit, qubits: Any, z: Any, x: Any, t: Any) -> None:
    one, other = qubits
    circuit.rz(z, one)
    circuit.rz(z, other)
    circuit.rx(x, one)
    circuit.rzz(t, one, other)
    circuit.rx(-x, one)


def _rebuilt(target: Target, without: tuple[str, ...] = ()) -> Target:
    """The same target without some gates, and without bounds of angles."""
    rebuilt = Target(
        num_qubits=target.num_qubits,
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=target.qubit_properties,
        concurrent_measurements=target.concurrent_measurements,
    )
    for name in target.operation_names:
        if name not in without:
            places = target[name]
            # What is there everywhere has no places of its own.
            known = None if places is None or None in places else dict(places)
            rebuilt.add_instruction(target.operation_from_name(name), known, name=name)
    return rebuilt
