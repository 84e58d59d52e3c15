"""Labels: their kind, their range, classes that are missing, and whether inputs tell of them.

Letters: N samples, F features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..findings import Finding, Outcome, skipped
from ..parts import some
from ..subject import Samples, Subject

PROBED = 4000
SIDE = 8
"""Of an image, in pixels, as the probe sees it."""
FOLDS = 5
RIDGE = 1.0
"""Of standardised features; of thousands of samples it takes a few away, of few it keeps peace."""


def look(subject: Subject) -> Outcome:
    """The whole of every split; of the test split classes are counted, and nothing else."""
    targets = subject.targets
    if targets is None or not subject.splits:
        return skipped("no labels")
    if (finding := _kind(subject, targets)) is not None:
        return Outcome("not class indices", (finding,))
    if targets.ndim != 1 or targets.dtype.is_floating_point:
        return skipped("targets are no class indices")
    train = subject.splits["training"]
    n_outputs = subject.evaluated.output.shape[-1]
    findings = [*_range(subject.splits, n_outputs)]
    if findings:
        return Outcome("out of range", tuple(findings))
    counts = train.targets.bincount(minlength=n_outputs)
    findings += [*_missing(subject, counts), *_imbalance(counts)]
    probe = _probe(subject, train, n_outputs)
    findings += _at_chance(probe)
    seen = f"{len(train):,} samples of {int((counts > 0).sum())} classes"
    if probe is not None:
        seen += f"; a linear probe tells {probe.accuracy:.1%} of them, chance {probe.chance:.1%}"
    return Outcome(seen, tuple(findings))


def _kind(subject: Subject, targets: Tensor) -> Finding | None:
    if targets.dtype.is_floating_point or targets.ndim < 2:
        return None
    ones = bool(((targets == 0) | (targets == 1)).all()) and bool((targets.sum(dim=1) == 1).all())
    kind = "one-hot" if ones else "whole numbers"
    return Finding(
        "defect",
        f"targets are {kind} of shape {tuple(targets.shape)}, not class indices",
        (
            f"dtype {targets.dtype}; cross-entropy takes indices (B,) or probabilities (B, K) in "
            "floating point",
        ),
        "targets.argmax(dim=1) for indices, or targets.float() for probabilities",
    )


def _range(splits: Mapping[str, Samples], n_outputs: int) -> Iterator[Finding]:
    for name, samples in splits.items():
        if not len(samples):
            continue
        low, high = int(samples.targets.min()), int(samples.targets.max())
        if low < 0 or high >= n_outputs:
            outside = int(((samples.targets < 0) | (samples.targets >= n_outputs)).sum())
            yield Finding(
                "defect",
                f"{name} labels are out of range",
                (
                    f"they go from {low} to {high}; the model has {n_outputs} outputs, for 0 to "
                    f"{n_outputs - 1}; {outside:,} of {len(samples):,} are outside",
                ),
                "count classes from 0, or give the model as many outputs as there are classes",
            )


def _missing(subject: Subject, counts: Tensor) -> Iterator[Finding]:
    absent = (counts == 0).nonzero().flatten().tolist()
    elsewhere = [
        label
        for label in absent
        if any((each.targets == label).any() for each in subject.splits.values())
    ]
    if not absent:
        return
    known = dict(enumerate(subject.classes or ()))
    names = [known.get(each, str(each)) for each in absent]
    yield Finding(
        "defect" if elsewhere else "warning",
        f"{len(absent)} of {len(counts)} classes have no training sample",
        (
            f"{some(names)}; {len(elsewhere)} of them occur in another split"
            if elsewhere
            else f"{some(names)}; they occur in no split: outputs for which there is nothing",
        ),
        "look at how the data was divided, or leave the classes out",
    )


def _imbalance(counts: Tensor) -> Iterator[Finding]:
    share = (counts.max() / counts.sum()).item()
    n_classes = int((counts > 0).sum())
    if (n_classes > 1 and share > 2 / n_classes) or (n_classes == 2 and share > 0.75):
        yield Finding(
            "note",
            "classes are far from equally frequent",
            (
                f"always the most frequent of {n_classes} is right in {share:.1%}, where equal "
                f"ones had {1 / n_classes:.1%}; the rarest has {int(counts[counts > 0].min())} "
                "samples",
            ),
            "compare accuracies with that number, and look at F1",
        )


class _Probe:
    """A ridge regression on small images, each fold told by the others.

    Attributes:
        accuracy: share of samples that are told right.
        chance: share of the most frequent class.
        error: standard error of the accuracy of one that is right by chance.
        n: samples.
    """

    def __init__(self, rows: Tensor, labels: Tensor, n_classes: int) -> None:
        fold = torch.arange(len(rows)) % FOLDS
        n_right = 0
        for held in range(FOLDS):
            fit, told = fold != held, fold == held
            mean, std = rows[fit].mean(dim=0), rows[fit].std(dim=0)
            scaled = (rows - mean) / torch.where(std > 1e-9, std, 1)
            design = torch.cat([scaled, torch.ones(len(rows), 1).double()], dim=1)
            wanted = functional.one_hot(labels[fit], n_classes).double()
            square = design[fit].T @ design[fit]
            square += RIDGE * math.sqrt(int(fit.sum())) * torch.eye(len(square)).double()
            weights = torch.linalg.solve(square, design[fit].T @ wanted)
            n_right += int(((design[told] @ weights).argmax(dim=1) == labels[told]).sum())
        self.n = len(rows)
        self.accuracy = n_right / self.n
        self.chance = (labels.bincount().max() / self.n).item()
        self.error = math.sqrt(self.chance * (1 - self.chance) / self.n)


def _probe(subject: Subject, train: Samples, n_classes: int) -> _Probe | None:
    if n_classes < 2 or len(train) < 2 * FOLDS:
        return None
    drawn = torch.randperm(len(train), generator=subject.generator())[:PROBED]
    inputs = subject.prepare(train.inputs[drawn])
    if not inputs.dtype.is_floating_point or not inputs.isfinite().all():
        return None
    if inputs.ndim == 4 and max(inputs.shape[2:]) > SIDE:
        inputs = functional.adaptive_avg_pool2d(inputs, SIDE)
    return _Probe(inputs.flatten(1).double(), train.targets[drawn], n_classes)


def _at_chance(probe: _Probe | None) -> Iterator[Finding]:
    # With few samples a probe that learns something may be at chance by accident.
    if probe is None or probe.error > probe.chance / 5 or probe.chance > 0.5 + 5 * probe.error:
        return
    if probe.accuracy <= probe.chance + 2 * probe.error:
        yield Finding(
            "warning",
            "labels have nothing to do with the inputs, as far as a linear probe sees",
            (
                f"it tells {probe.accuracy:.1%} of {probe.n:,} training samples, each from the "
                f"others; the most frequent class alone is right in {probe.chance:.1%} ± "
                f"{probe.error:.1%}",
            ),
            "look whether inputs and labels were shuffled apart; a task that no linear map begins "
            "to solve is possible, and rare",
        )
