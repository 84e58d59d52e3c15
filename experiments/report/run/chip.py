"""The picture of a chip and the copies of a layer on it.

Letters: C copies, n qubits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from ..pictures.style import GRID, INK, MUTED, ON_DARK, ON_LIGHT, PAPER, WRONG, blank, styled
from .chip_layout import Pair, chip_layout

SCALE = colormaps["viridis_r"]
"""From light to dark, also without colours; the darker, the larger the error."""
IDLE, UNASKED = GRID, PAPER
"""Qubits outside of all copies, and of copies that answered no image."""
STEP, WIDEST = 0.46, 8.4
"""Inches from a qubit to the next, and of all; qubits of a wider chip come closer."""
LEGEND_WIDTH = 6.0
"""Inches that the legend's four entries take beside one another."""
RADIUS, MARGIN = 0.31, 0.7
"""Of a qubit, and around all of them, in steps."""


@styled
def chip(
    n_qubits: int,
    coupling: Sequence[Pair],
    copies: Sequence[Sequence[int]],
    errors: Mapping[int, float],
    far_off: Sequence[int],
    title: str,
) -> Figure:
    """All n qubits by their numbers, and each copy by its number, in the colour of its error.

    Args:
        n_qubits: of the device.
        coupling: its pairs with a two-qubit gate.
        copies: qubits of C copies.
        errors: of those that answered images.
        far_off: those that are to be seen at once.
        title: of the picture.
    """
    places = chip_layout(n_qubits, coupling)
    width, height = np.ptp(places, axis=0) + 2 * MARGIN
    step = min(STEP, WIDEST / width)
    size = max(4.6, width * step + 1.0), max(2.8, height * step + 0.8)
    figure, axes = blank(*size)
    axes.set(aspect="equal", title=title)
    axes.set_xlim(-MARGIN, width - MARGIN)
    axes.set_ylim(height - MARGIN, -MARGIN)
    axes.axis("off")
    drawn = _Chip(axes, places, coupling, step / STEP)
    norm = _norm(errors)
    drawn.couple(coupling, MUTED, 0.8)
    for qubit in set(range(n_qubits)).difference(*copies):
        drawn.qubit(qubit, IDLE, MUTED, 0.5)
    for copy, qubits in enumerate(copies):
        colour = to_hex(SCALE(norm(errors[copy]))) if copy in errors else UNASKED
        drawn.copy(copy, qubits, colour, is_far=copy in far_off)
    if errors:
        shown = ScalarMappable(norm, SCALE)
        bar = figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02, aspect=28)
        bar.set_label("RMSE of outputs from ideal ones")
        bar.outline.set_visible(False)
    columns = 4 if size[0] > LEGEND_WIDTH else 2
    marks = _legend(unasked=len(errors) < len(copies), far=bool(far_off))
    figure.legend(handles=marks, loc="outside lower center", ncols=columns, handletextpad=0.3)
    return figure


@dataclass(frozen=True)
class _Chip:
    """What is drawn on.

    Attributes:
        axes: whose unit is the step from a qubit to the next.
        places: of the qubits, (n, 2).
        coupling: pairs with a two-qubit gate.
        size: of lines and letters.
    """

    axes: Axes
    places: NDArray[np.floating]
    coupling: Sequence[Pair]
    size: float

    def couple(self, pairs: Sequence[Pair], colour: str, width: float) -> None:
        for pair in pairs:
            x, y = self.places[list(pair)].T
            self.axes.plot(x, y, color=colour, linewidth=width * self.size, zorder=1)

    def qubit(self, number: int, colour: str, edge: str, width: float) -> None:
        at = self.places[number]
        circle = Circle((at[0], at[1]), RADIUS, fc=colour, ec=edge, lw=width * self.size, zorder=2)
        self.axes.add_patch(circle)
        self._write(str(number), at, 6.6, _readable_on(colour), va="center_baseline")

    def copy(self, number: int, qubits: Sequence[int], colour: str, *, is_far: bool) -> None:
        """Its couplings and qubits, and its own number beside its middle coupling."""
        within = [pair for pair in self.coupling if set(pair) <= set(qubits)]
        edge = WRONG if is_far else INK
        self.couple(within, edge, 7.0)
        self.couple(within, colour, 4.6)
        for qubit in qubits:
            self.qubit(qubit, colour, edge, 2.2 if is_far else 0.9)
        self._write(str(number), self._beside(qubits, within), 8.5, edge, fontweight="bold")

    def _beside(self, qubits: Sequence[int], within: Sequence[Pair]) -> NDArray[np.floating]:
        """On that side of a coupling where no qubit is near."""
        middle = self.places[list(qubits)].mean(axis=0)
        if not within:
            return middle + np.array([0.42, -0.42])
        ends = min(
            (self.places[list(pair)] for pair in within),
            key=lambda pair: float(np.linalg.norm(pair.mean(axis=0) - middle)),
        )
        along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        across = 0.36 * np.array([along[1], -along[0]])
        sides = [ends.mean(axis=0) + across, ends.mean(axis=0) - across]
        clear = [np.linalg.norm(self.places - side, axis=1).min() for side in sides]
        return sides[int(clear[1] > clear[0] + 1e-9)]

    def _write(
        self, text: str, at: NDArray[np.floating], size: float, colour: str, **look: Any
    ) -> None:
        look = {"ha": "center", "va": "center", "color": colour, "zorder": 3, **look}
        self.axes.text(at[0], at[1], text, fontsize=size * self.size, **look)


def _norm(errors: Mapping[int, float]) -> Normalize:
    """Over all errors; of some width where they are alike."""
    values = list(errors.values()) or [0.0]
    low, high = min(values), max(values)
    return Normalize(low, high if high > low else low + max(low, 1e-3))


def _readable_on(colour: str) -> str:
    """The colour of letters on another, by its relative luminance (WCAG 2.1)."""
    if colour in (IDLE, UNASKED):
        return INK
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    return ON_LIGHT if np.dot(linear, (0.2126, 0.7152, 0.0722)) > 0.22 else ON_DARK


def _legend(*, unasked: bool, far: bool) -> list[Line2D]:
    """What circles mean."""
    kinds = [("qubit of a copy, whose number is bold", to_hex(SCALE(0.25)), INK, 0.9)]
    kinds.append(("idle qubit", IDLE, MUTED, 0.5))
    if unasked:
        kinds.append(("copy that answered no image", UNASKED, INK, 0.9))
    if far:
        kinds.append(("far off", UNASKED, WRONG, 2.2))
    look: Any = {"marker": "o", "linestyle": "none", "markersize": 8}
    return [
        Line2D([], [], label=label, mfc=face, mec=edge, mew=width, **look)
        for label, face, edge, width in kinds
    ]
