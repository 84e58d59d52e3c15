"""Which kernels are compiled, and how long that took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from qbackend.module.warmup import Warmed


def show_kernels(console: Console, found: Sequence[Warmed]) -> None:
    """A row per kernel and number format, the seconds of several kinds of arrays added up."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("kernel", "numbers", box=SIMPLE_HEAD)
    table.add_column("seconds", justify="right")
    rows: dict[tuple[str, str], float | None] = {}
    for kernel in found:
        key = kernel.name, kernel.numbers
        rows[key] = _sum(rows.get(key), kernel.seconds)
    for (name, numbers), seconds in rows.items():
        table.add_row(name, numbers, "in the cache" if seconds is None else f"{seconds:.1f}")
    console.print(table)
    places = sorted({kernel.place for kernel in found if kernel.place is not None})
    heading = f"{len(rows)} kernels, kept in:" if places else f"{len(rows)} kernels"
    console.print(heading, *places, sep="\n  ")
    if any(kernel.place is None for kernel in found):
        console.print(
            "no folder for compiled code can be written: each process compiles again; "
            "NUMBA_CACHE_DIR names one"
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one + (other or 0)
