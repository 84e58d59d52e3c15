"""Numbers and records as a reader wants them."""

from __future__ import annotations

import math

from ..config.sections import Config
from ..records.folder import Record
from .reading import Run

ABSENT = "–"


def percent(share: float, decimals: int = 2) -> str:
    """A share as per cent, with the sign.

    >>> percent(0.98611)
    '98.61 %'
    """
    return f"{100 * share:.{decimals}f} %" if math.isfinite(share) else ABSENT


def number(value: float, decimals: int = 4) -> str:
    """A number with fixed decimals and thin groups of thousands, a dash where there is none.

    >>> number(142530, 0)
    '142,530'
    """
    return f"{value:,.{decimals}f}" if math.isfinite(value) else ABSENT


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


def described_backend(record: Record) -> str:
    """A backend and how its values come about."""
    shots = record.get("shots")
    return f"{record['backend']} ({counted(shots, 'shot') if shots else 'exact'})"


def described_status(run: Run) -> str:
    """How far a run has come."""
    status = str(run.run.get("status", "of unknown status"))
    return "not finished yet" if status == "running" else status


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
