"""Images side by side, each under its caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import INK, RIGHT, WRONG, styled

COLUMNS = 4
LONGEST_NAME = 9
"""Letters of a class above an image."""


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


@styled
def changed(
    images: NDArray[np.uint8], captions: Sequence[tuple[str, str, str]], title: str
) -> Figure:
    """Images (N, H, W, C) with (true class, class of the one, class of the other)."""
    texts = []
    for names in captions:
        true, one, other = names
        colour = RIGHT if other == true else WRONG if one == true else INK
        of_true, of_one, of_other = (shorten(name, LONGEST_NAME) for name in names)
        texts.append((f"{of_true}\n{of_one} → {of_other}", colour))
    return image_grid(images, texts, title)


def shorten(text: str, limit: int) -> str:
    """`text`, or its start and an ellipsis where it is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
