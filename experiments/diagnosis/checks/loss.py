"""The loss: outputs that are probabilities already, outputs too small for it, and where it starts.

Letters: B batch, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..findings import Finding, Outcome, skipped
from ..subject import STRANGE_LABELS, Subject
from ..watch import as_it_was

ERRORS = 5
"""Standard errors that a verdict keeps away from its limit."""
TOO_HIGH = 1.0
"""Nats above an even guess: right answers get e times less than an even guess gives them."""


def look(subject: Subject) -> Outcome:
    """What the loss makes of the outputs of the samples."""
    output = subject.evaluated.output.detach()
    if subject.targets is None or output.ndim != 2 or output.shape[1] < 2:
        return skipped("no labels, or no outputs for classes")
    if subject.targets.ndim != 1 or not _is_softmaxed_by(subject, output):
        return skipped("the loss takes no softmax of its own")
    if subject.has_strange_labels:
        return skipped(STRANGE_LABELS)
    findings = [*_probabilities(output), *_bounded(subject, output)]
    losses, mean, error = _batch_loss(subject)
    even = _even_loss(subject, output)
    seen = f"{mean:.3f} ± {error:.3f}; an even guess among {output.shape[1]} has {even:.3f}"
    if subject.trained:
        return Outcome(seen + " (weights are trained)", tuple(findings))
    if not findings:
        findings += _start(mean, error, even, len(losses))
    return Outcome(f"initial loss {seen}", tuple(findings))


def _is_softmaxed_by(subject: Subject, output: Tensor) -> bool:
    """Whether a constant added to all logits is the same to the loss."""
    double = output.double()
    before, after = subject.loss_of(double), subject.loss_of(double + 1)
    return bool((before - after).abs() < 1e-6 * (1 + before.abs()))


def _even_loss(subject: Subject, output: Tensor) -> float:
    """The mean loss where all classes are equally likely: log K of cross-entropy."""
    return subject.loss_of(torch.zeros_like(output)).item()


def _probabilities(output: Tensor) -> Iterator[Finding]:
    limit = math.sqrt(torch.finfo(torch.float32).eps)
    sums = output.double().sum(dim=1)
    if output.min() < 0 or (sums - 1).abs().max() > limit:
        return
    n = output.shape[1]
    lowest = math.log(1 + (n - 1) / math.e)
    yield Finding(
        "defect",
        "softmax twice: the model ends with one, and the loss takes another",
        (
            f"outputs are positive, and each row's sum is 1 to {(sums - 1).abs().max():.0e}",
            f"the loss of {n} classes cannot fall below {lowest:.3f} this way, and its gradients "
            "are small long before",
        ),
        "leave the model's softmax out; take it where probabilities are shown",
    )


def _bounded(subject: Subject, output: Tensor) -> Iterator[Finding]:
    """Expectation values as logits."""
    ends = [each.detach() for each in subject.evaluated.outputs.values()]
    if not any(each.shape == output.shape and torch.equal(each, output) for each in ends):
        return
    n = output.shape[1]
    lowest = math.log(1 + (n - 1) * math.exp(-2))
    yield Finding(
        "warning",
        "expectation values are taken for logits",
        (
            f"the model's outputs are the quantum layer's, from {output.min():.2f} to "
            f"{output.max():.2f}; between -1 and 1 no class of {n} gets more than "
            f"{math.exp(-lowest):.1%}, and the loss stays above {lowest:.3f}",
        ),
        "put a linear layer, or a factor that is trained, behind the quantum layer",
    )


def _batch_loss(subject: Subject) -> tuple[Tensor, float, float]:
    """Losses of the samples as a first batch has them; their mean and its standard error."""
    assert subject.targets is not None
    with as_it_was(subject.model, training=True, seed=subject.seed), torch.no_grad():
        for module in subject.model.modules():
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                module.eval()
        outputs = torch.cat([subject.model(each) for each in subject.batches()])
        each = [
            subject.loss(row[None], target[None])
            for row, target in zip(outputs, subject.targets, strict=True)
        ]
    losses = torch.stack(each).double()
    return losses, losses.mean().item(), losses.std().item() / math.sqrt(len(losses))


def _start(mean: float, error: float, even: float, n: int) -> Iterator[Finding]:
    if mean < even - ERRORS * error - 1e-6 and mean < even / 2:
        yield Finding(
            "warning",
            "the loss starts below that of an even guess: the model knows the labels",
            (f"{mean:.3f} ± {error:.3f} over {n} samples with initial weights, not {even:.3f}",),
            "look whether labels are among the inputs, or whether the weights are trained",
        )
    elif mean > even + TOO_HIGH + ERRORS * error:
        yield Finding(
            "warning",
            "the loss starts far above that of an even guess",
            (
                f"{mean:.3f} ± {error:.3f} over {n} samples with initial weights; an even guess "
                f"has {even:.3f}",
            ),
            "outputs are too large: normalise the inputs, or scale the last layer's weights down",
        )
