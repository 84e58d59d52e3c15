"""CNOTs rearranged for a line or a ring: few, between neighbours only, and the same layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Clifford, Pauli

from qbackend.circuits.line_plan import (
    LinePlan,
    Turn,
    measured_before,
    neighbours,
    plan_line,
    split_final_cnots,
)
from qbackend.layers.ansatze import Rotations
from qbackend.layers.spec import LayerSpec
from tests.support.cases import ANSATZE, ENCODINGS


def layouts(n_wires: int) -> Iterator[bool]:
    yield False
    if n_wires > 2:
        yield True


def cnots_of(plan: LinePlan) -> list[tuple[int, int]]:
    return [step for step in plan.steps if not isinstance(step, Turn)]


@pytest.mark.parametrize(
    ("ansatz", "n_wires", "closed", "n_cnots"),
    [
        ("basic_entangler", 2, False, 1),
        ("basic_entangler", 3, False, 3),
        ("basic_entangler", 4, False, 4),
        ("basic_entangler", 4, True, 4),
        ("strongly_entangling", 4, False, 6),
        ("strongly_entangling", 4, True, 4),
        ("rotation_only", 6, False, 0),
    ],
)
def test_number_of_cnots(ansatz: str, n_wires: int, closed: bool, n_cnots: int) -> None:
    assert plan_line(LayerSpec(n_wires, ansatz=ansatz), closed=closed).n_cnots == n_cnots


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [1, 2, 3, 4, pytest.param(6, marks=pytest.mark.slow)])
def test_plan_is_well_formed(n_wires: int, ansatz: str, encoding: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding, ansatz=ansatz)
    for closed in layouts(n_wires):
        plan = plan_line(spec, closed=closed)
        pairs = {frozenset(pair) for pair in neighbours(n_wires, closed=closed)}
        assert {frozenset(step) for step in cnots_of(plan)} <= pairs
        weights = [step.weight for step in plan.steps if isinstance(step, Turn)]
        assert sorted(weights) == list(range(spec.n_weights))
        assert sorted(plan.order()) == list(range(2**n_wires))
        if encoding == "angle":
            assert sorted(plan.frame) == [1 << wire for wire in range(n_wires)]


@pytest.mark.parametrize("ansatz", ["basic_entangler", "strongly_entangling"])
def test_moving_cnots_into_observables(ansatz: str) -> None:
    """Against Qiskit's Clifford arithmetic."""
    spec = LayerSpec(4, ansatz=ansatz, observables=("ZIII", "IZZI", "ZZZZ"))
    body, tail = split_final_cnots(spec.operations)
    assert spec.operations[: len(body)] == body
    assert isinstance(body[-1], Rotations)
    circuit = QuantumCircuit(4)
    for control, target in tail:
        circuit.cx(3 - control, 3 - target)
    expected = [
        Pauli(name).evolve(Clifford(circuit), frame="h").to_label() for name in spec.observables
    ]
    names = [format(string, "04b") for string in measured_before(spec, tail)]
    assert [name.replace("0", "I").replace("1", "Z") for name in names] == expected


def test_repeated_strings_need_no_further_cnots() -> None:
    # On two wires a ring is one CNOT, and two of them cancel.
    assert plan_line(LayerSpec(2, n_layers=7), closed=False).n_cnots == 1
