"""The pictures of the ablation of pointwise convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..pictures.style import MUTED, POINTWISE_ARMS, blank, reach, styled


@dataclass(frozen=True)
class Point:
    """A setting as it is drawn; accuracies are shares.

    Attributes:
        arm: which gives it colour and marker.
        label: beside the arm, "" for none.
        accuracy: the mean over the seeds.
        deviation: over the seeds, zero for a single one.
        parameters: of the network.
        seconds: per epoch.
    """

    arm: str
    label: str
    accuracy: float
    deviation: float
    parameters: int
    seconds: float


@styled
def accuracies(points: Sequence[Point]) -> Figure:
    """A row per setting: mean accuracy, and a bar of a standard deviation either way."""
    figure, axes = blank(5.6, 1.1 + 0.3 * len(points))
    for place, point in enumerate(reversed(points)):
        _draw(axes, point, 100 * point.accuracy, place, x_reach=_reach(point))
    axes.set_yticks(range(len(points)), [_name(point) for point in reversed(points)])
    axes.set_xlabel("test accuracy (%)")
    return figure


@styled
def over_number(points: Sequence[Point], what: str, label: str) -> Figure:
    """Accuracy over the `parameters` or the `seconds` of every setting, on a logarithmic scale."""
    figure, axes = blank(5.4, 3.8)
    for point in points:
        value = getattr(point, what)
        _draw(axes, point, value, 100 * point.accuracy, y_reach=_reach(point))
        if point.arm == "quantum":
            axes.annotate(
                point.label,
                (value, 100 * point.accuracy),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=7.5,
                color=MUTED,
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy (%)")
    handles, names = axes.get_legend_handles_labels()
    of_name = dict(zip(names, handles, strict=True))
    figure.legend(of_name.values(), of_name.keys(), loc="outside lower center", ncols=3)
    return figure


@styled
def depths(points: Mapping[int, Point], references: Sequence[Point]) -> Figure:
    """Accuracy over the depth of the circuits; the reference arms as lines across."""
    figure, axes = blank(5.0, 3.6)
    places = sorted(points)
    means = np.array([100 * points[place].accuracy for place in places])
    spread = np.hstack([_reach(points[place]) for place in places])
    colour, marker = POINTWISE_ARMS["quantum"]
    axes.errorbar(places, means, yerr=spread, color=colour, marker=marker, capsize=2.5)
    for point in references:
        colour, _ = POINTWISE_ARMS[point.arm]
        axes.axhline(100 * point.accuracy, color=colour, linestyle="--", linewidth=1.0)
        axes.annotate(
            point.arm,
            (places[-1], 100 * point.accuracy),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=colour,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [str(place) for place in places])
    axes.minorticks_off()
    axes.set_xlabel("depth of the circuits")
    axes.set_ylabel("test accuracy (%)")
    return figure


def _reach(point: Point) -> NDArray[np.floating]:
    """An accuracy's error bar in per cent, (2, 1)."""
    return 100 * reach(point.accuracy, point.deviation, (0.0, 1.0))


def _name(point: Point) -> str:
    return f"{point.arm} {point.label}".rstrip()


def _draw(
    axes: Axes,
    point: Point,
    x: float,
    y: float,
    *,
    x_reach: NDArray[np.floating] | None = None,
    y_reach: NDArray[np.floating] | None = None,
) -> None:
    colour, marker = POINTWISE_ARMS[point.arm]
    axes.errorbar(
        x,
        y,
        xerr=x_reach,
        yerr=y_reach,
        color=colour,
        marker=marker,
        markersize=5.5,
        linestyle="",
        capsize=2.5,
        elinewidth=1.0,
        label=point.arm,
    )
