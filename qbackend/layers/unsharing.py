"""A user's circuit in angles: constant gates, and Pauli rotations by an angle of their own each.

Controlled rotations and gates of several parameters are decomposed once, with their parameters
open, by Qiskit's transpiler; compiled row by row they might come out differently from row to row.
A parameter may stand in a global phase, which a control makes visible: phases are dropped only
where no control is left.

Letters: P angles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import (
    Barrier,
    CircuitInstruction,
    ControlFlowOp,
    Delay,
    Gate,
    Measure,
    Operation,
    ParameterExpression,
    ParameterVector,
    Reset,
)
from qiskit.circuit.library import RZGate
from qiskit.exceptions import QiskitError

from ..errors import SpecError
from .elementary import elementary
from .expressions import ExpressionInputs
from .program import PAULI_ROTATIONS
from .tape import record

CONSTANT_GATES = (
    "id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "t", "tdg",
    "cx", "cy", "cz", "swap", "ecr", "ccx",
)  # fmt: skip
"""Kept as they are; every simulator has them, Aer too."""


def check_unitary(circuit: QuantumCircuit) -> None:
    """Raise `SpecError` for what no layer can be; it names the gate and its place.

    Measurements, resets, conditions and loops, and instructions of a simulator's own.
    """
    last: dict[Any, int] = {bit: n for n, item in enumerate(circuit.data) for bit in item.qubits}
    for index, item in enumerate(circuit.data):
        operation = item.operation
        place = _place(circuit, index, item)
        if isinstance(operation, Measure):
            if all(last[bit] == index for bit in item.qubits):
                raise SpecError(
                    f"{place}: a layer's circuit is measured by its observables; leave the "
                    "measurements at its end out, circuit.remove_final_measurements() does so"
                )
            raise SpecError(
                f"{place}: a layer's circuit cannot be measured before its end; "
                "without that measurement (and what depends on it) it can be a layer"
            )
        if isinstance(operation, Reset):
            raise SpecError(f"{place}: a layer's circuit cannot reset a qubit; use one qubit more")
        if isinstance(operation, ControlFlowOp):
            raise SpecError(f"{place}: a layer's circuit has no conditions and no loops")


def unshare(
    circuit: QuantumCircuit, variables: Mapping[str, int], n_features: int
) -> tuple[QuantumCircuit, ParameterVector, ExpressionInputs]:
    """The circuit in angles, the angles, and the map to them from the named variables.

    Variables below `n_features` are features. Angles that move with them come first.

    Raises:
        SpecError: a gate that cannot be decomposed, or an expression that no layer computes.
    """
    try:
        expanded = transpile(
            elementary(circuit),
            basis_gates=[*CONSTANT_GATES, *sorted(PAULI_ROTATIONS)],
            optimization_level=0,
        )
    except QiskitError as error:
        raise SpecError(f"the circuit does not decompose into rotations: {error}") from None
    check_unitary(expanded)
    items = [item for item in expanded.data if not isinstance(item.operation, Barrier | Delay)]
    angles = [_open_angle(item.operation) for item in items]
    tape = record([angle for angle in angles if angle is not None], variables)
    moves = tape.depends_on(range(n_features))[tape.outputs]
    order = sorted(range(len(moves)), key=lambda angle: not moves[angle])
    place = {angle: position for position, angle in enumerate(order)}
    parameters = ParameterVector("angle", len(order))
    turned = QuantumCircuit(circuit.num_qubits, name=circuit.name)
    n_angles = 0
    for item, angle in zip(items, angles, strict=True):
        qubits = [expanded.find_bit(qubit).index for qubit in item.qubits]
        operation = item.operation
        if angle is not None:
            rotation = RZGate if operation.name == "p" else operation.base_class
            operation = rotation(parameters[place[n_angles]])
            n_angles += 1
        turned.append(operation, qubits)
    inputs = ExpressionInputs(
        replace(tape, outputs=tape.outputs[order]), n_features, len(variables) - n_features
    )
    return turned, parameters, inputs


def _open_angle(operation: Operation) -> Any:
    """A rotation's angle as sympy has it; None for a gate without an open parameter."""
    known = isinstance(operation, Gate) and operation.name in {*CONSTANT_GATES, *PAULI_ROTATIONS}
    if not known:
        raise SpecError(f"the gate '{operation.name}' cannot be part of a layer: it is not unitary")
    for value in operation.params:
        if isinstance(value, ParameterExpression) and value.parameters:
            return value.sympify()
    return None


def _place(circuit: QuantumCircuit, index: int, item: CircuitInstruction) -> str:
    qubits = ", ".join(str(circuit.find_bit(qubit).index) for qubit in item.qubits)
    plural = "s" if len(item.qubits) > 1 else ""
    return f"'{item.operation.name}' on qubit{plural} {qubits} (instruction {index})"
