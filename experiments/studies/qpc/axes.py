"""What the ablation of quantum pointwise convolutions varies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from qbackend.errors import OptionError

from ..axes import Axis

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
class QpcSetting:
    """How one model is built and trained; `depth` is None for an arm `WITHOUT_DEPTH`."""

    arm: str
    depth: int | None
    loss: str
    optimiser: str


def _arms() -> Collection[str]:
    from models import POINTWISE_ARMS

    return POINTWISE_ARMS


def _depth(text: str) -> int:
    try:
        depth = int(text)
    except ValueError:
        raise OptionError(f"'{text}' is not a depth; write a number such as 2") from None
    if depth < 1:
        raise OptionError(f"depth must be at least 1, got {depth}")
    return depth


AXES = (
    Axis(
        "arm",
        "What the 1x1 convolutions are exchanged for.  [default: all arms]",
        centre="quantum",
        known=_arms,
    ),
    Axis(
        "depth",
        "Layers of a circuit.  [default: 1,2,4,8]",
        centre=2,
        values=(1, 2, 4, 8),
        read=_depth,
        show=lambda depth: "" if depth is None else str(depth),
    ),
    Axis(
        "loss",
        "cross_entropy, label_smoothing, margin.  [default: all]",
        centre="cross_entropy",
        known=lambda: tuple(LOSSES),
    ),
    Axis(
        "optimiser", "adam, adamw, sgd.  [default: all]", centre="adamw", known=lambda: OPTIMISERS
    ),
)
