"""What a repeated run found beside the one that it repeats, in words and in a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...records.drift import Answered, DriftRecord, MovedError, OutputDrift, Side
from ..numbers import counted, percent, signed

ERROR_WORDS = {"one-qubit": "one-qubit gate", "two-qubit": "two-qubit gate", "readout": "readout"}
"""Kinds of a device's errors."""

SHOWN_QUBITS = 12
"""Qubits that a line names of those in use."""

SHOWN_MOVED = 3
"""Errors that a line names of those that have changed."""


def drift_facts(found: DriftRecord) -> dict[str, str]:
    """The essentials, a line each."""
    facts = {"repeats": side_words(found.then), "accuracy": accuracy_words(found)}
    if found.answered is not None:
        facts["same class in both"] = answered_words(found.answered, found.n_images)
    if found.together is not None:
        facts["drift of the outputs"] = drift_words(found.together)
        furthest = max(found.outputs, key=lambda each: each.in_errors or each.rmse)
        facts["largest drift"] = f"{furthest.name}: {drift_words(furthest)}{shift_words(furthest)}"
    if found.now.device is not None:
        facts["calibrations"] = calibration_words(found)
        facts["qubits"] = qubit_words(found.then, found.now)
    if found.moved:
        facts["errors that changed most"] = "; ".join(map(moved_words, found.moved[:SHOWN_MOVED]))
    return facts


def drift_summary(found: DriftRecord) -> dict[str, Any]:
    """For `--json`, under one key."""
    line = found.to_dict()
    for part in (line["together"], *line["outputs"]):
        if part is not None:
            part["in_errors"] = OutputDrift.from_dict(part).in_errors
    return {"drift": line}


def side_words(side: Side) -> str:
    """Which run it was, when and where."""
    return f"{side.run} of {side.started[:10]} on {side.backend}"


def accuracy_words(found: DriftRecord) -> str:
    """Both accuracies with their intervals, and their difference with its."""
    words = f"{_accuracy(found.then)} before, {_accuracy(found.now)} now"
    if (answered := found.answered) is not None:
        low, high = (signed(100 * bound) for bound in answered.interval)
        words += f": {signed(100 * answered.difference)} points ({low} to {high})"
    return words


def _accuracy(side: Side) -> str:
    low, high = (100 * bound for bound in side.interval)
    return f"{percent(side.accuracy)} ({low:.1f} to {high:.1f})"


def answered_words(answered: Answered, n_images: int) -> str:
    """How many images get the same class, and what became of the others."""
    others = n_images - answered.same - answered.gained - answered.lost
    words = f"{answered.same:,} of {counted(n_images, 'image')}"
    parts = (
        (answered.gained, "correct only now"),
        (answered.lost, "correct only before"),
        (others, "wrong both times"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    return f"{words}; {told}" if told else words


def drift_words(drift: OutputDrift) -> str:
    """A drift, and how much of it is chance."""
    words = f"{drift.rmse:.4f} (RMSE)"
    if drift.in_errors is None or drift.shot_rmse is None or drift.explained is None:
        return words
    words += f", {drift.in_errors:.2f} times what the shots alone give ({drift.shot_rmse:.4f})"
    if drift.is_chance:
        return f"{words}: no more than chance"
    return f"{words}: they explain {percent(drift.explained, 0)} of its square"


def shift_words(drift: OutputDrift) -> str:
    """The mean difference, behind a comma."""
    error = "" if drift.shift_error is None else f" ± {drift.shift_error:.4f}"
    return f", mean shift {drift.shift:+.4f}{error}".replace("-", "−")


def calibration_words(found: DriftRecord) -> str:
    """Dates of the calibrations, and what they promised."""
    sides = (found.then, found.now)
    dates = [(side.calibrated_at or "no date")[:16].replace("T", " ") for side in sides]
    words = f"{dates[0]} in both"
    if dates[0] != dates[1]:
        words = f"{dates[0]} before, {dates[1]} now"
    one, other = found.then.fidelity, found.now.fidelity
    if one is None or other is None:
        return words
    return f"{words}; expected fidelity {one:.3f} before, {other:.3f} now"


def qubit_words(then: Side, now: Side) -> str:
    """The device's qubits in use, and whether they are the same."""
    one, other = (_numbers(side.qubits) for side in (then, now))
    if then.device != now.device:
        return f"before {one} of {then.device}; now {other} of {now.device}"
    return f"{one} in both" if then.qubits == now.qubits else f"before {one}; now {other}"


def _numbers(qubits: Sequence[int]) -> str:
    """The device's numbers of qubits, the first ones of many."""
    if not qubits:
        return "unknown"
    more = len(qubits) - SHOWN_QUBITS
    shown = ", ".join(map(str, qubits[:SHOWN_QUBITS]))
    return f"{shown} and {more} more" if more > 0 else shown


def moved_words(moved: MovedError) -> str:
    """One error at both calibrations."""
    return f"{place_words(moved)} {error_words(moved.then)} → {error_words(moved.now)}"


def place_words(moved: MovedError) -> str:
    """Of what an error is, and where."""
    if not moved.qubits:
        return f"{ERROR_WORDS[moved.kind]}, median of the device"
    return f"{ERROR_WORDS[moved.kind]} {qubit_numbers(moved.qubits)}"


def qubit_numbers(qubits: Sequence[int]) -> str:
    """A qubit, or a pair."""
    return "–".join(map(str, qubits))


def error_words(value: float | None) -> str:
    """An error, 1 of which is reported for what is not calibrated."""
    if value is None:
        return "unknown"
    return "not calibrated" if value >= 1 else f"{value:.2e}"
