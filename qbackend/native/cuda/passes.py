"""A layer as passes of a kernel over states: one where a block holds a row, several where not.

Between two passes the states lie in memory, each amplitude at its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import filterfalse

from ..any_circuit.strings import PauliString
from .bits import Columns, Span, applied, inverse, transposed
from .code import Code, Do, Step, code
from .coordinates import Shape, held_next, tile_next
from .turned import Turn, TurnedCircuit

Observable = tuple[int, PauliString]
"""Its number, and what it is."""

MOST_TURNS = 256
"""Of a pass: their sums have room in a block's memory, and their words in a launch."""


@dataclass(frozen=True)
class Pass:
    """Rotations that blocks go through without looking at each other's amplitudes.

    Attributes:
        columns: from an amplitude's place, in a thread, among threads, among blocks, to its index.
        forward: None where a row starts behind it, as a product state.
        backward: undoes it on states and adjoint states.
        reads: whether observables are read in it.
        leaves: whether it leaves states behind, forwards; where not, they are what they were.
    """

    columns: Columns
    forward: Code | None
    backward: Code
    reads: bool
    leaves: bool


def passes(circuit: TurnedCircuit, shape: Shape) -> tuple[Pass, ...]:
    """The layer's passes, the first first."""
    todo, unread = list(circuit.turns), list(enumerate(circuit.observables))
    done: list[Pass] = []
    while todo or not done:
        blocks, taken = _Blocks.next([turn.string for turn in todo], unread, circuit, shape)
        part = [todo[index] for index in taken[:MOST_TURNS]]
        chosen = set(part)
        todo = [turn for turn in todo if turn not in chosen]
        read = unread if not todo and all(map(blocks.hold, unread)) else []
        done.append(blocks.through(part, read, leaves=True))
        unread = unread[len(read) :]
    while unread:
        blocks, _ = _Blocks.next((), unread, circuit, shape)
        done.append(blocks.through((), list(filter(blocks.hold, unread)), leaves=False))
        unread = list(filterfalse(blocks.hold, unread))
    return tuple(done)


@dataclass(frozen=True)
class _Blocks:
    """What blocks of some amplitudes do.

    Attributes:
        outer: directions of those that one holds, then the others.
        shape: of a block.
        is_product: see `TurnedCircuit`.
    """

    outer: Columns
    shape: Shape
    is_product: bool

    @classmethod
    def next(
        cls,
        turns: Sequence[PauliString],
        unread: Sequence[Observable],
        circuit: TurnedCircuit,
        shape: Shape,
    ) -> tuple[_Blocks, list[int]]:
        """Those for what is to come, and which of the turns they can do."""
        behind = [string for _, string in unread]
        outer, taken = tile_next(turns, behind, circuit.n_wires, shape)
        return cls(outer, shape, circuit.is_product), taken

    def hold(self, observable: Observable) -> bool:
        """Whether they read it without each other."""
        return observable[1].x in self._held

    def through(self, part: Sequence[Turn], read: Sequence[Observable], *, leaves: bool) -> Pass:
        """Rotations, in the order in which they are done, and the observables behind them.

        What the last pass leaves only its way back reads: it lies as it did where it was read.
        """
        shape, plain = self.shape, self.shape.plain
        turns = self._turns(part)
        onward = [step for step in turns if not (self.is_product and step.index < 0)]
        behind = next((step.coordinates for step in reversed(onward) if step.string.x), plain)
        measures, seeds = (self._read(do, read, behind) for do in (Do.MEASURE, Do.SEED))
        forward = None
        if onward or measures or not self.is_product:
            forward = code(
                onward + measures,
                shape,
                start=plain,
                end=None if measures else plain,
                sums=frozenset({Do.MEASURE}),
            )
        backward = code(
            seeds + turns[::-1],
            shape,
            start=seeds[0].coordinates if seeds and leaves else plain,
            end=plain,
            sums=frozenset({Do.TURN}),
        )
        columns = [applied(self.outer, column) for column in plain] + self.outer[shape.tile :]
        return Pass(columns, forward, backward, bool(read), leaves)

    @cached_property
    def _held(self) -> Span:
        return Span(self.outer[: self.shape.tile])

    @cached_property
    def _inverse(self) -> Columns:
        return inverse(self.outer)

    def _turns(self, part: Sequence[Turn]) -> list[Step]:
        todo = [Turn(self._within(turn.string), turn.angle) for turn in part]
        steps: list[Step] = []
        coordinates = self.shape.plain
        while todo:
            strings = [turn.string for turn in todo]
            coordinates, taken = held_next(strings, coordinates, self.shape)
            steps += [Step(Do.TURN, todo[i].string, todo[i].angle, coordinates) for i in taken]
            chosen = set(taken)
            todo = [turn for index, turn in enumerate(todo) if index not in chosen]
        return steps

    def _read(self, do: Do, read: Sequence[Observable], coordinates: Columns) -> list[Step]:
        """Strings of Z where the amplitudes are, then the others wherever these bring them."""
        todo = [(index, self._within(string)) for index, string in read]
        steps = [Step(do, string, index, coordinates) for index, string in todo if not string.x]
        todo = [each for each in todo if each[1].x]
        while todo:
            # They change nothing, so that any can come first.
            moves = [PauliString(0, string.x, 0) for _, string in todo]
            coordinates, taken = held_next(moves, coordinates, self.shape)
            steps += [Step(do, todo[i][1], todo[i][0], coordinates) for i in taken]
            chosen = set(taken)
            todo = [each for place, each in enumerate(todo) if place not in chosen]
        return steps

    def _within(self, string: PauliString) -> PauliString:
        """In the bits of a block's amplitudes, then those that number blocks."""
        x = applied(self._inverse, string.x)
        return PauliString(string.phase, x, transposed(self.outer, string.z))
