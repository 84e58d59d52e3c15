"""A turned circuit in stages, each a pass over the amplitudes, chosen to be few and cheap.

Turns about strings of Z that follow one another are one stage of phases; where the angles do not
move with the row, these are computed once per weights. Turns that commute and have X where others
have Z become such after a Hadamard gate on those qubits, which everything behind it takes over.

Letters: D = 2^Q amplitudes, K turns of a stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from .strings import PauliString
from .turned import Turn

Observables = tuple[tuple[tuple[PauliString, float], ...], ...]

LOOKAHEAD = 256
"""Turns that one may be brought before: circuits of thousands must not take minutes."""

# Vector instructions per amplitude, about: they decide between ways that compute the same.
_PAIR, _HADAMARD, _TABLE, _SINE_AND_COSINE = 4, 2, 4, 30


@dataclass(frozen=True)
class Pair:
    """A turn about a string with an X: amplitudes in pairs."""

    turn: Turn


@dataclass(frozen=True)
class Phases:
    """Turns about strings of Z, all by angles that move with the row, or all by others."""

    turns: tuple[Turn, ...]
    moves: bool


@dataclass(frozen=True)
class Hadamards:
    """A Hadamard gate on every qubit of the mask."""

    mask: int


Stage = Pair | Phases | Hadamards


def staged(
    turns: Sequence[Turn], observables: Observables, n_qubits: int, moves: Callable[[Turn], bool]
) -> tuple[list[Stage], Observables]:
    """The turns in stages, and the observables behind them."""
    stages: list[Stage] = []
    left, measured = list(turns), observables
    while left:
        block, left = _commuting(left)
        mask = _mask(block, n_qubits, moves)
        if mask:
            stages.append(Hadamards(mask))
            block, left = (
                [replace(turn, string=_turned(turn.string, mask)) for turn in turns]
                for turns in (block, left)
            )
            measured = tuple(
                tuple(_signed(_turned(string, mask), value) for string, value in terms)
                for terms in measured
            )
        diagonal: list[Turn] = []
        for turn in block:
            if turn.string.x:
                stages.append(Pair(turn))
            else:
                diagonal.append(turn)
        for is_moving in (True, False):
            chosen = tuple(turn for turn in diagonal if moves(turn) == is_moving)
            if chosen:
                stages.append(Phases(chosen, is_moving))
    return stages, measured


def phases_cost(n_turns: int, n_qubits: int, moves: bool) -> int:
    """Instructions per amplitude of a stage of phases."""
    return min(_PAIR * n_turns, n_qubits + _SINE_AND_COSINE) if moves else _TABLE


def cost(stages: Sequence[Stage], n_qubits: int) -> int:
    """Instructions per amplitude of all stages, forwards."""
    total = 0
    for stage in stages:
        match stage:
            case Pair():
                total += _PAIR
            case Phases(turns, moves):
                total += phases_cost(len(turns), n_qubits, moves)
            case Hadamards(mask):
                total += _HADAMARD * mask.bit_count()
    return total


def _commuting(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Turns that commute with one another and can come first, and the others in their order."""
    block: list[Turn] = []
    others: list[Turn] = []
    for index, turn in enumerate(turns):
        if len(others) > LOOKAHEAD:
            return block, others + list(turns[index:])
        between = (*others, *block)
        if all(turn.string.commutes(other.string) for other in reversed(between)):
            block.append(turn)
        else:
            others.append(turn)
    return block, others


def _mask(block: Sequence[Turn], n_qubits: int, moves: Callable[[Turn], bool]) -> int:
    """Qubits whose Hadamard gates leave strings of Z alone, if that is cheaper; else 0.

    Turns about a Y somewhere stay what they are.
    """
    plain = [turn for turn in block if not turn.string.x & turn.string.z]
    x = reduce(or_, (turn.string.x for turn in plain), 0)
    z = reduce(or_, (turn.string.z for turn in plain), 0)
    if x & z:
        return 0
    n_pairs = sum(1 for turn in plain if turn.string.x)
    kinds = Counter(moves(turn) for turn in plain)
    phases = sum(phases_cost(count, n_qubits, key) for key, count in kinds.items())
    return x if _HADAMARD * x.bit_count() + phases < _PAIR * n_pairs else 0


def _turned(string: PauliString, mask: int) -> PauliString:
    """The string between Hadamard gates on the mask: X and Z exchanged there."""
    x = string.x & ~mask | string.z & mask
    z = string.z & ~mask | string.x & mask
    return PauliString((string.phase + 2 * (string.x & string.z & mask).bit_count()) % 4, x, z)


def _signed(string: PauliString, value: float) -> tuple[PauliString, float]:
    bare = PauliString((string.x & string.z).bit_count() % 4, string.x, string.z)
    return bare, value * string.sign
