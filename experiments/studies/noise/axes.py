"""What `qhc ablate noise` varies, and which combinations it computes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import product
from typing import Literal

from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import list_snapshots
from qbackend.errors import OptionError

from ..axes import centre_values, check_known, check_not_empty, typed_values

Training = Literal["ideal", "noise-aware", "calibrated"]
TRAININGS: tuple[Training, ...] = ("ideal", "noise-aware", "calibrated")
"""Trained without noise; trained under all of the device's noise at strength 1; trained without
noise, its outputs corrected by an affine map that is fitted on training images."""
Preparation = Literal["textbook", "compact"]
PREPARATIONS: tuple[Preparation, ...] = ("textbook", "compact")
ALL = "all"
"""The part that stands for what a device's noise model has by default."""
EXACT = "exact"
"""How endless shots are typed."""


@dataclass(frozen=True)
class Setting:
    """One combination; `shots` is None for exact expectations."""

    device: str
    part: str
    strength: float
    shots: int | None
    preparation: Preparation
    training: Training

    @property
    def noise(self) -> NoiseSpec:
        """The strength of every part."""
        if self.part == ALL:
            return NoiseSpec().scaled(self.strength)
        return NoiseSpec.only(**{self.part: self.strength})


@dataclass(frozen=True)
class Axes:
    """The values of each axis, in the order of `Setting`'s attributes.

    Raises:
        UnknownNameError: no such device, part, preparation or training; the message suggests.
        OptionError: an axis without values, a negative strength, fewer than one shot.
    """

    device: tuple[str, ...] = (
        "fake_brisbane",
        "fake_sherbrooke",
        "fake_torino",
        "fake_fez",
        "fake_marrakesh",
        "fake_nighthawk",
    )
    part: tuple[str, ...] = (ALL, "one_qubit", "two_qubit", "relaxation", "readout")
    strength: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    shots: tuple[int | None, ...] = (None, 256, 1024, 4096, 16384)
    preparation: tuple[Preparation, ...] = PREPARATIONS
    training: tuple[Training, ...] = TRAININGS

    def __post_init__(self) -> None:
        check_not_empty(self)
        snapshots = list_snapshots()
        devices = [*snapshots, *(name.replace("fake_", "ibm_", 1) for name in snapshots)]
        check_known("device", self.device, devices)
        check_known("part", self.part, (ALL, *NoiseSpec.parts()))
        check_known("preparation", self.preparation, PREPARATIONS)
        check_known("training", self.training, TRAININGS)
        for strength in self.strength:
            NoiseSpec().scaled(strength)
        for shots in self.shots:
            if shots is not None and shots < 1:
                raise OptionError(f"shots must be at least 1, or '{EXACT}'; got {shots}")

    @classmethod
    def typed(cls, **lists: str | None) -> Axes:
        """From comma-separated lists, None for an axis's own values; raises as the class."""
        given = typed_values(lists)
        if "strength" in given:
            given["strength"] = tuple(_strength(entry) for entry in given["strength"])
        if "shots" in given:
            given["shots"] = tuple(_shots(entry) for entry in given["shots"])
        return cls(**given)

    @property
    def centre(self) -> Setting:
        """What the other settings differ from: all noise of a device as it is, in endless shots,
        where the axes have that; else their first values."""
        wanted = Setting(self.device[0], ALL, 1.0, None, "compact", "ideal")
        return Setting(**centre_values(self, wanted))

    def star(self) -> list[Setting]:
        """Around the centre: every strength of each device and of each part, and the other axes
        one at a time."""
        arms = (("device", "strength"), ("part", "strength"), ("shots",), ("preparation",))
        found = [each for arm in (*arms, ("training",)) for each in self._plane(arm)]
        return list(dict.fromkeys(found))

    def product(self) -> list[Setting]:
        """Every combination."""
        return list(self._plane([axis.name for axis in fields(self)]))

    def _plane(self, axes: Collection[str]) -> Iterator[Setting]:
        for values in product(*(getattr(self, axis) for axis in axes)):
            yield replace(self.centre, **dict(zip(axes, values, strict=True)))


def _strength(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise OptionError(
            f"'{text}' is not a strength; write a number such as 0.5 or 1/2"
        ) from None


def _shots(text: str) -> int | None:
    if text == EXACT:
        return None
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"'{text}' is no number of shots; write one, or '{EXACT}'") from None
