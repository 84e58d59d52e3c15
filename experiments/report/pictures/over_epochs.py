"""What is drawn over the epochs of a training, with the values of each epoch to hover over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from ...records.lines import EpochRecord
from ..numbers import duration, number, percent
from .hover import hover_bands
from .style import TRAINING, VALIDATION, blank, styled

METRICS = {"loss": "loss (cross-entropy)", "accuracy": "accuracy (%)", "f1": "macro F1 (%)"}
"""Axis labels of what is drawn over epochs."""
LOOKS = {"training": (TRAINING, "s"), "validation": (VALIDATION, "o")}
"""Colour and marker of each line."""

FAR_APART = 20
"""The ratio of times that only a logarithmic scale shows."""

Values = Mapping[str, Sequence[float]]
"""A line for each name, of a number for each epoch; NaN where there is none."""


def metric_curve(epochs: Sequence[EpochRecord], metric: str) -> Figure:
    """One metric over epochs, in training where it is recorded and in validation."""
    values = {
        name: [epoch.value(part, metric) for epoch in epochs]
        for name, part in (("training", "train"), ("validation", "validation"))
    }
    words = number if metric == "loss" else percent
    title = f"{metric_name(metric)} per epoch"
    return _curve(epochs, values, title, METRICS[metric], words, is_share=metric != "loss")


def learning_rate_curve(epochs: Sequence[EpochRecord]) -> Figure:
    """The learning rate of the first batch of each epoch."""
    values = {"training": [epoch.lr for epoch in epochs]}
    return _curve(epochs, values, "Learning rate per epoch", "learning rate", "{:.3g}".format)


@styled
def seconds_curve(epochs: Sequence[EpochRecord]) -> Figure:
    """What each epoch took, its training and its validation."""
    values = {
        "training": [epoch.seconds for epoch in epochs],
        "validation": [epoch.validation_seconds for epoch in epochs],
    }
    figure = _curve(epochs, values, "Time per epoch", "time (s)", duration)
    positive = [each for line in values.values() for each in line if each > 0]
    if positive and max(positive) > FAR_APART * min(positive):
        # The first epoch compiles and allocates: beside it all others would be a line at zero.
        (axes,) = figure.axes
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    return figure


@styled
def _curve(
    epochs: Sequence[EpochRecord],
    values: Values,
    title: str,
    label: str,
    words: Callable[[float], str],
    *,
    is_share: bool = False,
) -> Figure:
    figure, axes = blank(3.5, 2.9)
    numbers = [epoch.epoch for epoch in epochs]
    drawn = {name: each for name, each in values.items() if np.isfinite(each).any()}
    for name, each in drawn.items():
        colour, marker = LOOKS[name]
        axes.plot(numbers, each, color=colour, marker=marker, markersize=3.5, label=name)
    axes.set_title(title)
    axes.set_ylabel(label)
    label_epochs(axes, numbers)
    if is_share:
        as_percent(axes)
    if len(drawn) > 1:
        axes.legend()
    said = [
        ", ".join(f"{name} {words(each[place])}" for name, each in drawn.items())
        for place in range(len(numbers))
    ]
    pairs = zip(numbers, said, strict=True)
    hover_bands(axes, numbers, [f"epoch {epoch}: {each}" for epoch, each in pairs])
    return figure


def metric_name(metric: str) -> str:
    """As a title begins."""
    name = METRICS[metric].partition(" (")[0]
    return name[0].upper() + name[1:]


def label_epochs(axes: Axes, numbers: Sequence[int]) -> None:
    """Whole epochs along the x axis, also when there is only one."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    if len(numbers) == 1:
        axes.set_xlim(numbers[0] - 1, numbers[0] + 1)


def as_percent(axes: Axes) -> None:
    """Fractions on the y axis, written as per cent without the sign."""
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, symbol=""))
