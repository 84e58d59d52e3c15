"""The pictures of two runs of the same weights on the same images.

Letters: N images, M outputs of the quantum layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from ...records.drift import MovedError, OutputDrift
from ..pictures.style import INK, MUTED, PAPER, blank, styled
from .facts import place_words

THEN, NOW = ("#e69f00", "s"), ("#0072b2", "o")
"""Colour and marker of the earlier and of the later run."""


@styled
def outputs(then: NDArray[np.floating], now: NDArray[np.floating]) -> Figure:
    """Every output (N, M) of the later run over that of the earlier one."""
    figure, axes = blank(4.6, 4.4)
    axes.plot([-1, 1], [-1, 1], color=MUTED, linewidth=1.0)
    colour, marker = NOW
    axes.scatter(then, now, s=12, color=colour, marker=marker, alpha=0.55, linewidths=0)
    reach = 1.05 * max(np.abs(then).max(), np.abs(now).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_title("Outputs of every image")
    axes.set_xlabel("expectation value before")
    axes.set_ylabel("expectation value now")
    return figure


@styled
def drifts(found: Sequence[OutputDrift]) -> Figure:
    """The RMSE of each output, beside what the shots alone give."""
    figure, axes = blank(4.6, 3.4)
    places = np.arange(len(found))
    axes.bar(places - 0.2, [each.rmse for each in found], 0.4, color=NOW[0], label="found")
    shots = [each.shot_rmse or 0.0 for each in found]
    if any(shots):
        axes.bar(
            places + 0.2, shots, 0.4, color="#56b4e9", hatch="///", edgecolor=PAPER,
            label="by the shots alone",
        )  # fmt: skip
    names = [each.name.removeprefix("output ") for each in found]
    axes.set_xticks(places, names, rotation=0 if max(map(len, names)) < 4 else 60)
    axes.grid(visible=False, axis="x")
    axes.set_title("Drift of each output")
    axes.set_xlabel("output" if names[0].isdigit() else "")
    axes.set_ylabel("root-mean-square difference")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def moved(found: Sequence[MovedError]) -> Figure:
    """Errors before and now, a row each, on a logarithmic scale; those known at both."""
    figure, axes = blank(4.6, 1.3 + 0.24 * len(found))
    then, now = (np.array([getattr(each, key) for each in found]) for key in ("then", "now"))
    axes.hlines(range(len(found)), then, now, color=MUTED, linewidth=1.2, zorder=1)
    for (colour, marker), name, values in ((THEN, "before", then), (NOW, "now", now)):
        axes.scatter(
            values, range(len(found)), s=30, color=colour, marker=marker, label=name, zorder=2
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(found)), [place_words(each) for each in found], color=INK)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_title("Errors that changed most")
    axes.set_xlabel("reported error")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
