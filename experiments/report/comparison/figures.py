"""The pictures of a comparison, each a function of groups of runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..numbers import number, percent
from ..pictures.hover import hover_bands
from ..pictures.over_epochs import METRICS, as_percent, label_epochs, metric_name
from ..pictures.style import INK, MUTED, PAPER, Look, blank, reach, styled
from .groups import Group, Measure, PairedDifference, band

WIDE = 7.2
"""Inches; room for the names of groups beside the axes."""

SHORT = 22
"""Letters of a group's name, of which two have room in a legend side by side."""


@styled
def bands(groups: Sequence[Group], looks: Sequence[Look], part: str, metric: str) -> Figure:
    """One metric over epochs per group: mean over seeds, and one standard deviation around it."""
    columns = 2 if max(len(group.name) for group in groups) <= SHORT else 1
    figure, axes = blank(4.6, 3.6 if columns == 2 else 3.2 + 0.17 * len(groups))
    said: dict[int, list[str]] = {}
    for group, look in zip(groups, looks, strict=True):
        found = band(group, part, metric)
        if not len(found.epochs):
            continue
        for epoch, mean in zip(found.epochs.tolist(), found.mean, strict=True):
            words = number(mean) if metric == "loss" else percent(mean)
            said.setdefault(epoch, []).append(f"{group.name} {words}")
        most = np.inf if metric == "loss" else 1.0
        below, above = reach(found.mean, found.deviation, (0.0, most))
        low, high = found.mean - below, found.mean + above
        axes.fill_between(found.epochs, low, high, color=look.colour, alpha=0.18, linewidth=0)
        axes.plot(
            found.epochs,
            found.mean,
            color=look.colour,
            linestyle=look.line,
            marker=look.marker,
            markersize=4.5,
            markevery=max(1, len(found.epochs) // 12),
            label=group.name,
        )
    where = "training" if part == "train" else part
    axes.set_title(f"{metric_name(metric)} in {where}, per epoch")
    axes.set_ylabel(METRICS[metric])
    epochs = sorted(said)
    label_epochs(axes, epochs)
    if metric != "loss":
        as_percent(axes)
    if epochs:
        hover_bands(axes, epochs, [f"epoch {each}: {', '.join(said[each])}" for each in epochs])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


@styled
def dots(groups: Sequence[Group], looks: Sequence[Look], measure: Measure, label: str) -> Figure:
    """One row per group: a mark per seed, a line from mean - sd to mean + sd, a stroke at the mean.

    The measure is a fraction, shown in per cent.
    """
    figure, axes = blank(WIDE, 0.8 + 0.44 * len(groups))
    for row, (group, look) in enumerate(zip(groups, looks, strict=True)):
        values = 100 * np.array(list(group.by_seed(measure).values()))
        found = group.spread(measure)
        axes.scatter(
            values,
            np.full(len(values), row),
            color=look.colour,
            marker=look.marker,
            s=30,
            alpha=0.75,
            linewidths=0,
            zorder=3,
        )
        if found.n > 1:
            axes.errorbar(
                100 * found.mean,
                row + 0.27,
                xerr=100 * reach(found.mean, found.deviation, (0.0, 1.0)),
                color=INK,
                fmt="|",
                capsize=3,
            )
    axes.set_yticks(range(len(groups)), [group.name for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xlabel(label)
    return figure


@styled
def differences(found: Sequence[PairedDifference], label: str) -> Figure:
    """One row per pair of groups: mean paired difference and its confidence interval."""
    figure, axes = blank(WIDE, 0.8 + 0.46 * len(found))
    axes.axvline(0, color=MUTED, linewidth=1.0)
    for row, each in enumerate(found):
        decided = each.low > 0 or each.high < 0
        axes.errorbar(
            100 * each.mean,
            row,
            xerr=[[100 * (each.mean - each.low)], [100 * (each.high - each.mean)]],
            color=INK,
            fmt="o",
            capsize=3,
            markersize=5,
            markerfacecolor=INK if decided else PAPER,
        )
    axes.set_yticks(range(len(found)), [f"{each.first}\n− {each.second}" for each in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlabel(label)
    return figure
