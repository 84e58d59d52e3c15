"""What the model and its circuits are given: values that are missing, unscaled, or come round.

Letters: N samples, F features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from qbackend.layers.program import Layer

from ..derivatives import MOST_WIRES, pulled
from ..findings import Finding, Outcome, skipped
from ..parts import Part, spread_out
from ..subject import Samples, Subject

COMPARED = 2000
"""Samples of a split that stand for it."""
ROWS = 16
ERRORS = 5
"""Standard errors beyond which two means are different."""


def look(subject: Subject) -> Outcome:
    """Finite, scaled, varying, the same in every split; angles within a turn."""
    inputs = subject.inputs
    if not inputs.dtype.is_floating_point:
        return skipped("inputs are no floating-point numbers, see the check 'dtypes'")
    broken = ~inputs.isfinite()
    if broken.any():
        return Outcome("not finite", (_broken(inputs, broken),))
    findings = [*_scale(inputs), *_constant(inputs), *_between_splits(subject)]
    for part in subject.called_parts:
        if part.spec is not None and not part.is_amplitude and part.spec.n_wires <= MOST_WIRES:
            findings += _turns(subject, part, part.spec)
    seen = f"mean {inputs.mean():.3g}, deviation {inputs.std():.3g}, "
    return Outcome(seen + f"from {inputs.min():.3g} to {inputs.max():.3g}", tuple(findings))


def _broken(inputs: Tensor, broken: Tensor) -> Finding:
    rows = broken.flatten(1).any(dim=1)
    return Finding(
        "defect",
        "inputs are not finite",
        (
            f"{int(broken.sum())} of {broken.numel():,} values are NaN or infinite, in "
            f"{int(rows.sum())} of {len(inputs)} samples (the first is number "
            f"{int(rows.nonzero()[0])})",
        ),
        "look for a division by a deviation of 0, a logarithm of 0, or missing values",
    )


def _scale(inputs: Tensor) -> Iterator[Finding]:
    largest = inputs.abs().max().item()
    if largest > 1 and inputs.numel() > 1 and bool((inputs == inputs.round()).all()):
        # A table of counts, or of yes and no, has small numbers.
        if largest > 16:
            yield Finding(
                "warning",
                "inputs are not normalised",
                (
                    f"all are whole numbers, up to {largest:g}; initial weights are made for "
                    "inputs of mean 0 and deviation 1, here they are "
                    f"{inputs.mean():.3g} and {inputs.std():.3g}",
                ),
                "divide by 255 and subtract the mean: (x / 255 - mean) / std, per channel",
            )
        return
    mean, std = inputs.mean().item(), inputs.std().item()
    if abs(mean) > std > 0:
        yield Finding(
            "note",
            "inputs have a larger offset than spread",
            (f"mean {mean:.3g}, standard deviation {std:.3g} over {len(inputs)} samples",),
            "subtract the mean of the training images and divide by their deviation",
        )


def _constant(inputs: Tensor) -> Iterator[Finding]:
    if inputs.ndim < 2:
        return
    channels = inputs.transpose(0, 1).flatten(1)
    still = (channels.amax(dim=1) == channels.amin(dim=1)).nonzero().flatten().tolist()
    if still:
        yield Finding(
            "warning",
            f"{len(still)} of {len(channels)} input channels are constant",
            (
                f"number {', '.join(map(str, still[:8]))} has one value, "
                f"{channels[still[0], 0]:.3g}, in {len(inputs)} samples",
            ),
            "look at how the inputs are read; a channel that says nothing can be left out",
        )


def _between_splits(subject: Subject) -> Iterator[Finding]:
    train = subject.splits.get("training")
    for name in ("validation", "test"):
        other = subject.splits.get(name)
        if train is None or other is None or min(len(train), len(other)) < 2:
            continue
        here, there = (_statistics(subject, each) for each in (train, other))
        apart = abs(here.mean - there.mean)
        error = math.hypot(here.error, there.error)
        ratio = there.std / here.std if here.std and there.std else 1.0
        if (apart > here.std and apart > ERRORS * error) or not 0.5 <= ratio <= 2:
            yield Finding(
                "defect",
                f"{name} inputs are scaled otherwise than training inputs",
                (
                    f"training: mean {here.mean:.3g}, deviation {here.std:.3g}, {here.low:.3g} to "
                    f"{here.high:.3g}",
                    f"{name}: mean {there.mean:.3g}, deviation {there.std:.3g}, {there.low:.3g} to "
                    f"{there.high:.3g} (a standard error of the difference is {error:.1e})",
                ),
                "scale all splits by the mean and deviation of the training split",
            )


class _Statistics:
    def __init__(self, values: Tensor) -> None:
        each = values.flatten(1).double().mean(dim=1)
        self.mean, self.error = each.mean().item(), each.std().item() / math.sqrt(len(each))
        self.std = values.double().std().item()
        self.low, self.high = values.min().item(), values.max().item()


def _statistics(subject: Subject, samples: Samples) -> _Statistics:
    chosen = torch.linspace(0, len(samples) - 1, min(len(samples), COMPARED)).round().long()
    return _Statistics(subject.prepare(samples.inputs[chosen]))


def _turns(subject: Subject, part: Part, layer: Layer) -> Iterator[Finding]:
    """Features that differ by more than what the circuit tells apart."""
    features = part.rows(subject.evaluated.features[part.name]).double()
    if not features.isfinite().all():
        return
    ranges = features.amax(dim=0) - features.amin(dim=0)
    rows = spread_out(features, ROWS)
    zeros = torch.zeros(len(rows), layer.n_outputs)
    values = pulled(layer, rows, part.weight(), zeros).values
    for period, words in ((math.pi, "half a turn"), (2 * math.pi, "a turn")):
        wrapped = []
        for index in (ranges > period).nonzero().flatten().tolist():
            moved = rows.clone()
            moved[:, index] += period
            again = pulled(layer, moved, part.weight(), zeros).values
            if torch.allclose(again, values, rtol=0, atol=1e-10):
                wrapped.append(index)
        if not wrapped:
            continue
        own = features[:, wrapped]
        outside = ((own - own.median(dim=0).values).abs() > period / 2).double().mean().item()
        yield Finding(
            "warning",
            f"angles of '{part.name}' come round: features that differ by {words} are the same "
            "to the circuit",
            (
                f"{len(wrapped)} of {features.shape[1]} features range over "
                f"{ranges[wrapped].max():.3g}, and the circuit repeats itself after {period:.3g} "
                f"(outputs equal to 1e-10 on {len(rows)} rows)",
                f"{outside:.1%} of their values lie outside of one period about the median",
            ),
            f"bound them, for example {'π/2' if period < 4 else 'π'} times tanh",
        )
        return
