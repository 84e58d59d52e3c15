"""The words that the kernel reads: what becomes of a block's amplitudes, step by step.

A word is four 32-bit numbers: head (what to do, on which of a thread's amplitudes), z (which
threads and blocks have a minus sign), angle, slot (where a sum goes). `states.cu` says it in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..any_circuit.strings import PauliString
from .bits import Columns, applied, inverse, transposed
from .coordinates import Shape

BATCH = 8
"""Sums that leave a warp together."""
MOST_ALIKE = 255
"""Strings of one kind in a run: their number is a byte."""


class Do(IntEnum):
    """What an instruction does: from PHASES to SEED by runs of strings of Z."""

    END = 0
    TURN = 1
    SPIN = 2
    REMAP = 3
    PHASES = 4
    MEASURE = 5
    SEED = 6
    ODD_OVERLAP = 7
    OVERLAP = 8


@dataclass(frozen=True)
class Step:
    """A rotation, a measurement of an observable, or its share of the adjoint state.

    Attributes:
        do: TURN for every rotation, MEASURE or SEED for an observable.
        string: in the bits of the tile, its z also in those beyond.
        index: the angle's, or the observable's.
        coordinates: in which its pairs of amplitudes are held together.
    """

    do: Do
    string: PauliString
    index: int
    coordinates: Columns

    @property
    def run(self) -> Do | None:
        """The kind of run that it is done in, None for one on pairs of amplitudes."""
        if self.string.x:
            return None
        return Do.PHASES if self.do is Do.TURN else self.do

    @property
    def of_pairs(self) -> Do:
        """The instruction for one on pairs."""
        is_odd = self.string.phase & 1
        if self.do is Do.TURN:
            return Do.TURN if is_odd else Do.SPIN
        return Do.ODD_OVERLAP if is_odd else Do.OVERLAP


@dataclass(frozen=True)
class Code:
    """Instructions and where their sums belong.

    Attributes:
        words: (L, 4), int32.
        weights: of each sum over all rows, the weight.
        items: of each sum of a row, the observable or -1 - feature.
    """

    words: NDArray[np.int32]
    weights: tuple[int, ...]
    items: tuple[int, ...]

    @classmethod
    def longest(cls, n_weights: int, n_items: int) -> Code:
        """Without words, with so many sums."""
        return cls(np.zeros((0, 4), np.int32), tuple(range(n_weights)), tuple(range(n_items)))


def code(
    steps: Sequence[Step],
    shape: Shape,
    *,
    start: Columns,
    end: Columns | None,
    sums: frozenset[Do],
) -> Code:
    """Instructions for the steps.

    Args:
        steps: in the order of execution.
        shape: of the block.
        start, end: coordinates before and, unless None, behind them.
        sums: what leaves a sum: rotations that of their angle's derivative, measurements their
            value.
    """
    writer = _Writer(shape, start, sums)
    for run, group in groupby(steps, key=lambda step: step.run):
        members = list(group)
        if run is None:
            for step in members:
                writer.pair(step)
        else:
            for first in range(0, len(members), MOST_ALIKE):
                writer.run(run, members[first : first + MOST_ALIKE])
    if end is not None:
        writer.move(end)
    return writer.ended()


class _Writer:
    """Writes words; knows the coordinates that amplitudes are in."""

    def __init__(self, shape: Shape, coordinates: Columns, sums: frozenset[Do]) -> None:
        self._shape, self._sums = shape, sums
        self._coordinates, self._inverse = coordinates, inverse(coordinates)
        self._words: list[list[int]] = []
        self._items: dict[bool, list[int]] = {False: [], True: []}
        self._batch: list[int] = []
        self._is_of_rows = False

    def pair(self, step: Step) -> None:
        """A step on pairs of amplitudes."""
        self.move(step.coordinates)
        self._write(step.of_pairs, step)

    def run(self, do: Do, steps: Sequence[Step]) -> None:
        """Steps on single amplitudes, in any order: first those alike on what a thread holds."""
        alike: dict[int, list[Step]] = {}
        for step in steps:
            alike.setdefault(self._signs(step)[0], []).append(step)
        counts = [len(alike.get(held, ())) for held in range(8)]
        packed = [sum(n << 8 * i for i, n in enumerate(half)) for half in (counts[:4], counts[4:])]
        self._words.append([do, *packed, 0])
        for held in sorted(alike):
            for step in alike[held]:
                self._write(do, step)

    def move(self, coordinates: Columns) -> None:
        """Let amplitudes change places, if they have to."""
        if coordinates == self._coordinates:
            return
        columns = [self._place(applied(self._inverse, column)) for column in coordinates]
        columns += [0] * (-len(columns) % 4)
        self._words.append([Do.REMAP, 0, 0, 0])
        self._words += [columns[i : i + 4] for i in range(0, len(columns), 4)]
        self._coordinates, self._inverse = coordinates, inverse(coordinates)

    def ended(self) -> Code:
        """All of it."""
        self._close_batch()
        self._words.append([Do.END, 0, 0, 0])
        words = np.array(self._words, np.int64).astype(np.uint32).view(np.int32)
        return Code(words, tuple(self._items[False]), tuple(self._items[True]))

    def _place(self, index: int) -> int:
        """Where the exchange keeps an amplitude: neighbouring threads' in neighbouring banks."""
        held, thread_bits = self._shape.held, self._shape.tile - self._shape.held
        return (index & ((1 << held) - 1)) << thread_bits | index >> held

    def _signs(self, step: Step) -> tuple[int, int]:
        """The string's z on what a thread holds, and on threads and, 16 bits up, blocks."""
        tile, held = self._shape.tile, self._shape.held
        within = transposed(self._coordinates, step.string.z & ((1 << tile) - 1))
        return within & ((1 << held) - 1), within >> held | step.string.z >> tile << 16

    def _write(self, do: Do, step: Step) -> None:
        phase, held_x = step.string.phase, applied(self._inverse, step.string.x)
        held_z, other_z = self._signs(step)
        head = do | held_x << 8 | held_z << 16 | (phase >> 1) << 20
        self._words.append([head, other_z, step.index, 0])
        if step.do in self._sums:
            self._collect(step)

    def _collect(self, step: Step) -> None:
        """Give the last word's sum a place in a batch."""
        is_of_rows = step.do is Do.MEASURE or step.index < 0
        if is_of_rows != self._is_of_rows or len(self._batch) == BATCH:
            self._close_batch()
        self._is_of_rows = is_of_rows
        items = self._items[is_of_rows]
        first = len(items) - len(self._batch)
        items.append(step.index)
        self._words[-1][3] = len(self._batch) | is_of_rows << 9 | first << 12
        self._batch.append(len(self._words) - 1)

    def _close_batch(self) -> None:
        if self._batch:
            self._words[self._batch[-1]][3] |= 1 << 8
        self._batch = []
