"""A layer as passes of a kernel over states: one where a block holds a row, several where not.

Between two passes the states lie in memory, each amplitude at its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .bits import Columns, applied, inverse, transposed
from .code import Code, Do, Step, code
from .coordinates import Shape, held_next, tile_next
from .strings import PauliString, Turn, TurnedCircuit

MOST_TURNS = 256
"""Of a pass: their sums have room in a block's memory, and their words in a launch."""


@dataclass(frozen=True)
class Pass:
    """Rotations that blocks go through without looking at each other's amplitudes.

    Attributes:
        columns: from an amplitude's place, in a thread, among threads, among blocks, to its index.
        forward: None where a row starts behind it, as a product state.
        backward: undoes it on states and adjoint states.
    """

    columns: Columns
    forward: Code | None
    backward: Code


def passes(circuit: TurnedCircuit, shape: Shape) -> tuple[Pass, ...]:
    """The layer's passes, the first first."""
    todo = list(circuit.turns)
    done: list[Pass] = []
    while todo or not done:
        outer, taken = tile_next([turn.string for turn in todo], circuit.n_wires, shape)
        part = [todo[index] for index in taken[:MOST_TURNS]]
        todo = [turn for turn in todo if turn not in part]
        done.append(_pass(part, () if todo else circuit.observables, outer, shape))
    return tuple(done)


def _pass(
    part: Sequence[Turn], observables: Sequence[PauliString], outer: Columns, shape: Shape
) -> Pass:
    """The rotations in the order in which they are done, and the observables if it is the last."""
    plain, back = shape.plain, inverse(outer)

    def within(string: PauliString) -> PauliString:
        return PauliString(string.phase, applied(back, string.x), transposed(outer, string.z))

    todo = [Turn(within(turn.string), turn.angle) for turn in part]
    turns: list[Step] = []
    coordinates = plain
    while todo:
        coordinates, taken = held_next([turn.string for turn in todo], coordinates, shape)
        steps = [Step(Do.TURN, todo[i].string, todo[i].angle, coordinates) for i in taken]
        turns += steps
        todo = [turn for index, turn in enumerate(todo) if index not in set(taken)]
    onward = [step for step in turns if step.index >= 0]
    # What the last pass leaves only its way back reads: it lies as it did at the last rotation.
    left = next((step.coordinates for step in reversed(onward) if step.string.x), plain)
    measures, seeds = (
        [Step(do, within(string), index, left) for index, string in enumerate(observables)]
        for do in (Do.MEASURE, Do.SEED)
    )
    is_last = bool(observables)
    forward = None
    if onward or measures:
        forward = code(
            onward + measures,
            shape,
            start=plain,
            end=None if is_last else plain,
            sums=frozenset({Do.MEASURE}),
        )
    backward = code(
        seeds + turns[::-1],
        shape,
        start=left if is_last else plain,
        end=plain,
        sums=frozenset({Do.TURN}),
    )
    columns = [applied(outer, column) for column in plain] + outer[shape.tile :]
    return Pass(columns, forward, backward)
