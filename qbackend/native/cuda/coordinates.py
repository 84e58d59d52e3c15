"""Which amplitudes a thread holds, and which a block, while rotations turn them.

A rotation about a string turns amplitudes j and j ^ x against each other. In coordinates in which
x is a bit of what one thread holds it needs no other thread. Coordinates are a basis of the bits
of an amplitude's index: first the directions that a thread holds, then those that number the
threads of a block, lanes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..any_circuit.strings import PauliString
from .bits import Columns, Span, units

LANES = 4
"""Bits that number the threads that shared memory serves at once, in pairs of float32."""


@dataclass(frozen=True)
class Shape:
    """How amplitudes lie in a block of threads.

    Attributes:
        tile: index bits of a row that a block holds.
        held: index bits of them that a thread holds.
        rows: of a block.
    """

    tile: int
    held: int
    rows: int

    @property
    def row_threads(self) -> int:
        """Threads of a row."""
        return 1 << (self.tile - self.held)

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.row_threads * self.rows

    @property
    def warps(self) -> int:
        """Of a block."""
        return -(-self.threads // 32)

    @property
    def row_warps(self) -> int:
        """Of a row, one where it has less."""
        return max(1, self.row_threads // 32)

    @property
    def plain(self) -> Columns:
        """Coordinates in which neighbouring threads hold neighbouring amplitudes."""
        bits = units(self.tile)
        return bits[self.tile - self.held :] + bits[: self.tile - self.held]


def taken_next(
    strings: Sequence[PauliString], columns: Columns, n_columns: int, *, in_order: bool = False
) -> list[int]:
    """Which of the rotations to come can be done in coordinates that begin with `columns`.

    Up to `n_columns` are added for them. One can be done before others that it commutes with.

    Args:
        strings: of the rotations.
        columns: is filled.
        n_columns: that there is room for.
        in_order: end at the first one that has to wait.
    """
    span, taken = Span(columns), list[int]()
    waiting: list[PauliString] = []
    for index, string in enumerate(strings):
        fits = string.x in span or len(columns) < n_columns
        if not fits or not all(map(string.commutes, waiting)):
            if in_order:
                break
            waiting.append(string)
            continue
        if span.add(string.x):
            columns.append(string.x)
        taken.append(index)
    return taken


def held_next(
    strings: Sequence[PauliString], before: Columns, shape: Shape
) -> tuple[Columns, list[int]]:
    """Coordinates for rotations to come, and which they are.

    Args:
        strings: of the rotations, in `tile` bits.
        before: the coordinates so far, from which amplitudes change places. Lanes of the new ones
            differ from lanes of these by nothing that lanes number, so that no two of them read
            from one bank of shared memory.
        shape: of the block.
    """
    columns: Columns = []
    # Diagonal ones are cheapest in long runs, which come in order.
    in_order = any(string.x == 0 for string in strings)
    taken = taken_next(strings, columns, shape.held, in_order=in_order)
    held = Span(before[: shape.held])
    if all(column in held for column in columns):
        return before, taken
    span = Span(columns)
    for vector in before[: shape.held] + units(shape.tile):
        if len(columns) < shape.held and span.add(vector):
            columns.append(vector)
    n_lanes = min(LANES, shape.tile - shape.held)
    others = before[shape.held + n_lanes :] + before[: shape.held]
    for lane in before[shape.held : shape.held + n_lanes]:
        near = (lane, *(lane ^ other for other in others))
        columns.append(next(vector for vector in near if span.add(vector)))
    columns += [vector for vector in others + units(shape.tile) if span.add(vector)]
    return columns, taken


def tile_next(
    strings: Sequence[PauliString], behind: Sequence[PauliString], n_bits: int, shape: Shape
) -> tuple[Columns, list[int]]:
    """Directions of the amplitudes that a block holds for rotations to come, then the others.

    Neighbouring amplitudes in memory stay together, so that they are read and written together.
    Returns which rotations they serve as well. Where they serve all, room that is left is for the
    strings behind them.
    """
    if n_bits == shape.tile:
        return units(n_bits), list(range(len(strings)))
    columns = units(LANES)
    taken = taken_next(strings, columns, shape.tile)
    span = Span(columns)
    if len(taken) == len(strings):
        for string in behind:
            if len(columns) < shape.tile and span.add(string.x):
                columns.append(string.x)
    columns += [bit for bit in units(n_bits) if span.add(bit)]
    return columns, taken
