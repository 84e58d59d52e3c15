"""A circuit of the user's as the kernels read it: turns by shared and moving angles, their tape.

Letters: F features, W weights, M observables, S strings, E terms, P' angles of a row, P'' of all,
Q wires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...layers.expressions import ExpressionInputs
from ...layers.program import Layer
from ..any_circuit.split_tape import split
from ..any_circuit.turned import turned_circuit
from .tape import Tape, levelled
from .turned import Turn, TurnedCircuit


@dataclass(frozen=True, eq=False)
class Sums:
    """Linear combinations, a row of a matrix each, without its zeros.

    Attributes:
        firsts: of each row's terms, and behind the last.
        columns, factors: (E,) of the terms.
    """

    firsts: NDArray[np.int32]
    columns: NDArray[np.int32]
    factors: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: NDArray[np.float64]) -> Sums:
        """The matrix's."""
        rows, columns = np.nonzero(matrix)
        firsts = np.searchsorted(rows, np.arange(len(matrix) + 1))
        return cls(firsts.astype(np.int32), columns.astype(np.int32), matrix[rows, columns])


@dataclass(frozen=True, eq=False)
class OwnCircuit:
    """What a layer computes.

    Attributes:
        turned: turns by angle i of the shared ones, or -1 - i of the moving ones, and S strings.
        start: (2^Q,) the state that the turns begin with.
        tape: the angles.
        factors: (M, S) outputs as sums of strings.
    """

    turned: TurnedCircuit
    start: NDArray[np.complex128]
    tape: Tape
    factors: NDArray[np.float64]

    @cached_property
    def seeds(self) -> Sums:
        """Of each string, from the outputs."""
        return Sums.of(self.factors.T)

    def outputs(self, strings: Sequence[int]) -> Sums:
        """Of each output, from these strings."""
        return Sums.of(self.factors[:, list(strings)])


@lru_cache(maxsize=64)
def own_circuit(layer: Layer) -> OwnCircuit:
    """The layer in that form; layers of one definition share it."""
    program = layer.program()
    inputs, circuit = program.inputs, turned_circuit(program)
    assert isinstance(inputs, ExpressionInputs)
    # Angles that move with the row come first.
    kept = sorted(turn.angle for turn in circuit.turns if turn.angle >= 0)
    n_moving = int(np.sum(inputs.by_features[kept]))
    numbers = {
        angle: ~place if place < n_moving else place - n_moving for place, angle in enumerate(kept)
    }
    offsets: list[float] = []
    turns: list[Turn] = []
    for turn in circuit.turns:
        if turn.angle >= 0:
            turns.append(Turn(turn.string, numbers[turn.angle]))
        else:
            turns.append(Turn(turn.string, len(kept) - n_moving + len(offsets)))
            offsets.append(turn.offset)
    strings = tuple({string: None for terms in circuit.observables for string, _ in terms})
    places = {string: place for place, string in enumerate(strings)}
    factors = np.zeros((len(circuit.observables), len(strings)))
    for row, terms in zip(factors, circuit.observables, strict=True):
        for string, factor in terms:
            row[places[string]] = factor
    tape = replace(inputs.tape, outputs=inputs.tape.outputs[kept])
    read = ExpressionInputs(tape, inputs.n_features, inputs.n_weights)
    return OwnCircuit(
        turned=TurnedCircuit(circuit.n_qubits, tuple(turns), strings, idle=(), is_product=False),
        start=circuit.start,
        tape=levelled(split(read, offsets)),
        factors=factors,
    )
