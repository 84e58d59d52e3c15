"""Two runs beside each other: what of a difference is chance, and which errors have moved."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.evaluation.moved_errors import N_MOVED, errors_of, median_errors, moved_errors
from experiments.records.drift import OutputDrift
from experiments.report.drift.facts import drift_words, shift_words
from qbackend.devices.properties import DeviceProperties, ReportedGate, ReportedQubit


def device(
    readout: tuple[float | None, ...], gates: tuple[ReportedGate, ...], first: int = 10
) -> DeviceProperties:
    """Qubits that are numbered from `first` on."""
    return DeviceProperties(
        device="ibm_x",
        source="live",
        calibrated_at=None,
        dt=None,
        operations=("sx", "x", "cz", "reset", "measure"),
        physical_qubits=tuple(range(first, first + len(readout))),
        qubits=tuple(ReportedQubit(None, None, error, error) for error in readout),
        gates=gates,
    )


def gate(name: str, error: float | None, *qubits: int) -> ReportedGate:
    return ReportedGate(name, qubits, error, 1e-8)


THEN = device(
    (0.01, 0.02, 0.03, None),
    (
        gate("sx", 1e-4, 0), gate("x", 3e-4, 0), gate("sx", 2e-4, 1), gate("reset", 0.5, 1),
        gate("cz", 4e-3, 1, 0), gate("cz", 5e-3, 0, 1), gate("cz", 6e-3, 1, 2),
    ),
)  # fmt: skip
NOW = device(
    (0.01, 0.05, 0.0305, None),
    (
        gate("sx", 1e-4, 0), gate("x", 3e-4, 0), gate("sx", 9e-4, 1), gate("reset", 0.1, 1),
        gate("cz", 8e-3, 1, 0), gate("cz", 5e-3, 0, 1), gate("cz", 1.0, 1, 2),
    ),
)  # fmt: skip


def test_errors_are_of_the_devices_own_qubits() -> None:
    assert errors_of(THEN) == {
        ("one-qubit", (10,)): 3e-4,
        ("one-qubit", (11,)): 2e-4,
        ("two-qubit", (10, 11)): 4e-3,
        ("two-qubit", (11, 12)): 6e-3,
        ("readout", (10,)): 0.01,
        ("readout", (11,)): 0.02,
        ("readout", (12,)): 0.03,
    }


def test_what_changed_most_comes_first_and_the_rest_is_left_out() -> None:
    found = moved_errors(THEN, NOW, [(10, 11), (11, 12)])
    assert [(each.kind, each.qubits) for each in found] == [
        ("two-qubit", (11, 12)),
        ("readout", (11,)),
        ("two-qubit", (10, 11)),
        ("one-qubit", (11,)),
        ("readout", (12,)),
    ]
    assert (found[0].then, found[0].now) == (6e-3, 1.0)
    # No run had both of a pair's qubits: its gate was nobody's.
    alone = moved_errors(THEN, NOW, [(10,), (11,)])
    assert {each.kind for each in alone} == {"readout", "one-qubit"}


def test_many_changes_are_cut_to_the_largest() -> None:
    n_qubits = 2 * N_MOVED
    then = device((0.01,) * n_qubits, ())
    now = device(tuple(0.01 + 0.001 * k for k in range(n_qubits)), ())
    found = moved_errors(then, now, [then.physical_qubits])
    assert len(found) == N_MOVED
    assert found[0].qubits == (10 + n_qubits - 1,)


def test_medians_leave_out_what_is_not_calibrated() -> None:
    medians = {each.kind: (each.then, each.now) for each in median_errors(THEN, NOW)}
    assert medians == {
        "one-qubit": (pytest.approx(2.5e-4), pytest.approx(6e-4)),
        "two-qubit": (pytest.approx(5e-3), pytest.approx(5e-3)),
        "readout": (0.02, pytest.approx(0.0305)),
    }
    assert median_errors(THEN, device((0.01,), ())) == ()


def drift(rmse: float, shots: float | None, n_rows: int = 100) -> OutputDrift:
    return OutputDrift(name="output 0", rmse=rmse, shot_rmse=shots, shift=0.01, n_rows=n_rows)


def test_a_drift_is_told_in_units_of_the_shots() -> None:
    found = drift(0.05, 0.03)
    assert found.in_errors == pytest.approx(5 / 3)
    assert found.explained == pytest.approx(9 / 25)
    assert found.shift_error == pytest.approx(0.003)
    assert not found.is_chance
    assert drift_words(found) == (
        "0.0500 (RMSE), 1.67 times what the shots alone give (0.0300): they explain 36 % of its "
        "square"
    )
    assert shift_words(found) == ", mean shift +0.0100 ± 0.0030"


def test_what_shots_alone_give_is_called_chance() -> None:
    """Gaussian differences of known width: 19 of 20 are within two standard errors or below."""
    rng = np.random.default_rng(1)
    n_trials, n_rows = 400, 100
    rmse = np.sqrt((rng.normal(0, 0.03, (n_trials, n_rows)) ** 2).mean(axis=1))
    chance = np.mean([drift(value, 0.03, n_rows).is_chance for value in rmse])
    # The upper 2.3 % of a normal distribution, five standard errors of 400 draws around it.
    assert abs(1 - chance - 0.0228) < 5 * math.sqrt(0.0228 * 0.9772 / n_trials) + 0.01
    assert not drift(0.06, 0.03).is_chance


def test_without_shots_only_the_distance_is_told() -> None:
    found = drift(0.05, None)
    assert (found.in_errors, found.explained, found.shift_error) == (None, None, None)
    assert not found.is_chance
    assert drift_words(found) == "0.0500 (RMSE)"
    assert drift(0.0, 0.03).explained == 1.0
