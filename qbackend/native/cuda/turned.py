"""Layers as rotations about Pauli strings by angles that the kernels number in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ...layers.spec import LayerSpec
from ...layers.spec_circuit import qubit_of
from ..any_circuit.strings import PauliString, letters
from ..any_circuit.turned import turned_ansatz


@dataclass(frozen=True)
class Turn:
    """exp(-i angle/2 P).

    Attributes:
        string: P.
        angle: index of one that all rows share, or -1 - index of one of the row's own.
    """

    string: PauliString
    angle: int


@dataclass(frozen=True)
class TurnedCircuit:
    """What becomes of the state that a row begins with: |0...0>, its amplitudes, or any other.

    Attributes:
        n_wires: Q.
        turns: in the order of execution; an angle encoding's RYs come first.
        observables: strings, in the order of the outputs if these are no sums of them.
        idle: shared angles that no output depends on.
        is_product: whether rows begin with what an angle encoding's RYs make of |0...0>.
    """

    n_wires: int
    turns: tuple[Turn, ...]
    observables: tuple[PauliString, ...]
    idle: tuple[int, ...]
    is_product: bool


@lru_cache(maxsize=64)
def turned_layer(spec: LayerSpec) -> TurnedCircuit:
    """A layer of the catalogue in that form."""
    n_wires, is_product = spec.n_wires, spec.encoding_rule.is_product
    ansatz = turned_ansatz(spec)
    wires = range(n_wires if is_product else 0)
    encoding = [Turn(letters("Y", (qubit_of(wire, n_wires),)), ~wire) for wire in wires]
    turns = [Turn(turn.string, turn.angle) for turn in ansatz.turns]
    return TurnedCircuit(
        n_wires,
        turns=(*encoding, *turns),
        # Strings of Z before CNOTs are strings of Z.
        observables=tuple(string for ((string, _),) in ansatz.observables),
        idle=tuple(sorted(set(range(spec.n_weights)) - {turn.angle for turn in turns})),
        is_product=is_product,
    )
