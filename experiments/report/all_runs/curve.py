"""A training as a line that fits in a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from ..numbers import number, percent

WIDTH, HEIGHT, MARGIN = 96, 26, 3
MOST_POINTS = 48
"""A cell has no room for more."""


def small_curve(values: Sequence[float], of: str) -> Markup:
    """Values of every epoch from the least to the largest, the best marked; empty without any.

    Args:
        values: accuracies, or losses.
        of: "accuracy" or "loss".
    """
    if not values:
        return Markup("")
    best = max(values) if of == "accuracy" else min(values)
    place = values.index(best)
    every = -(-len(values) // MOST_POINTS)
    places = sorted({*range(0, len(values), every), place, len(values) - 1})
    points = " ".join(
        f"{_x(each, len(values)):.1f},{_y(values[each], values):.1f}" for each in places
    )
    shown = percent if of == "accuracy" else number
    words = (
        f"validation {of}: {shown(values[0])} after the first epoch, best {shown(best)} after "
        f"epoch {place + 1}, last {shown(values[-1])}"
    )
    mark = f'cx="{_x(place, len(values)):.1f}" cy="{_y(best, values):.1f}"'
    return Markup(
        f'<svg class="small" role="img" aria-label="{escape(words)}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(words)}</title>'
        f'<polyline points="{points}"/><circle {mark} r="2.2"/></svg>'
    )


def _x(place: int, count: int) -> float:
    share = place / (count - 1) if count > 1 else 0.5
    return MARGIN + share * (WIDTH - 2 * MARGIN)


def _y(value: float, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    share = (value - low) / (high - low) if high > low else 0.5
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
