"""An ansatz in the form that the simulators execute: phases and layers of RY.

RX is RZ(-π/2) RY RZ(π/2), so every ansatz is a sequence of *stages*: a phase per basis state, then
RY on every wire. RY is real: the real and the imaginary part of a state turn independently of each
other, and only phases mix them. CNOTs permute basis states; those between two stages become the
order in which the second one reads its amplitudes. Phases and CNOTs behind the last stage are no
work at all: the former change no outcome in the Z basis, the latter change which wires' parity an
observable is.

Letters: S stages, Q wires, D = 2^Q amplitudes, R groups of Z rotations, M observables, W weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ...layers.ansatze import Cnots
from ...layers.inputs import Array
from ...layers.spec import LayerSpec

IntArray = NDArray[np.int64]

QUARTER_TURNS = (np.pi / 2, -np.pi / 2)
"""Constant angles: indices from W on name these."""


@dataclass(frozen=True)
class Circuit:
    """Stages of phases and rotations; angles are named by their index.

    Attributes:
        n_weights: W.
        orders: (S, D), the amplitudes of the stage before in the order in which a stage has them.
        rotations: (S, Q), which angle turns each wire around Y.
        phase_stages: (R,), the stage that each group of Z rotations opens.
        phase_orders: (R, D), the basis state that the group sees in each of its stage's.
        phase_angles: (R, Q), which angle turns each wire around Z.
        trainable: (S,), whether a stage's phases depend on weights.
        opens_apart: whether the first stage finds no CNOT before it, so that a product of wires'
            states stays one.
        observables: (M,), bits of the last stage's basis states whose parity is measured.
    """

    n_weights: int
    orders: IntArray
    rotations: IntArray
    phase_stages: IntArray
    phase_orders: IntArray
    phase_angles: IntArray
    trainable: NDArray[np.bool_]
    opens_apart: bool
    observables: IntArray

    @property
    def n_wires(self) -> int:
        """Q."""
        return self.rotations.shape[1]

    @property
    def n_stages(self) -> int:
        """S."""
        return self.rotations.shape[0]

    @cached_property
    def angle_places(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Where each angle acts: rotations, and stages, orders and angles of the phases."""
        return self.rotations, self.phase_stages, self.phase_orders, self.phase_angles

    def signs(self) -> Array:
        """Eigenvalues of the observables by basis state of the last stage, (M, D)."""
        states = np.arange(2**self.n_wires)
        return 1.0 - 2.0 * (np.bitwise_count(self.observables[:, None] & states) % 2)


@lru_cache(maxsize=32)
def circuit_of(spec: LayerSpec) -> Circuit:
    """The stages of a layer's ansatz, and its observables."""
    n_wires = spec.n_wires
    bits = [1 << (n_wires - 1 - wire) for wire in range(n_wires)]
    quarter, minus_quarter = ((spec.n_weights + k,) * n_wires for k in range(2))
    # CNOTs are linear over GF(2): where basis states come from, and which parities wires carry,
    # follows from single bits.
    origins, parities = list(bits), list(bits)
    stages: list[tuple[IntArray, tuple[int, ...]]] = []
    groups: list[tuple[int, IntArray, tuple[int, ...]]] = []
    for operation in spec.operations:
        if isinstance(operation, Cnots):
            for control, target in operation.pairs:
                origins[control] ^= origins[target]
                parities[target] ^= parities[control]
            continue
        places = _combinations(origins)
        if operation.axis == "z":
            groups.append((len(stages), places, operation.weights))
            continue
        if operation.axis == "x":
            groups.append((len(stages), places, quarter))
        stages.append((places, operation.weights))
        parities = list(bits)
        if operation.axis == "x":
            groups.append((len(stages), places, minus_quarter))
    groups = [group for group in groups if group[0] < len(stages)]
    trained = {stage for stage, _, angles in groups if angles[0] < spec.n_weights}
    opening = [stages[0][0], *(places for stage, places, _ in groups if stage == 0)]
    before = [_combinations(bits), *(places for places, _ in stages[:-1])]
    return Circuit(
        n_weights=spec.n_weights,
        orders=np.array([_find(stages[k][0], before[k]) for k in range(len(stages))]),
        rotations=np.array([weights for _, weights in stages]),
        phase_stages=np.array([stage for stage, _, _ in groups], dtype=np.int64),
        phase_orders=np.array(
            [_find(stages[stage][0], places) for stage, places, _ in groups], dtype=np.int64
        ).reshape(len(groups), 2**n_wires),
        phase_angles=np.array([angles for _, _, angles in groups], dtype=np.int64).reshape(
            len(groups), n_wires
        ),
        trainable=np.array([stage in trained for stage in range(len(stages))]),
        opens_apart=all(np.array_equal(places, before[0]) for places in opening),
        observables=np.array(
            [
                _combinations([parities[q] for q in range(n_wires) if name[q] == "Z"])[-1]
                for name in spec.observables
            ],
            dtype=np.int64,
        ),
    )


def _combinations(generators: list[int]) -> IntArray:
    """XORs of all subsets of n generators, (2^n,): the last generator is index bit 0."""
    combinations = np.zeros(1, dtype=np.int64)
    for generator in generators:
        combinations = np.stack([combinations, combinations ^ generator], axis=1).ravel()
    return combinations


def _find(wanted: IntArray, among: IntArray) -> IntArray:
    """Where each wanted number stands in a permutation."""
    return np.argsort(among)[wanted]
