"""An ansatz in the form that the simulators execute: phases and layers of RY.

RX is RZ(-π/2) RY RZ(π/2), so every ansatz is a sequence of *stages*: a phase per basis state, then
RY on every wire. RY is real: the real and the imaginary part of a state turn independently of each
other, and only phases mix them. CNOTs cost nothing. They permute basis states linearly over GF(2),
so instead of moving amplitudes we keep, per wire, the mask that flips that wire's bit: the
amplitude that is logically at y is stored where the masks of y's bits XOR to. A phase behind the
last stage changes no outcome in the Z basis and is dropped.

Letters: S stages, Q wires, R groups of Z rotations, M observables, W weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..ansatze import Cnots
from ..base import Array
from ..spec import LayerSpec

IntArray = NDArray[np.int64]

QUARTER_TURNS = (np.pi / 2, -np.pi / 2)
"""Constant angles; a circuit's angles are the weights followed by these."""


@dataclass(frozen=True)
class Circuit:
    """Stages of phases and rotations.

    Attributes:
        masks: (S, Q), what flips each wire's bit in storage during a stage's rotations.
        rotations: (S, Q), which angle turns each wire around Y.
        phase_stages: (R,), the stage that each group of Z rotations opens, in ascending order.
        phase_masks: (R, Q), as `masks`, at that group.
        phase_angles: (R, Q), which angle turns each wire around Z.
        trainable: (S,), whether a stage's phases depend on weights.
        observables: (M,), which bits' parity each observable is, counted in the last stage.
        n_weights: W.
    """

    masks: IntArray
    rotations: IntArray
    phase_stages: IntArray
    phase_masks: IntArray
    phase_angles: IntArray
    trainable: NDArray[np.bool_]
    observables: IntArray
    n_weights: int

    @property
    def n_wires(self) -> int:
        """Q."""
        return self.masks.shape[1]

    @property
    def n_stages(self) -> int:
        """S."""
        return self.masks.shape[0]

    def angles(self, weights: Array) -> Array:
        """Weights (W,) followed by the constants."""
        return np.concatenate([weights, QUARTER_TURNS])

    def places(self, stage: int) -> IntArray:
        """Where each logical amplitude of a stage is stored, (D,)."""
        places = np.zeros(1, dtype=np.int64)
        for mask in self.masks[stage]:
            places = np.stack([places, places ^ mask], axis=1).ravel()
        return places

    def signs(self) -> Array:
        """Eigenvalues of the observables, (M, D), by place in storage."""
        places = self.places(self.n_stages - 1)
        signs = np.empty((len(self.observables), len(places)))
        parities = np.bitwise_count(self.observables[:, None] & np.arange(len(places))) % 2
        signs[:, places] = 1.0 - 2.0 * parities
        return signs


@lru_cache(maxsize=64)
def circuit_of(spec: LayerSpec) -> Circuit:
    """The stages of a layer's ansatz, and its observables."""
    n_wires = spec.n_wires
    quarter, minus_quarter = ((spec.n_weights + k,) * n_wires for k in range(2))
    bits = [1 << (n_wires - 1 - wire) for wire in range(n_wires)]
    masks, parities = list(bits), list(bits)
    stages: list[tuple[list[int], tuple[int, ...]]] = []
    phases: list[tuple[int, list[int], tuple[int, ...]]] = []

    for operation in spec.operations:
        if isinstance(operation, Cnots):
            for control, target in operation.pairs:
                masks[control] ^= masks[target]
                parities[target] ^= parities[control]
            continue
        if operation.axis == "x":
            phases.append((len(stages), list(masks), quarter))
        if operation.axis == "z":
            phases.append((len(stages), list(masks), operation.weights))
            continue
        stages.append((list(masks), operation.weights))
        parities = list(bits)
        if operation.axis == "x":
            phases.append((len(stages), list(masks), minus_quarter))

    phases = [phase for phase in phases if phase[0] < len(stages)]
    trainable = [
        any(stage == index and angles[0] < spec.n_weights for stage, _, angles in phases)
        for index in range(len(stages))
    ]
    observables = [
        np.bitwise_xor.reduce([parities[wire] for wire in range(n_wires) if name[wire] == "Z"] or 0)
        for name in spec.observables
    ]
    return Circuit(
        masks=np.array([stage[0] for stage in stages]),
        rotations=np.array([stage[1] for stage in stages]),
        phase_stages=np.array([phase[0] for phase in phases], dtype=np.int64),
        phase_masks=np.array([phase[1] for phase in phases], dtype=np.int64).reshape(-1, n_wires),
        phase_angles=np.array([phase[2] for phase in phases], dtype=np.int64).reshape(-1, n_wires),
        trainable=np.array(trainable),
        observables=np.array(observables, dtype=np.int64),
        n_weights=spec.n_weights,
    )
