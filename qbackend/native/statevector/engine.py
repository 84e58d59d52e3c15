"""Statevectors on the CPU: one pass of the compiled kernels forwards, one backwards.

Letters: B batch, F features, W weights, M observables, S stages, Q wires, V vectors of
a state, L lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import DTypeLike

from ...kernels.blocks import angle_rows
from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import FloatArray, lanes
from ...kernels.memory import Lease
from ...kernels.threads import split
from ...layers.inputs import Array, check_finite
from ...layers.spec import LayerSpec
from ...seam.backend import Forward, Gradients
from . import passes
from .circuit import Circuit, circuit_of
from .gates import n_vectors

VECTORS_PER_NANOSECOND = 5
"""Operations on vectors, of one core: decides only whether other cores are worth waking."""


class Tables:
    """What the kernels read of a circuit, for one weight vector.

    Attributes:
        circuit: the stages.
        turns: (2, S, Q), cosines and sines of half the Y angles.
        phases: (S, 2, D), real and imaginary parts of every stage's phases.

    Raises:
        InputError: a weight that is not finite.
    """

    def __init__(self, circuit: Circuit, weights: FloatArray, dtype: DTypeLike) -> None:
        self.circuit = circuit
        n_stages, n_amplitudes = circuit.orders.shape
        self.turns = np.empty((2, *circuit.rotations.shape), dtype)
        self.phases = np.empty((n_stages, 2, n_amplitudes), dtype)
        are_finite = passes.tabulate(
            weights,
            *circuit.angle_places,
            self.turns,
            self.phases,
        )
        if not are_finite:
            check_finite("weights", weights[None])

    def pull(self, of_turns: FloatArray, of_phases: FloatArray) -> Array:
        """Gradient (W,) from parts with respect to Y angles (n, S, Q) and phases (n, S, D)."""
        circuit = self.circuit
        of_weights = np.empty(circuit.n_weights)
        passes.pull_tables(
            of_turns,
            of_phases,
            *circuit.angle_places,
            circuit.trainable,
            of_weights,
        )
        return of_weights


@dataclass(frozen=True)
class Pass:
    """A forward pass over rows of one layer.

    Attributes:
        rows: what `blocks.encode` takes.
        by_angle: whether they are angles.
        tables: of the circuit.
        kept: final states (n_blocks, V, L), none unless they were to be kept.
        inverse_norms: (n_blocks, L).
        values: (B, M).
    """

    rows: FloatArray
    by_angle: bool
    tables: Tables
    kept: Lease
    inverse_norms: FloatArray
    values: FloatArray

    def backward(
        self, cotangent: FloatArray, adjoints: FloatArray, *, of_features: bool
    ) -> tuple[FloatArray, Array]:
        """Gradients with respect to features (B, F), or none (0, F), and weights (W,).

        Of sum(values * cotangent) for a cotangent (B, M); or, if `adjoints` (n_blocks, V, L) is
        not empty, of sum(states * adjoints).
        """
        circuit, states = self.tables.circuit, self.kept.array
        n_blocks, width, n_lanes = states.shape
        chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS)
        n_stages, n_wires = circuit.rotations.shape
        n_features = n_wires if self.by_angle else 2**n_wires
        of_rows = np.empty((len(self.rows) if of_features else 0, n_features), states.dtype)
        of_turns = np.empty((n_chunks, n_stages, n_wires))
        of_phases = np.empty((n_chunks, n_stages, 2**n_wires))

        def run(first: int, last: int) -> None:
            work = Lease((4 * width, n_lanes), states.dtype)
            passes.backward(
                self.rows,
                self.by_angle,
                circuit.opens_apart,
                circuit.orders,
                self.tables.turns,
                self.tables.phases,
                circuit.trainable,
                circuit.observables,
                states,
                self.inverse_norms,
                cotangent,
                adjoints,
                chunk,
                work.array,
                of_rows,
                of_turns,
                of_phases,
                first,
                last,
            )

        split(run, n_chunks, 2 * nanoseconds(circuit, n_blocks))
        return of_rows, self.tables.pull(of_turns, of_phases)


def run_forward(features: FloatArray, by_angle: bool, tables: Tables, *, keep: bool) -> Pass:
    """Values of rows of features (B, F), with their final states if `keep`.

    Raises:
        InputError: a feature that is not finite.
    """
    circuit = tables.circuit
    n_rows, n_lanes, width = len(features), lanes(features.dtype), n_vectors(circuit.n_wires)
    n_blocks = -(-n_rows // n_lanes)
    done = Pass(
        rows=angle_rows(features) if by_angle else features,
        by_angle=by_angle,
        tables=tables,
        kept=Lease((n_blocks if keep else 0, width, n_lanes), features.dtype),
        inverse_norms=np.empty((n_blocks, n_lanes), features.dtype),
        values=np.empty((n_rows, len(circuit.observables)), features.dtype),
    )

    def run(first: int, last: int) -> int:
        work = Lease((2 * width, n_lanes), features.dtype)
        return passes.forward(
            done.rows,
            by_angle,
            circuit.opens_apart,
            circuit.orders,
            tables.turns,
            tables.phases,
            circuit.observables,
            done.kept.array,
            done.inverse_norms,
            work.array,
            done.values,
            first,
            last,
        )

    if max(split(run, n_blocks, nanoseconds(circuit, n_blocks))) >= 0:
        check_finite("features", features)
    return done


def forward(
    spec: LayerSpec, features: torch.Tensor, weights: FloatArray, *, differentiate: bool
) -> Forward:
    """Outputs for features (B, F) on the CPU and weights (W,).

    Raises:
        InputError: a feature that is not finite.
    """
    given = features.detach().contiguous().numpy()
    tables = Tables(circuit_of(spec), weights, given.dtype)
    done = run_forward(given, spec.encoding_rule.is_product, tables, keep=differentiate)
    values = torch.from_numpy(done.values)
    if not differentiate:
        return Forward(values, None)

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        factors: FloatArray = cotangent.detach().contiguous().numpy()
        no_adjoints = done.kept.array[:0]
        by_features, by_weights = done.backward(factors, no_adjoints, of_features=of_features)
        return (
            torch.from_numpy(by_features) if of_features else None,
            torch.from_numpy(by_weights) if of_weights else None,
        )

    return Forward(values, pull)


def nanoseconds(circuit: Circuit, n_blocks: int) -> float:
    """Estimated time of a forward pass over so many blocks on one core."""
    n_stages, n_wires = circuit.rotations.shape
    return n_blocks * n_stages * 2**n_wires * (4 * n_wires + 10) / VECTORS_PER_NANOSECOND
