"""The checks by name, and one go through them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qbackend.errors import OptionError, UnknownNameError, suggest

from .checks import (
    dead,
    dtypes,
    duplicates,
    gradients,
    inputs,
    labels,
    loss,
    neighbours,
    noise,
    optimiser,
    plateau,
    saturation,
    softmax,
)
from .findings import Finding, Outcome, skipped
from .subject import STRANGE_LABELS, Subject

Look = Callable[[Subject], Outcome]

CHECKS: dict[str, Look] = {
    "inputs": inputs.look,
    "dtypes": dtypes.look,
    "labels": labels.look,
    "duplicates": duplicates.look,
    "loss": loss.look,
    "gradients": gradients.look,
    "optimiser": optimiser.look,
    "neighbours": neighbours.look,
    "softmax": softmax.look,
    "saturation": saturation.look,
    "plateau": plateau.look,
    "dead": dead.look,
    "noise": noise.look,
}
"""What is looked for, in the order of a table."""
TAKE_THE_LOSS = ("loss", "gradients", "dead")
"""They say nothing where labels are none that a loss of classes takes."""


@dataclass(frozen=True)
class Checked:
    """One check of one subject.

    Attributes:
        name: of the check.
        outcome: what it came to.
        seconds: that it took.
    """

    name: str
    outcome: Outcome
    seconds: float


def chosen(only: Sequence[str]) -> list[str]:
    """The names of the checks to make, all of them where none is named.

    Raises `UnknownNameError`.
    """
    for name in only:
        if name not in CHECKS:
            raise UnknownNameError(f"unknown check '{name}': {suggest(name, CHECKS)}")
    return [name for name in CHECKS if not only or name in only]


def diagnose(
    subject: Subject, only: Sequence[str] = (), done: Callable[[], None] = lambda: None
) -> list[Checked]:
    """What the checks find; `done` is called after each. Raises `UnknownNameError`."""
    return list(_checked(subject, chosen(only), done))


def _checked(subject: Subject, names: Sequence[str], done: Callable[[], None]) -> Iterator[Checked]:
    broken = _call(subject)
    if broken is not None:
        yield Checked("call", Outcome("it fails", (broken,)), 0.0)
    for name in names:
        start = time.perf_counter()
        if broken is None and name in TAKE_THE_LOSS and subject.has_strange_labels:
            outcome = skipped(STRANGE_LABELS)
        else:
            outcome = _looked(CHECKS[name], subject, is_broken=broken is not None)
        yield Checked(name, outcome, time.perf_counter() - start)
        done()


def _looked(look: Look, subject: Subject, *, is_broken: bool) -> Outcome:
    """What a check finds; of a model that fails, what it finds without calling it."""
    try:
        return look(subject)
    except Exception:  # whatever the model raises, which is told already
        if not is_broken:
            raise
        return skipped("the model cannot be called")


def _call(subject: Subject) -> Finding | None:
    """What is wrong with a model that fails when it is called."""
    try:
        output = subject.evaluated.output
    except OptionError:
        raise
    except Exception as error:  # whatever a model raises
        return Finding(
            "defect",
            "the model cannot be called with these inputs",
            (
                f"{type(error).__name__}: {str(error).strip() or 'no message'}",
                f"inputs of shape {tuple(subject.inputs.shape)}, {subject.inputs.dtype}",
            ),
            "the other checks say what is wrong with inputs and labels; --debug shows where it "
            "fails",
        )
    if output.is_floating_point() and not output.isfinite().all():
        rows = (~output.isfinite()).flatten(1).any(dim=1)
        return Finding(
            "defect",
            "the model's outputs are not finite",
            (f"NaN or infinite for {int(rows.sum())} of {len(rows)} samples",),
            "look for a division by 0, a logarithm of 0, or weights that a training blew up",
        )
    return None
