"""Numbers as a reader wants them."""

from __future__ import annotations

import math

ABSENT = "–"


def percent(share: float, decimals: int = 2) -> str:
    """A share as per cent, with the sign.

    >>> percent(0.98611)
    '98.61 %'
    """
    return f"{100 * share:.{decimals}f} %" if math.isfinite(share) else ABSENT


def number(value: float | None, decimals: int = 4) -> str:
    """A number with fixed decimals and thin groups of thousands, a dash where there is none.

    >>> number(142530, 0)
    '142,530'
    """
    return ABSENT if value is None or not math.isfinite(value) else f"{value:,.{decimals}f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(0.0523), duration(21.5), duration(5400)
    ('52.3 ms', '21.50 s', '90.0 min')
    """
    if not math.isfinite(seconds):
        return ABSENT
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 600 else f"{seconds / 60:.1f} min"


def signed(value: float) -> str:
    """Two decimals and a sign.

    >>> signed(-0.25)
    '−0.25'
    """
    # Adding zero makes a rounded -0.0 a positive one.
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def counted(count: int, name: str) -> str:
    """A number and its noun."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
