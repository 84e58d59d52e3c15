"""Answers that depend on which other samples are in the batch, or on chance.

In training BatchNorm takes means over the batch, and dropout draws: that is what they are for.
Beyond these two, and in evaluation, a sample's answer must be its own.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..findings import Finding, Outcome, skipped
from ..subject import Subject
from ..watch import as_it_was

ROWS = 8
"""Of a batch: enough for neighbours to matter."""


def look(subject: Subject) -> Outcome:
    """The same samples among others, and again among the same."""
    if len(subject.inputs) < 2 * ROWS:
        return skipped(f"fewer than {2 * ROWS} samples: no batch has other neighbours")
    model, inputs = _in_double(subject)
    limit = math.sqrt(torch.finfo(inputs.dtype).eps)
    findings, numbers = [], []
    for training in (False, True):
        with as_it_was(model, training=training, seed=subject.seed):
            mixing = [each for each in model.modules() if isinstance(each, _BatchNorm)]
            for each in model.modules():
                if isinstance(each, _BatchNorm | _DropoutNd):
                    each.eval()
            again, among = _differences(model, inputs)
        numbers.append(max(again, among))
        # What draws by chance differs among other neighbours as well.
        if again > limit:
            findings.append(_random(again, limit, training=training))
        elif among > limit:
            findings.append(_mixed(among, limit, training=training))
        if findings:
            break
    mixers = f"; in training {len(mixing)} BatchNorms mix them, as they should" if mixing else ""
    return Outcome(
        f"a sample's answer moves by {max(numbers):.0e} with its neighbours (limit {limit:.0e})"
        + mixers,
        tuple(findings),
    )


def _in_double(subject: Subject) -> tuple[nn.Module, Tensor]:
    """A copy that computes in float64, where rounding is far below all that matters."""
    inputs = subject.inputs[: 2 * ROWS]
    try:
        model = copy.deepcopy(subject.model).double()
        with torch.no_grad(), as_it_was(model, training=False, seed=subject.seed):
            model(inputs.double())
        return model, inputs.double()
    except Exception:  # whatever a model that insists on float32 raises
        return subject.model, inputs


def _differences(model: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """By how much answers move in a second call, and beside other samples, relative to the
    largest."""
    others = torch.cat([inputs[:1], inputs[ROWS : 2 * ROWS - 1]])
    moved = torch.cat([inputs[ROWS + 1 : 2 * ROWS], inputs[:1]])
    with torch.no_grad():
        first, second = model(inputs[:ROWS]), model(inputs[:ROWS])
        beside, behind = model(others)[0], model(moved)[-1]
    largest = first.abs().max().item() or 1.0

    def apart(one: Tensor, other: Tensor) -> float:
        return ((one - other).abs().max() / largest).item()

    return apart(first, second), max(apart(first[0], beside), apart(first[0], behind))


def _mode(*, training: bool) -> str:
    return "training mode, BatchNorm and dropout aside" if training else "evaluation mode"


def _random(moved: float, limit: float, *, training: bool) -> Finding:
    return Finding(
        "warning" if training else "defect",
        f"two equal calls give different answers in {_mode(training=training)}",
        (f"answers move by {moved:.1e} of the largest one; rounding explains {limit:.0e} at most",),
        "dropout or noise that does not heed self.training, or samples drawn in forward: "
        "functional.dropout(x, p, training=self.training)",
    )


def _mixed(moved: float, limit: float, *, training: bool) -> Finding:
    return Finding(
        "warning" if training else "defect",
        f"a sample's answer depends on its batch in {_mode(training=training)}",
        (
            f"among {ROWS - 1} other samples it moves by {moved:.1e} of the largest answer; "
            f"rounding explains {limit:.0e} at most",
        ),
        "look for a maximum, mean, softmax, sort or shuffle over dimension 0; scale each sample by "
        "itself (dim=1), or by numbers that training keeps",
    )
