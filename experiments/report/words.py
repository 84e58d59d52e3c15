"""Numbers and records as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..config.sections import Config
from ..records.lines import EvaluationRecord
from .reading import Run

ABSENT = "–"


def percent(share: float, decimals: int = 2) -> str:
    """A share as per cent, with the sign.

    >>> percent(0.98611)
    '98.61 %'
    """
    return f"{100 * share:.{decimals}f} %" if math.isfinite(share) else ABSENT


def number(value: float | None, decimals: int = 4) -> str:
    """A number with fixed decimals and thin groups of thousands, a dash where there is none.

    >>> number(142530, 0)
    '142,530'
    """
    return ABSENT if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(0.0523), duration(21.5), duration(5400)
    ('52.3 ms', '21.50 s', '90.0 min')
    """
    if not math.isfinite(seconds):
        return ABSENT
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def signed(value: float) -> str:
    """Two decimals and a sign.

    >>> signed(-0.25)
    '−0.25'
    """
    # Adding zero makes a rounded -0.0 a positive one.
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def counted(count: int, name: str) -> str:
    """A number and its noun."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def titled(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Facts as a page has them: their names begin with a capital letter."""
    return [(name[:1].upper() + name[1:], fact) for name, fact in facts.items()]


def interval_words(interval: tuple[float, float]) -> str:
    """A confidence interval of a share."""
    low, high = (100 * bound for bound in interval)
    return f"95 % interval {low:.2f} to {high:.2f} %"


def described_backend(record: EvaluationRecord) -> str:
    """A backend and how its values come about."""
    words = counted(record.shots, "shot") if record.shots else "exact"
    return f"{record.backend} ({words})"


def described_status(run: Run) -> str:
    """How far a run has come."""
    return "not finished yet" if run.state.status == "running" else run.state.status


def augmentation_words(config: Config) -> str:
    """The recipe's augmentation."""
    found = config.data.augmentation
    parts = {
        f"rotation up to {found.rotation:g}°": found.rotation,
        f"shift up to {percent(found.shift, 0)} of the side": found.shift,
        f"random crop after {found.crop_padding} pixels of padding": found.crop_padding,
        "mirrored left and right": found.flip,
    }
    return ", ".join(words for words, used in parts.items() if used) or "none"


def optimiser_words(config: Config) -> str:
    """Optimiser, schedule and clipping."""
    train = config.train
    words = f"{train.optimiser}, learning rate {train.lr:g}, weight decay {train.weight_decay:g}, "
    words += f"schedule {train.schedule}"
    if train.schedule == "onecycle":
        words += f" with {percent(train.warm_up, 0)} warm-up"
    return words + (f", gradient norm clipped at {train.clip:g}" if train.clip else "")


def loss_words(config: Config) -> str:
    """What the training made small."""
    train = config.train
    if train.loss == "margin":
        return "multi-class hinge with a margin of 1; losses reported are cross-entropies"
    return f"cross-entropy, label smoothing {train.label_smoothing:g}"
