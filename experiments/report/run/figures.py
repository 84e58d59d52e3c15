"""The pictures of one run, each a function of saved records.

Letters: N images, K classes, F features before the quantum layer, M outputs after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from ..pictures.image_grid import image_grid, shorten
from ..pictures.projection import Projection
from ..pictures.style import (
    GRID,
    INK,
    MUTED,
    ON_DARK,
    ON_LIGHT,
    PAPER,
    RIGHT,
    STYLE,
    WRONG,
    blank,
    class_colours,
    styled,
)

CIRCUIT_STYLE = {
    "name": "bw",
    "textcolor": INK,
    "gatetextcolor": INK,
    "subtextcolor": INK,
    "linecolor": MUTED,
    "subfontsize": 9,
}
"""Qiskit's black-and-white style in the report's colours."""

SHARES = LinearSegmentedColormap.from_list("shares", colormaps["Blues"](np.linspace(0.1, 0.85)))
"""Without the darkest: they would not be told from a dark page."""

MANY_CLASSES = 20
"""Above this number of classes a picture shows no numbers, names or legend for each of them."""


LONGEST_LABEL, LETTER = 20, 0.075
"""Letters of a class beside a picture, and inches that one takes."""


@styled
def confusion(matrix: NDArray[np.integer], classes: Sequence[str]) -> Figure:
    """Share of each true class that was predicted as each class; counts in the cells."""
    few = len(classes) <= MANY_CLASSES
    size = 2.6 + 0.2 * len(classes) if few else 6.0
    names = [shorten(name, LONGEST_LABEL) for name in classes]
    # Names stand upright beside the rows, and slant below the columns.
    room = LETTER * max(len(name) for name in names) if few else 0.0
    figure, axes = blank(size + 0.8 + room, size + 0.7 * room)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    # The square root keeps rare confusions visible beside a diagonal near 1; the bar's ticks tell.
    norm = PowerNorm(0.5, 0.0, 1.0)
    # What is empty shows the page, whether it is light or dark.
    shown = np.ma.masked_equal(shares, 0.0)
    drawn = axes.imshow(shown, cmap=SHARES, norm=norm, interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, color=GRID)
    axes.set_title(f"{np.trace(matrix):,} of {matrix.sum():,} images on the diagonal")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if few:
        for true, predicted in np.argwhere(matrix > 0):
            dark = norm(shares[true, predicted]) > 0.55
            axes.text(
                predicted,
                true,
                str(matrix[true, predicted]),
                ha="center",
                va="center",
                fontsize=7.5,
                color=ON_DARK if dark else ON_LIGHT,
            )
        long = max(len(name) for name in names) > 3
        axes.set_xticks(range(len(names)), names, rotation=45 if long else 0)
        if long:
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
    else:
        axes.set_xlabel("predicted class (number)")
        axes.set_ylabel("true class (number)")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.set_label("% of the true class")
    bar.ax.set_yticklabels(["0", "1", "10", "25", "50", "100"])
    bar.outline.set_visible(False)
    return figure


@styled
def predictions(
    images: NDArray[np.uint8],
    captions: Sequence[tuple[str, str, float]],
    title: str,
) -> Figure:
    """Images (N, H, W) or (N, H, W, 3) with (true class, predicted class, its probability)."""
    texts = []
    for true, predicted, probability in captions:
        answer = "" if true == predicted else f"→ {shorten(predicted, 11)}, "
        text = f"{shorten(true, 16)}\n{answer}{100 * probability:.0f} %"
        texts.append((text, RIGHT if true == predicted else WRONG))
    return image_grid(images, texts, title)


@styled
def scatter(
    projection: Projection, labels: NDArray[np.integer], classes: Sequence[str], title: str
) -> Figure:
    """Points in two dimensions, coloured by true class; few classes are named at their median."""
    figure, axes = blank(4.6, 4.4)
    colours = class_colours(len(classes))
    few = len(classes) <= MANY_CLASSES
    for index, name in enumerate(classes):
        points = projection.points[labels == index]
        if not len(points):
            continue
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=9,
            color=colours[index],
            alpha=0.75,
            linewidths=0,
            label=name,
        )
        if few:
            middle = np.median(points, axis=0)
            axes.text(
                middle[0],
                middle[1],
                shorten(name, 10),
                ha="center",
                va="center",
                fontweight="bold",
                path_effects=[patheffects.withStroke(linewidth=2.5, foreground=PAPER)],
            )
    axes.set_title(title)
    axes.set_xlabel(projection.axes[0])
    axes.set_ylabel(projection.axes[1])
    axes.margins(0.04)
    if few:
        columns = 5 if max(len(name) for name in classes) <= 6 else 4
        handles, names = axes.get_legend_handles_labels()
        # A legend fills its columns one by one; classes read better along its rows.
        order = [place for start in range(columns) for place in range(start, len(names), columns)]
        figure.legend(
            [handles[place] for place in order],
            [names[place] for place in order],
            loc="outside lower center",
            ncols=columns,
            markerscale=2,
            handletextpad=0.2,
            columnspacing=1.2,
        )
    return figure


@matplotlib.rc_context({**STYLE, "text.parse_math": True})
def circuit(drawing: QuantumCircuit, fold: int = -1, inches_per_column: float = 0.5) -> Figure:
    """A circuit by Qiskit's drawer; after `fold` columns it goes on below, with -1 it does not."""
    options: dict[str, Any] = {"style": CIRCUIT_STYLE, "fold": fold}
    # The drawer scales text by the width of its axes, so that it has to be known beforehand.
    _, scratch = blank()
    drawing.draw("mpl", ax=scratch, **options)
    width = float(np.ptp(scratch.get_xlim())) * inches_per_column
    height = float(np.ptp(scratch.get_ylim())) * inches_per_column
    labels = 1.5 * inches_per_column
    figure = Figure(figsize=(labels + width, height))
    left = labels / (labels + width)
    drawing.draw("mpl", ax=figure.add_axes((left, 0.0, 1.0 - left, 1.0)), **options)
    return figure
