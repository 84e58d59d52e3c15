"""What the noise ablation varies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from qbackend.errors import OptionError

from ..axes import Axis

Training = Literal["ideal", "noise-aware", "calibrated"]
TRAININGS: tuple[Training, ...] = ("ideal", "noise-aware", "calibrated")
"""Trained without noise; trained under all of the device's noise at strength 1; trained without
noise, its outputs corrected by an affine map that is fitted on training images."""
OWN: Literal["auto"] = "auto"
"""The preparation of a circuit of one's own: what the circuit has."""
Preparation = Literal["textbook", "compact", "auto"]
PREPARATIONS: tuple[Preparation, ...] = ("textbook", "compact")
ALL = "all"
"""The part that stands for what a device's noise model has by default."""
EXACT = "exact"
"""How endless shots are typed."""


@dataclass(frozen=True)
class NoiseSetting:
    """One combination; `shots` is None for exact expectations."""

    device: str
    part: str
    strength: float
    shots: int | None
    preparation: Preparation
    training: Training


_NONE: Any = "none"
NO_NOISE = NoiseSetting(_NONE, _NONE, 0.0, None, _NONE, "ideal")
"""The models as they are."""


def _devices() -> Collection[str]:
    from qbackend.devices.snapshots import list_snapshots

    snapshots = list_snapshots()
    return [*snapshots, *(name.replace("fake_", "ibm_", 1) for name in snapshots)]


def _parts() -> Collection[str]:
    from qbackend.devices.noise_spec import NoiseSpec

    return (ALL, *NoiseSpec.parts())


def _strength(text: str) -> float:
    from qbackend.devices.noise_spec import NoiseSpec

    try:
        strength = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise OptionError(
            f"'{text}' is not a strength; write a number such as 0.5 or 1/2"
        ) from None
    NoiseSpec().scaled(strength)
    return strength


def _shots(text: str) -> int | None:
    if text == EXACT:
        return None
    try:
        shots = int(text)
    except ValueError:
        raise OptionError(f"'{text}' is no number of shots; write one, or '{EXACT}'") from None
    if shots < 1:
        raise OptionError(f"shots must be at least 1, or '{EXACT}'; got {shots}")
    return shots


AXES = (
    Axis(
        "device",
        "fake_NAME or ibm_NAME.  [default: six devices' snapshots]",
        # None of them is the one to compare with: the first that is chosen is.
        centre=None,
        values=(
            "fake_brisbane",
            "fake_sherbrooke",
            "fake_torino",
            "fake_fez",
            "fake_marrakesh",
            "fake_nighthawk",
        ),
        known=_devices,
    ),
    Axis(
        "part",
        "all, one_qubit, two_qubit, relaxation, readout, idle.  [default: all but idle]",
        centre=ALL,
        values=(ALL, "one_qubit", "two_qubit", "relaxation", "readout"),
        known=_parts,
    ),
    Axis(
        "strength",
        "1 is the device.  [default: 0,1/4,1/2,1,2,4]",
        centre=1.0,
        values=(0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
        read=_strength,
        show=lambda strength: f"{strength:g}",
    ),
    Axis(
        "shots",
        "Numbers, or exact.  [default: exact,256,1024,4096,16384]",
        centre=None,
        values=(None, 256, 1024, 4096, 16384),
        read=_shots,
        show=lambda shots: EXACT if shots is None else f"{shots:,}",
    ),
    Axis(
        "preparation",
        "textbook, compact; neither for a circuit of your own.  [default: both]",
        centre="compact",
        known=lambda: PREPARATIONS,
    ),
    Axis(
        "training",
        "ideal, noise-aware, calibrated.  [default: all]",
        centre="ideal",
        known=lambda: TRAININGS,
    ),
)
