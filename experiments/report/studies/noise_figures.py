"""The pictures of the noise ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..numbers import percent
from ..pictures.hover import hover_bands
from ..pictures.style import ARMS, MUTED, ON_DARK, ON_LIGHT, SPARE, blank, styled

LOOKS = (*ARMS.values(), *SPARE)
"""Colours and markers of the curves, in order."""


@styled
def heat_map(
    lost: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str], label: str
) -> Figure:
    """Percentage points lost (rows, columns), NaN where there is no such cell."""
    figure, axes = blank(2.4 + 0.72 * len(columns), max(2.4, 1.3 + 0.42 * len(rows)))
    known = lost[np.isfinite(lost)]
    largest = max(1.0, float(known.max(initial=0.0)))
    drawn = axes.imshow(lost, cmap="Reds", vmin=0.0, vmax=largest, aspect="auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for row, column in np.argwhere(np.isfinite(lost)):
        value = lost[row, column]
        axes.text(
            column,
            row,
            f"{value + 0.0:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color=ON_DARK if value > 0.6 * largest else ON_LIGHT,
        )
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.set_xlabel(label)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02)
    bar.set_label("accuracy lost (points)")
    bar.outline.set_visible(False)
    return figure


@styled
def lines(
    series: Mapping[str, Mapping[float, tuple[float, float, float]]],
    ideal: float,
    label: str,
    *,
    logarithmic: bool = False,
) -> Figure:
    """Accuracy over a number: for each series by that number the mean, and its interval's ends."""
    figure, axes = blank(5.4, 3.8)
    axes.axhline(100 * ideal, color=MUTED, linewidth=1.0, linestyle=":", label="without noise")
    for index, (name, points) in enumerate(series.items()):
        colour, marker = LOOKS[index % len(LOOKS)]
        places = sorted(points)
        means = np.array([points[place] for place in places]) * 100
        reach = np.maximum(np.abs(means[:, 1:] - means[:, :1]).T, 0.0)
        axes.errorbar(
            places,
            means[:, 0],
            yerr=reach,
            color=colour,
            marker=marker,
            markersize=4.5,
            capsize=2.5,
            elinewidth=0.9,
            label=name,
        )
    places = sorted({place for points in series.values() for place in points})
    if logarithmic:
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"{place:,.0f}" for place in places])
        axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy (%)")
    hover_bands(axes, places, [f"{label} {place:,g}: {_said(series, place)}" for place in places])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _said(series: Mapping[str, Mapping[float, tuple[float, float, float]]], place: float) -> str:
    """What every series has there."""
    found = {name: points[place] for name, points in series.items() if place in points}
    return ", ".join(
        f"{name} {percent(mean)} ({100 * low:.1f} to {100 * high:.1f})"
        for name, (mean, low, high) in found.items()
    )
