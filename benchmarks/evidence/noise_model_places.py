"""Lines of a device's qubits, from the best by its reported errors to a poor one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np
from noise_model_prediction import on_line
from numpy.typing import NDArray

from qbackend.circuits.reported_costs import ReportedCosts
from qbackend.seam.device import Device

ALL_UP_TO = 10
"""Qubits of which every line is looked at; longer ones are walked at random."""
WALKS = 20_000
POOR = 0.9
"""Share of lines that are better than the poor one."""


@dataclass(frozen=True)
class Line:
    """Neighbouring qubits, and the product of the reported fidelities of the circuit there."""

    qubits: tuple[int, ...]
    fidelity: float


def lines(device: Device, n_qubits: int) -> tuple[Line, Line, Line]:
    """The best line, the median one, and a poor one."""
    costs = ReportedCosts.of(device.name, device.target)
    found = np.array(_lines(costs, n_qubits), dtype=int)
    totals = _totals(device, costs, found)
    usable = np.flatnonzero(np.isfinite(totals))
    order = usable[np.argsort(totals[usable], kind="stable")]
    chosen = [order[round(share * (len(order) - 1))] for share in (0.0, 0.5, POOR)]
    best, median, poor = (
        Line(tuple(map(int, found[index])), math.exp(-totals[index])) for index in chosen
    )
    return best, median, poor


def _lines(costs: ReportedCosts, n_qubits: int) -> list[tuple[int, ...]]:
    if n_qubits <= ALL_UP_TO:
        return list(islice(costs.lines(n_qubits), 10**6))
    neighbours: dict[int, list[int]] = {}
    for one, other in costs.two_qubit:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    random, found = np.random.default_rng(0), []
    starts = sorted(neighbours)
    while len(found) < WALKS:
        line = [starts[random.integers(len(starts))]]
        while len(line) < n_qubits:
            free = [qubit for qubit in neighbours[line[-1]] if qubit not in line]
            if not free:
                break
            line.append(free[random.integers(len(free))])
        else:
            found.append(tuple(line))
    return found


def _totals(device: Device, costs: ReportedCosts, found: NDArray[np.int_]) -> NDArray[np.float64]:
    """-log of the reported fidelity of the circuit on each line."""
    one_qubit, readout = np.array(costs.one_qubit), np.array(costs.readout)
    two_qubit = np.full((len(one_qubit), len(one_qubit)), math.inf)
    for (one, other), cost in costs.two_qubit.items():
        two_qubit[one, other] = two_qubit[other, one] = cost
    # The gates are the same on each, but for the directions of the two-qubit ones.
    circuit = on_line(device, tuple(map(int, found[0])))
    position = {qubit: index for index, qubit in enumerate(found[0])}
    totals = readout[found].sum(axis=1)
    for item in circuit.data:
        where = [position[circuit.find_bit(qubit).index] for qubit in item.qubits]
        if item.operation.name == "barrier" or item.operation.name == "rz":
            continue
        if len(where) == 2:
            totals = totals + two_qubit[found[:, where[0]], found[:, where[1]]]
        else:
            totals = totals + one_qubit[found[:, where[0]]]
    return totals
