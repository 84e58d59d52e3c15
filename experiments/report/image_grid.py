"""Images side by side, each under its caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

COLUMNS = 4


def image_grid(
    images: NDArray[np.uint8], captions: Sequence[tuple[str, str]], title: str
) -> Figure:
    """Images (N, H, W) or (N, H, W, C) under captions of a text and its colour."""
    rows = -(-len(images) // COLUMNS)
    figure = Figure(figsize=(4.6, 0.45 + 1.42 * rows), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, (caption, colour) in zip(grid.flat, images, captions, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(caption, fontsize=8, fontweight="normal", loc="center", pad=3, color=colour)
    return figure


def shorten(text: str, limit: int) -> str:
    """`text`, or its start and an ellipsis where it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
