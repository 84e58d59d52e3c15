"""Records as a reader wants them."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.sections import Config
from ..records.lines import EvaluationRecord
from .numbers import counted, percent
from .reading import Run


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
    if ":" in train.loss:
        return f"{train.loss}; losses of validation and test are cross-entropies"
    return f"cross-entropy, label smoothing {train.label_smoothing:g}"
