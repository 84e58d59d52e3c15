"""A layer's circuit as rotations about Pauli strings, its CNOTs moved into the observables.

Where a CNOT C stands before a rotation, exp(-i t P/2) C = C exp(-i t C†PC/2): carried through to
the end, the CNOTs leave rotations about longer strings, and observables that are strings of Z as
before (Aaronson and Gottesman, quant-ph/0406196).

Masks have a bit for each wire, wire 0 the most significant of Q, as the index of an amplitude has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...layers.ansatze import Cnots, Rotations
from ...layers.spec import LayerSpec
from ..any_circuit.strings import PauliString


@dataclass(frozen=True)
class Turn:
    """exp(-i angle/2 P).

    Attributes:
        string: P.
        angle: index of a weight, or -1 - q for feature q of an angle encoding.
    """

    string: PauliString
    angle: int

    @property
    def is_encoding(self) -> bool:
        """Whether the angle is a feature's."""
        return self.angle < 0


@dataclass(frozen=True)
class TurnedCircuit:
    """What a layer does behind |0...0>, or behind the state of its amplitudes.

    Attributes:
        n_wires: Q.
        turns: in the order of execution; an angle encoding's RYs come first.
        observables: M strings, in the order of the outputs.
        idle: weights that no output depends on.
        is_product: whether rows begin with what an angle encoding's RYs make of |0...0>.
    """

    n_wires: int
    turns: tuple[Turn, ...]
    observables: tuple[PauliString, ...]
    idle: tuple[int, ...]
    is_product: bool


@lru_cache(maxsize=64)
def turned_circuit(spec: LayerSpec) -> TurnedCircuit:
    """The layer in that form."""
    n_wires = spec.n_wires
    # What X and Z of each wire are before the CNOTs so far; those two kinds never mix.
    x_before = [1 << (n_wires - 1 - wire) for wire in range(n_wires)]
    z_before = list(x_before)
    turns: list[Turn] = []
    if spec.encoding_rule.is_product:
        turns += [Turn(PauliString(1, mask, mask), -1 - q) for q, mask in enumerate(x_before)]
    for operation in spec.operations:
        match operation:
            case Cnots(pairs):
                for control, target in pairs:
                    x_before[control] ^= x_before[target]
                    z_before[target] ^= z_before[control]
            case Rotations(axis, weights):
                for wire, weight in enumerate(weights):
                    x = 0 if axis == "z" else x_before[wire]
                    z = 0 if axis == "x" else z_before[wire]
                    turns.append(Turn(PauliString(int(axis == "y"), x, z), weight))
    observables = tuple(_measured(name, z_before) for name in spec.observables)
    kept = _effective(turns, observables)
    idle = {turn.angle for turn in turns} - {turn.angle for turn in kept}
    is_product = spec.encoding_rule.is_product
    return TurnedCircuit(n_wires, kept, observables, tuple(sorted(idle)), is_product)


def _measured(name: str, z_before: Sequence[int]) -> PauliString:
    """An observable, a string of I and Z, before the CNOTs."""
    z = 0
    for wire, letter in enumerate(name):
        z ^= z_before[wire] if letter == "Z" else 0
    return PauliString(0, 0, z)


def _effective(turns: Sequence[Turn], observables: Sequence[PauliString]) -> tuple[Turn, ...]:
    """Without those of weights that commute with everything behind them."""
    kept: list[Turn] = []
    behind = list(observables)
    for turn in reversed(turns):
        if turn.is_encoding or not all(map(turn.string.commutes, reversed(behind))):
            kept.append(turn)
            behind.append(turn.string)
    return tuple(reversed(kept))
