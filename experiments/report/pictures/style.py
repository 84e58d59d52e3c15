"""How every picture of a report looks: fonts, colours, markers; decided here and nowhere else.

The colours of arms are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), the colours of
classes Paul Tol's «muted» scheme (https://personal.sron.nl/~pault/); both stay apart for
colour-blind readers, and no picture relies on colour alone.

A page is light or dark. Where a colour of here has another one on dark pages, the page says which
of the two it is; the files in `figures/` are for light paper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from qbackend.registry import parse_name

from ...records.comparisons import Verdict
from ...records.lines import Stage

INK = "#1f2933"
MUTED = "#66727f"
GRID = "#e3e7eb"
PAPER = "#ffffff"
TRAINING = "#8a94a0"
VALIDATION = "#0072b2"
RIGHT = "#117733"
WRONG = "#b3262e"
ON_LIGHT, ON_DARK = "#1f2932", "#fefefe"
"""Letters on coloured ground, which is the same on light and dark pages."""

DARK = {
    INK: "#e4e8ec",
    MUTED: "#9aa5b1",
    GRID: "#2c353f",
    PAPER: "#14191f",
    RIGHT: "#4fbf73",
    WRONG: "#f2777d",
    "#000000": "#e4e8ec",
    "#0072b2": "#4aa8e0",
    "#4d4d4d": "#b8bcc0",
    "#882255": "#d976a6",
    "#332288": "#a093f2",
    "#aa4499": "#cc6fbd",
}
"""Colours that dark pages have in the place of others: these would be too dark to be seen there."""

ARMS = {
    "quantum": ("#0072b2", "o"),
    "quantum-frozen": ("#56b4e9", "s"),
    "linear": ("#d55e00", "^"),
    "mlp": ("#e69f00", "v"),
    "none": ("#4d4d4d", "D"),
    "classical": ("#009e73", "P"),
}
"""Colour and marker of each arm of a hybrid model."""

POINTWISE_ARMS = {
    "quantum": ARMS["quantum"],
    "quantum-frozen": ARMS["quantum-frozen"],
    "unentangled": ("#cc79a7", "X"),
    "conv": ("#4d4d4d", "D"),
    "low-rank": ("#d55e00", "^"),
    "grouped": ("#e69f00", "v"),
    "quadratic": ("#009e73", "P"),
    "quadratic-low-rank": ("#882255", "p"),
}
"""Colour and marker of each arm of a network with pointwise convolutions."""

STAGES: dict[Stage, tuple[str, str]] = {
    "machine": ("#0072b2", "o"),
    "corrected": ("#009e73", "^"),
    "noise": ("#e69f00", "s"),
}
"""Colour and marker of each stage of a validation; what scatters least is drawn last."""

VERDICTS: dict[Verdict | None, str] = {
    None: "#4d4d4d",
    "helps": "#009e73",
    "harms": "#d55e00",
    "unclear": "#8a94a0",
}
"""Colours of mitigations by what they do; None is the one without."""

STAGE_BARS = (("#e69f00", ""), ("#0072b2", ""), ("#56b4e9", "///"))
"""Colour and hatch of the bars of each two stages."""

SPARE = tuple(zip(("#cc79a7", "#882255", "#999933", "#332288"), "Xp*h", strict=True))
"""For groups that share arm and backend, and differ in something else."""

EXACT_LINE, NOISY_LINE, MACHINE_LINE = "-", "--", ":"
"""Lines of simulators, of simulators with a device's noise, of machines."""

MUTED_SCHEME = (
    "#332288",
    "#88ccee",
    "#117733",
    "#ddcc77",
    "#cc6677",
    "#44aa99",
    "#aa4499",
    "#999933",
    "#882255",
    "#7f7f7f",
)

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    # A class may have a dollar sign in its name.
    "text.parse_math": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.dpi": 200,
}

styled = matplotlib.rc_context(STYLE)
"""Decorator of every function that draws: applies STYLE and leaves the caller's settings alone."""


@dataclass(frozen=True)
class Look:
    """How one group of runs is drawn in every picture of a comparison."""

    colour: str
    marker: str
    line: str


def blank(width: float = 4.6, height: float = 3.4) -> tuple[Figure, Axes]:
    """A figure of one panel; width and height in inches. Call it from a `styled` function."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def reach(
    mean: ArrayLike, deviation: ArrayLike, bounds: tuple[float, float]
) -> NDArray[np.floating]:
    """How far an error bar goes below and above its means, (2, n): no further than values can."""
    means, deviations = np.atleast_1d(mean), np.atleast_1d(deviation)
    return np.stack(
        [np.minimum(deviations, means - bounds[0]), np.minimum(deviations, bounds[1] - means)]
    )


def looks(groups: Iterable[tuple[str, str]]) -> list[Look]:
    """One look per (arm, backend): colour and marker by arm, line by backend.

    No two are alike unless there are more groups of one kind than spare looks.
    """
    taken: list[Look] = []
    for arm, backend in groups:
        line = line_of(backend)
        own = Look(*{**POINTWISE_ARMS, **ARMS}.get(arm, SPARE[0]), line)
        spares = [Look(*spare, line) for spare in SPARE]
        taken.append(next((look for look in (own, *spares) if look not in taken), own))
    return taken


def line_of(backend: str) -> str:
    """The line of a backend: `aer`, `aer:DEVICE`, `ibm_…` and so on."""
    name = parse_name(backend)
    if name.is_simulator:
        return NOISY_LINE if name.argument else EXACT_LINE
    return MACHINE_LINE


def variable(colour: str) -> str:
    """A colour as a page's style has it: by name where it is another one on dark pages."""
    return f"var(--c{colour[1:]})" if colour in DARK else colour


def class_colours(n_classes: int) -> list[str]:
    """One colour per class; above ten classes they run along a scale instead of standing apart."""
    if n_classes <= len(MUTED_SCHEME):
        return list(MUTED_SCHEME[:n_classes])
    scale = matplotlib.colormaps["turbo"]
    return [
        matplotlib.colors.to_hex(scale(0.1 + 0.8 * index / (n_classes - 1)))
        for index in range(n_classes)
    ]
