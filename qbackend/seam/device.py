"""A device as those see it who compile for it, execute on it or simulate it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from qiskit.transpiler import Target

Source = Literal["snapshot", "live", "file"]
"""Where a calibration comes from: shipped with qiskit-ibm-runtime, the service, a saved run."""


@dataclass(frozen=True)
class RepDelay:
    """Seconds that a device waits between a measurement and the next shot.

    Attributes:
        default: where none is chosen.
        shortest, longest: that may be chosen; None where none may.
    """

    default: float
    shortest: float | None = None
    longest: float | None = None


@dataclass(frozen=True)
class Device:
    """A device at the time of one calibration.

    Attributes:
        name: as it was asked for.
        target: its qubits, gates, errors and durations.
        source: where the calibration comes from.
        calibrated_at: when it was made; None if the device does not say.
        remark: what the source says about the values, if anything.
        rep_delay: between its shots; None if the device does not say.
    """

    name: str
    target: Target
    source: Source
    calibrated_at: datetime | None
    remark: str = ""
    rep_delay: RepDelay | None = None
