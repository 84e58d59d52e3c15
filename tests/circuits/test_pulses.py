"""Gates on one qubit in few pulses are the same gates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from qbackend.circuits.pulses import count_pulses, in_few_pulses

CONSTANTS = [0.0, 0.3, *(step * math.pi / 2 for step in range(-3, 6))]
ROUNDING = 1e-9
"""Of a product of some twenty gates, far above what float64 leaves of it."""
Gates = Callable[[QuantumCircuit, Parameter], object]


def random_circuit(seed: int) -> tuple[QuantumCircuit, dict[Parameter, float]]:
    """Two qubits, with open angles and with the constant ones that a transpiler writes."""
    rng = np.random.default_rng(seed)
    circuit, values = QuantumCircuit(2), dict[Parameter, float]()
    for number in range(rng.integers(3, 20)):
        qubit = int(rng.integers(2))
        name = rng.choice(["sx", "sxdg", "x", "h", "id", "cz", "rz", "rz", "rx", "p", "ry"])
        if name == "cz":
            circuit.cz(0, 1)
        elif name in ("rz", "rx", "p", "ry") and rng.random() < 0.5:
            angle = Parameter(f"angle{number}")
            values[angle] = rng.uniform(-7, 7)
            getattr(circuit, name)(angle, qubit)
        elif name in ("rz", "rx", "p", "ry"):
            getattr(circuit, name)(float(rng.choice(CONSTANTS)), qubit)
        else:
            getattr(circuit, name)(qubit)
    return circuit, values


@pytest.mark.parametrize("seed", range(60))
def test_the_circuit_stays_what_it_was(seed: int) -> None:
    circuit, values = random_circuit(seed)
    short = in_few_pulses(circuit)
    assert count_pulses(short) <= count_pulses(circuit)
    left = {angle: values[angle] for angle in short.parameters}
    bound, expected = short.assign_parameters(left), circuit.assign_parameters(values)
    assert Operator(bound).equiv(Operator(expected), atol=ROUNDING)


@pytest.mark.parametrize(
    ("gates", "pulses"),
    [
        (lambda c, angle: (c.sx(0), c.rz(angle, 0), c.sx(0)), 1),
        (lambda c, angle: (c.sx(0), c.rz(angle, 0), c.sxdg(0)), 1),
        (lambda c, angle: (c.rx(angle, 0), c.rz(math.pi, 0), c.rx(0.4, 0)), 1),
        (lambda c, angle: (c.rx(angle, 0), c.h(0)), 1),
        (lambda c, angle: (c.h(0), c.rx(angle, 0)), 1),
        (lambda c, angle: (c.h(0), c.rz(angle, 0), c.h(0)), 1),
        (lambda c, angle: (c.rx(0.4, 0), c.rz(0.1, 0), c.rx(0.9, 0), c.rz(angle, 0)), 1),
        (lambda c, angle: (c.h(0), c.h(0), c.rz(angle, 0)), 0),
        (lambda c, angle: (c.rx(angle, 0), c.rz(0.4, 0), c.rx(angle, 0)), 2),
    ],
)
def test_what_one_pulse_does_takes_one(gates: Gates, pulses: int) -> None:
    circuit, angle = QuantumCircuit(1), Parameter("angle")
    gates(circuit, angle)
    short = in_few_pulses(circuit)
    assert count_pulses(short) == pulses
    assert set(short.count_ops()) <= {"rz", "sx", "x", "rx"}
    bound = short.assign_parameters({angle: 0.7}), circuit.assign_parameters({angle: 0.7})
    assert Operator(bound[0]).equiv(Operator(bound[1]), atol=ROUNDING)
