"""The pictures of a validation on a machine.

Letters: N images, M outputs of the quantum layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...records.lines import Stage
from ..pictures.style import MUTED, PAPER, STAGE_BARS, STAGES, blank, styled


@styled
def outputs(
    ideal: NDArray[np.floating],
    others: Mapping[Stage, NDArray[np.floating]],
    words: Mapping[Stage, str],
    title: str = "Outputs of every image",
) -> Figure:
    """Every output (N, M) of the other stages, named by their words, over that without noise."""
    figure, axes = blank(4.6, 4.4)
    axes.plot([-1, 1], [-1, 1], color=MUTED, linewidth=1.0, label="equal")
    for stage, (colour, marker) in STAGES.items():
        if stage not in others:
            continue
        axes.scatter(
            ideal.ravel(),
            others[stage].ravel(),
            s=12,
            color=colour,
            marker=marker,
            alpha=0.55,
            linewidths=0,
            label=words[stage],
        )
    reach = 1.05 * max(np.abs(values).max() for values in (ideal, *others.values()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set_title(title)
    axes.set_xlabel("expectation value without noise")
    axes.set_ylabel("expectation value")
    axes.legend(loc="upper left")
    return figure


@styled
def output_errors(
    each: Mapping[tuple[Stage, Stage], Sequence[float]], words: Mapping[Stage, str]
) -> Figure:
    """Root-mean-square difference of each output, bars for each two stages by their words."""
    figure, axes = blank(4.6, 3.4)
    n_outputs = len(next(iter(each.values())))
    width = 0.8 / len(each)
    for index, ((one, other), values) in enumerate(each.items()):
        colour, hatch = STAGE_BARS[index % len(STAGE_BARS)]
        places = np.arange(n_outputs) + (index - (len(each) - 1) / 2) * width
        axes.bar(
            places,
            values,
            width,
            color=colour,
            hatch=hatch,
            edgecolor=PAPER,
            label=f"{words[one]}, {words[other]}",
        )
    axes.set_xticks(range(n_outputs), [str(output) for output in range(n_outputs)])
    axes.grid(visible=False, axis="x")
    axes.set_title("Difference of each output")
    axes.set_xlabel("output")
    axes.set_ylabel("root mean square")
    figure.legend(loc="outside lower center", ncols=1)
    return figure
