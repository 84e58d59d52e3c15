"""What the ablation of quantum pointwise convolutions varies."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from models import POINTWISE_ARMS
from qbackend.errors import OptionError

from ..axes import centre_values, check_known, check_not_empty, typed_values

LOSSES = {
    "cross_entropy": {"loss": "cross_entropy", "label_smoothing": 0.0},
    "label_smoothing": {"loss": "cross_entropy", "label_smoothing": 0.1},
    "margin": {"loss": "margin", "label_smoothing": 0.0},
}
"""The values of [train] that each loss stands for."""
OPTIMISERS = ("adam", "adamw", "sgd")
REFERENCE = "conv"
"""The arm that the others are compared with, under the same loss and the same optimiser."""
WITHOUT_DEPTH = ("conv", "quadratic")
"""Arms that have neither circuits nor as many weights as circuits of some depth."""


@dataclass(frozen=True)
class Setting:
    """How one model is built and trained; `depth` is None for an arm `WITHOUT_DEPTH`."""

    arm: str
    depth: int | None
    loss: str
    optimiser: str

    def values(self) -> dict[str, Any]:
        """The recipe's values, by dotted key."""
        chosen: dict[str, Any] = {"model.arm": self.arm, "train.optimiser": self.optimiser}
        if self.depth is not None:
            chosen["layer.n_layers"] = self.depth
        return chosen | {f"train.{key}": value for key, value in LOSSES[self.loss].items()}

    @property
    def reference(self) -> Setting:
        """What it is compared with."""
        return replace(self, arm=REFERENCE, depth=None)

    def __str__(self) -> str:
        depth = "" if self.depth is None else f"-depth{self.depth}"
        return f"{self.arm}{depth}-{self.loss}-{self.optimiser}"


@dataclass(frozen=True)
class Axes:
    """The values of each axis, in the order of `Setting`'s attributes.

    Raises:
        UnknownNameError: no such arm, loss or optimiser; the message suggests.
        OptionError: an axis without values, a depth below 1.
    """

    arm: tuple[str, ...] = POINTWISE_ARMS
    depth: tuple[int, ...] = (1, 2, 4, 8)
    loss: tuple[str, ...] = tuple(LOSSES)
    optimiser: tuple[str, ...] = OPTIMISERS

    def __post_init__(self) -> None:
        check_not_empty(self)
        check_known("arm", self.arm, POINTWISE_ARMS)
        check_known("loss", self.loss, tuple(LOSSES))
        check_known("optimiser", self.optimiser, OPTIMISERS)
        for depth in self.depth:
            if depth < 1:
                raise OptionError(f"depth must be at least 1, got {depth}")

    @classmethod
    def typed(cls, **lists: str | None) -> Axes:
        """From comma-separated lists, None for an axis's own values; raises as the class."""
        given = typed_values(lists)
        if "depth" in given:
            given["depth"] = tuple(_depth(entry) for entry in given["depth"])
        return cls(**given)

    @property
    def centre(self) -> Setting:
        """What the other settings differ from: circuits of depth 2, cross-entropy, AdamW, where
        the axes have those; else their first values."""
        wanted = Setting("quantum", 2, "cross_entropy", "adamw")
        return Setting(**centre_values(self, wanted))

    def star(self) -> list[Setting]:
        """Around the centre: every depth, every arm, and every loss and every optimiser, these two
        with the reference beside it."""
        compared = tuple(arm for arm in (self.centre.arm, REFERENCE) if arm in self.arm)
        with_reference = replace(self, arm=compared)
        return _distinct(
            [
                *self._plane(("depth",)),
                *self._plane(("arm",)),
                *with_reference._plane(("arm", "loss")),
                *with_reference._plane(("arm", "optimiser")),
            ]
        )

    def product(self) -> list[Setting]:
        """Every combination."""
        return _distinct(self._plane([axis.name for axis in fields(self)]))

    def _plane(self, axes: Collection[str]) -> Iterator[Setting]:
        for values in product(*(getattr(self, axis) for axis in axes)):
            setting = replace(self.centre, **dict(zip(axes, values, strict=True)))
            yield replace(setting, depth=None) if setting.arm in WITHOUT_DEPTH else setting


def _distinct(settings: Collection[Setting] | Iterator[Setting]) -> list[Setting]:
    return list(dict.fromkeys(settings))


def _depth(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"'{text}' is not a depth; write a number such as 2") from None
