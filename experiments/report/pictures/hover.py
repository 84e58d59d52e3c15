"""What a page says of a place in a picture when the pointer is over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

HOVER = "hover:"
"""How the `gid` of an artist begins whose rest is said; `inline_svg` makes it a title."""

MOST_BANDS = 240
"""Of more places every other one is left out, and so on: narrower bands could not be hit."""


def hover_bands(axes: Axes, places: Sequence[float], words: Sequence[str]) -> None:
    """Invisible bands around places on the x axis that say the words there.

    Call it when everything is drawn: the axis keeps the limits that it has.
    """
    every = -(-len(places) // MOST_BANDS)
    kept = np.array(places[::every], dtype=float)
    limits = axes.get_xlim()
    edges = np.concatenate([limits[:1], (kept[1:] + kept[:-1]) / 2, limits[1:]])
    for start, end, said in zip(edges[:-1], edges[1:], words[::every], strict=True):
        axes.axvspan(start, end, alpha=0, linewidth=0, zorder=9, gid=f"{HOVER}{said}")
    axes.set_xlim(limits)
