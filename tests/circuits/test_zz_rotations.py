"""Rotations about two Paulis are found, and are one RZZ each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from qbackend.circuits.zz_rotations import with_zz_rotations

ROUNDING = 1e-12
ANGLE = Parameter("angle")
Gates = Callable[[QuantumCircuit], object]


def check(circuit: QuantumCircuit, values: dict[Parameter, float]) -> QuantumCircuit:
    turned = with_zz_rotations(circuit)
    bound, expected = turned.assign_parameters(values), circuit.assign_parameters(values)
    assert Operator(bound).equiv(Operator(expected), atol=ROUNDING)
    return turned


@pytest.mark.parametrize(
    "gates",
    [
        lambda c: c.rxx(ANGLE, 0, 1),
        lambda c: c.ryy(ANGLE, 0, 1),
        lambda c: c.rzx(ANGLE, 1, 0),
        lambda c: c.rzz(ANGLE, 0, 1),
        lambda c: (c.cx(0, 1), c.rz(ANGLE, 1), c.cx(0, 1)),
        lambda c: (c.cx(0, 1), c.p(ANGLE, 1), c.cx(0, 1)),
        lambda c: (c.cx(1, 0), c.ry(ANGLE, 0), c.cx(1, 0)),
        lambda c: (c.cz(1, 0), c.rx(ANGLE, 0), c.cz(0, 1)),
        lambda c: (c.cz(0, 1), c.ry(ANGLE, 1), c.cz(0, 1)),
        lambda c: (c.cx(0, 1), c.rz(0.3, 0), c.rz(ANGLE, 1), c.s(0), c.h(2), c.cx(0, 1)),
    ],
)
def test_one_rzz(gates: Gates) -> None:
    circuit = QuantumCircuit(3)
    gates(circuit)
    turned = check(circuit, {ANGLE: 0.7})
    assert (turned.num_nonlocal_gates(), turned.count_ops()["rzz"]) == (1, 1)


@pytest.mark.parametrize(
    "gates",
    [
        lambda c: (c.cx(0, 1), c.rz(ANGLE, 1), c.cx(1, 0)),
        lambda c: (c.cx(0, 1), c.rx(ANGLE, 0), c.cx(0, 1)),
        lambda c: (c.cx(0, 1), c.rz(ANGLE, 1), c.h(1), c.cx(0, 1)),
        lambda c: (c.cz(0, 1), c.ry(ANGLE, 0), c.ry(0.2, 1), c.cz(0, 1)),
        lambda c: (c.cx(0, 1), c.rz(ANGLE, 1), c.cx(1, 2), c.cx(0, 1)),
        lambda c: (c.cx(0, 1), c.rz(ANGLE, 1), c.ry(0.2, 1), c.cx(0, 1)),
    ],
)
def test_what_is_no_such_rotation_stays(gates: Gates) -> None:
    circuit = QuantumCircuit(3)
    gates(circuit)
    assert "rzz" not in check(circuit, {ANGLE: 0.7}).count_ops()


@pytest.mark.parametrize("seed", range(60))
def test_the_circuit_stays_what_it_was(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit, values = QuantumCircuit(3), dict[Parameter, float]()
    for number in range(rng.integers(4, 24)):
        one, other = (int(qubit) for qubit in rng.permutation(3)[:2])
        name = rng.choice(
            ["cx", "cz", "cx", "cz", "rzz", "rxx", "ryy", "rzx", "rx", "ry", "rz", "h"]
        )
        if name in ("cx", "cz"):
            getattr(circuit, name)(one, other)
        elif name == "h":
            circuit.h(one)
        else:
            angle = Parameter(f"angle{number}")
            values[angle] = rng.uniform(-7, 7)
            getattr(circuit, name)(angle, *((one, other) if len(name) == 3 else (one,)))
    check(circuit, values)
