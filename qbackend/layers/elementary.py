"""A user's circuit in gates of Qiskit's own: what is named like one and is another is opened.

Transpilers know a gate by its name. A user's gate may be called "p" and turn about Y, and what a
unitary matrix becomes depends on chance where several two-qubit rotations are allowed. So gates
that are not Qiskit's are replaced by what they consist of, and matrices are decomposed into CNOTs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Barrier, Delay, Instruction
from qiskit.circuit.library import Initialize, UnitaryGate, get_standard_gate_name_mapping

from ..errors import SpecError

DEEPEST = 100
"""Of definitions within definitions."""


def elementary(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without barriers, delays and gates that only look like Qiskit's.

    `Initialize` in front of everything is the preparation that it consists of, without its reset.

    Raises:
        SpecError: `Initialize` behind another gate on one of its qubits, or definitions without
            end.
    """
    opened = QuantumCircuit(circuit.num_qubits, name=circuit.name)
    touched: set[int] = set()
    for index, item in enumerate(circuit.data):
        operation = item.operation
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        if isinstance(operation, Barrier | Delay):
            continue
        if isinstance(operation, Initialize):
            if touched & set(qubits):
                places = ", ".join(map(str, qubits))
                raise SpecError(
                    f"'initialize' on qubits {places} (instruction {index}) begins with a reset, "
                    "and other gates come before it: use StatePreparation, which has none, or put "
                    "it in front"
                )
            _append_definition(opened, operation, qubits, 0, without=("reset",))
        else:
            _append(opened, operation, qubits, 0)
        touched |= set(qubits)
    return opened


def _append(circuit: QuantumCircuit, operation: Any, qubits: list[int], depth: int) -> None:
    if depth > DEEPEST:
        raise SpecError(f"the gate '{operation.name}' is defined by itself")
    if operation.num_clbits:
        raise SpecError(
            f"'{operation.name}' within a gate of the circuit: a layer's circuit cannot be "
            "measured before its end"
        )
    if isinstance(operation, UnitaryGate):
        _append_all(circuit, _decomposed(operation), qubits, depth)
    elif _is_own(operation) or getattr(operation, "definition", None) is None:
        circuit.append(operation, qubits)
    else:
        _append_definition(circuit, operation, qubits, depth)


def _append_definition(
    circuit: QuantumCircuit,
    operation: Instruction,
    qubits: list[int],
    depth: int,
    *,
    without: tuple[str, ...] = (),
) -> None:
    _append_all(circuit, operation.definition, qubits, depth, without=without)


def _append_all(
    circuit: QuantumCircuit,
    part: QuantumCircuit,
    qubits: list[int],
    depth: int,
    *,
    without: tuple[str, ...] = (),
) -> None:
    for item in part.data:
        if item.operation.name not in without and not isinstance(item.operation, Barrier | Delay):
            where = [qubits[part.find_bit(qubit).index] for qubit in item.qubits]
            _append(circuit, item.operation, where, depth + 1)


def _decomposed(gate: UnitaryGate) -> QuantumCircuit:
    matrix = QuantumCircuit(gate.num_qubits)
    matrix.append(gate, range(gate.num_qubits))
    basis = ["rx", "ry", "rz", "cx"]
    return transpile(matrix, basis_gates=basis, optimization_level=0, seed_transpiler=0)


def _is_own(operation: Any) -> bool:
    """Whether a gate is Qiskit's own of that name."""
    known = _classes().get(operation.name)
    return known is not None and getattr(operation, "base_class", type(operation)) is known


@cache
def _classes() -> dict[str, type]:
    known = get_standard_gate_name_mapping()
    return {name: gate.base_class for name, gate in known.items()}
