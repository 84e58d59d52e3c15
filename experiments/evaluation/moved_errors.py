"""Which of a device's reported errors have changed from one calibration to another."""

from __future__ import annotations

from collections.abc import Collection
from statistics import median
from typing import get_args

from qbackend.circuits.reported_costs import TWO_QUBIT_GATES
from qbackend.devices.noise_spec import load_noise
from qbackend.devices.properties import DeviceProperties, is_unitary
from qbackend.errors import OptionError, RunFolderError

from ..records.device_file import load_device
from ..records.drift import ErrorKind, MovedError
from ..records.folder import RunFolder

N_MOVED = 12
"""Errors that are kept of those that have changed."""

Place = tuple[ErrorKind, tuple[int, ...]]
"""Of an error: its kind, and the device's numbers of its qubits, ascending."""


def reported_by(folder: RunFolder) -> DeviceProperties | None:
    """What a run's device reported; of runs of old, of the qubits in use alone.

    Raises `RunFolderError` for a damaged file.
    """
    if folder.device.exists():
        return load_device(folder.device)
    if not folder.noise.exists():
        return None
    try:
        return load_noise(folder.noise).properties
    except OptionError as error:
        raise RunFolderError(str(error)) from None


def errors_of(reported: DeviceProperties) -> dict[Place, float]:
    """Every error that is reported: of one-qubit gates the worst, of a pair's gates the best."""
    numbers = reported.physical_qubits
    found: dict[Place, float] = {}
    for gate in reported.gates:
        if gate.error is None or not is_unitary(gate):
            continue
        qubits = tuple(sorted(numbers[position] for position in gate.qubits))
        if len(qubits) == 1:
            place: Place = ("one-qubit", qubits)
            found[place] = max(gate.error, found.get(place, gate.error))
        elif gate.name in TWO_QUBIT_GATES:
            place = ("two-qubit", qubits)
            found[place] = min(gate.error, found.get(place, gate.error))
    for number, qubit in zip(numbers, reported.qubits, strict=True):
        if qubit.readout_error is not None:
            found["readout", (number,)] = qubit.readout_error
    return found


def moved_errors(
    then: DeviceProperties, now: DeviceProperties, in_use: Collection[Collection[int]]
) -> tuple[MovedError, ...]:
    """Errors on qubits in use, those first whose value has changed most.

    Args:
        then, now: the two calibrations.
        in_use: qubits of each run; a pair counts where one run has both of its qubits.
    """
    before, after = errors_of(then), errors_of(now)
    places = [
        place
        for place in sorted(before.keys() | after.keys())
        if any(set(place[1]) <= set(qubits) for qubits in in_use)
    ]
    found = [
        MovedError(kind=p[0], qubits=p[1], then=before.get(p), now=after.get(p)) for p in places
    ]
    found.sort(key=lambda each: -abs(each.change))
    # What a run of old did not keep has not changed for that.
    return tuple(each for each in found if each.then not in (None, each.now))[:N_MOVED]


def median_errors(then: DeviceProperties, now: DeviceProperties) -> tuple[MovedError, ...]:
    """Of the whole device, over what is calibrated; empty where not all qubits are on record."""
    if set(then.physical_qubits) != set(now.physical_qubits):
        return ()
    before, after = errors_of(then), errors_of(now)
    return tuple(
        MovedError(kind=kind, qubits=(), then=_median(before, kind), now=_median(after, kind))
        for kind in get_args(ErrorKind)
    )


def _median(errors: dict[Place, float], kind: ErrorKind) -> float | None:
    # An error of 1 is reported for what is not calibrated.
    values = [error for place, error in errors.items() if place[0] == kind and error < 1]
    return median(values) if values else None
