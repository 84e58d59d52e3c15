"""Statevectors on the CPU: one pass of the compiled kernels forwards, one backwards.

Letters: B batch, F features, W weights, M observables, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import DTypeLike

from ..base import Array, Forward, check_finite
from ..encodings import FloatArray
from ..kernels.blocks import angle_rows
from ..kernels.simd import lanes
from ..kernels.threads import split
from ..spec import LayerSpec
from . import statevector as kernels
from .circuit import QUARTER_TURNS, Circuit, circuit_of

TILE_WIRES = 10
MAX_CHUNKS = 32
"""Sums over rows are taken chunk by chunk, whatever the number of threads, so that they round the
same way on every machine."""
PRODUCTS_PER_NANOSECOND = 10
"""Of one core, in float64: decides only whether other cores are worth waking."""


class Tables:
    """What the kernels read of a circuit, for one weight vector.

    Attributes:
        circuit: the stages.
        turns: (2, S, Q), cosines and sines of half the Y angles.
        phases: (S, 2, D), real and imaginary parts of every stage's phases.
    """

    def __init__(self, circuit: Circuit, weights: Array, dtype: DTypeLike) -> None:
        n_stages, n_wires = circuit.masks.shape
        self.circuit = circuit
        self.turns = np.empty((2, n_stages, n_wires), dtype)
        self.phases = np.empty((n_stages, 2, 2**n_wires), dtype)
        kernels.tabulate(
            circuit.angles(weights),
            circuit.rotations,
            circuit.phase_stages,
            circuit.phase_masks,
            circuit.phase_angles,
            self.turns,
            self.phases,
        )

    def pull(self, of_turns: FloatArray, of_phases: Array) -> Array:
        """Gradient (W,) from that with respect to the Y angles (S, Q) and the phases (S, D)."""
        circuit = self.circuit
        of_angles = np.zeros(circuit.n_weights + len(QUARTER_TURNS))
        kernels.pull_tables(
            of_turns,
            of_phases,
            circuit.rotations,
            circuit.phase_stages,
            circuit.phase_masks,
            circuit.phase_angles,
            circuit.trainable,
            of_angles,
        )
        return of_angles[: circuit.n_weights]


@dataclass(frozen=True)
class Pass:
    """A forward pass over rows of one layer; `states` (n_blocks, 2 D, L) if they were kept."""

    rows: FloatArray
    by_angle: bool
    tables: Tables
    states: FloatArray
    inverse_norms: FloatArray
    values: FloatArray

    def backward(self, cotangent: FloatArray, adjoints: FloatArray) -> tuple[FloatArray, Array]:
        """Gradients with respect to features (B, F) and weights (W,).

        Of sum(values * cotangent) for a cotangent (B, M); or, if `adjoints` (n_blocks, 2 D, L) is
        not empty, of sum(states * adjoints).
        """
        circuit = self.tables.circuit
        n_blocks = len(self.states)
        chunk = max(1, -(-n_blocks // MAX_CHUNKS))
        n_chunks = -(-n_blocks // chunk)
        n_stages, n_wires = circuit.masks.shape
        n_features = n_wires if self.by_angle else 2**n_wires
        of_rows = np.empty((len(self.rows), n_features), self.rows.dtype)
        of_turns = np.empty((n_chunks, n_stages, n_wires))
        of_phases = np.empty((n_chunks, n_stages if circuit.trainable.any() else 0, 2**n_wires))

        def run(first: int, last: int) -> None:
            kernels.backward(
                self.rows,
                self.by_angle,
                circuit.masks,
                self.tables.turns,
                self.tables.phases,
                circuit.trainable,
                circuit.observables,
                min(TILE_WIRES, n_wires),
                self.states,
                self.inverse_norms,
                cotangent,
                adjoints,
                chunk,
                of_rows,
                of_turns,
                of_phases,
                first,
                last,
            )

        split(run, n_chunks, 2 * _nanoseconds(circuit, self.rows))
        return of_rows, self.tables.pull(of_turns.sum(axis=0), of_phases.sum(axis=0))


def run_forward(features: FloatArray, by_angle: bool, tables: Tables, *, keep: bool) -> Pass:
    """Values of rows of features (B, F), with their final states if `keep`.

    Raises:
        InputError: a feature that is not finite.
    """
    circuit = tables.circuit
    rows = angle_rows(features) if by_angle else features
    n_lanes = lanes(features.dtype)
    n_blocks = -(-len(rows) // n_lanes)
    shape = (n_blocks if keep else 0, 2 * 2**circuit.n_wires, n_lanes)
    states = np.empty(shape, features.dtype)
    inverse_norms = np.empty((n_blocks, n_lanes), features.dtype)
    values = np.empty((len(rows), len(circuit.observables)), features.dtype)

    def run(first: int, last: int) -> int:
        return kernels.forward(
            rows,
            by_angle,
            circuit.masks,
            tables.turns,
            tables.phases,
            circuit.observables,
            min(TILE_WIRES, circuit.n_wires),
            states,
            inverse_norms,
            values,
            first,
            last,
        )

    if max(split(run, n_blocks, _nanoseconds(circuit, rows))) >= 0:
        check_finite("features", features)
    return Pass(rows, by_angle, tables, states, inverse_norms, values)


def forward(
    spec: LayerSpec, features: torch.Tensor, weights: Array, *, differentiate: bool
) -> Forward:
    """Outputs for features (B, F) on the CPU and weights (W,).

    Raises:
        InputError: a feature that is not finite.
    """
    given = features.detach().contiguous().numpy()
    tables = Tables(circuit_of(spec), weights, given.dtype)
    done = run_forward(given, spec.encoding == "angle", tables, keep=differentiate)
    values = torch.from_numpy(done.values)
    if not differentiate:
        return Forward(values, None)

    def pull(cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factors = cotangent.detach().contiguous().numpy()
        of_features, of_weights = done.backward(factors, done.states[:0])
        return torch.from_numpy(of_features), torch.from_numpy(of_weights)

    return Forward(values, pull)


def _nanoseconds(circuit: Circuit, rows: FloatArray) -> float:
    """Estimated time of a forward pass on one core."""
    n_stages, n_wires = circuit.masks.shape
    products = len(rows) * n_stages * (4 * n_wires + 8) * 2.0**n_wires
    return products * rows.itemsize / 8 / PRODUCTS_PER_NANOSECOND
