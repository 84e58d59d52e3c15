"""A small batch's pass through a circuit as one call of compiled code, forwards and backwards.

Between the large operations of a network, with cold caches, every call of NumPy or torch takes
about a hundredth of a millisecond, and a small batch spends more on those than in the kernels. So
tensors go in and out by their addresses, and one piece of memory holds all that a pass needs.

Arrays named as in `circuit.Circuit` are as there.

Letters: B batch, F features, W weights, M observables, S stages, Q wires, D = 2^Q amplitudes,
V vectors of a state, L lanes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...kernels.addresses import vector_at
from ...kernels.cache import helper, kernel
from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import VECTOR_BYTES, FloatArray, lanes
from ...kernels.threads import WORTH_SPLITTING
from ...layers.inputs import check_finite
from ...layers.spec import LayerSpec
from ...seam.backend import Forward, Gradients
from . import passes
from .circuit import IntArray, circuit_of
from .engine import nanoseconds
from .gates import n_vectors

_BAD_WEIGHT = -2


@dataclass(frozen=True, slots=True)
class Program:
    """A layer that whole passes of small batches can be run through, in one number format.

    Attributes:
        spec: the layer.
        max_rows: B above which a second core is worth waking.
        arguments: what both kernels read of the circuit.
        memory: numbers that a pass keeps, whatever its batch.
        memory_per_block: and for every L rows of it.
    """

    spec: LayerSpec
    max_rows: int
    arguments: tuple[Any, ...]
    memory: int
    memory_per_block: int

    def forward(self, features: torch.Tensor, weights: torch.Tensor) -> Forward:
        """Outputs and pullback for features (B, F) and weights (W,) of the program's format.

        Raises:
            InputError: a feature or a weight that is not finite.
        """
        dtype, n_rows, arguments = features.dtype, features.shape[0], self.arguments
        given, angles = features.contiguous(), weights.contiguous()
        n_blocks = -(-n_rows * given.element_size() // VECTOR_BYTES)
        memory = torch.empty(self.memory + n_blocks * self.memory_per_block, dtype=dtype)
        values = torch.empty((n_rows, self.spec.n_outputs), dtype=dtype)
        bad = _forward(
            given.data_ptr(),
            angles.data_ptr(),
            memory.data_ptr(),
            values.data_ptr(),
            n_rows,
            *arguments,
        )
        if bad == _BAD_WEIGHT:
            check_finite("weights", angles.detach().numpy()[None])
        elif bad >= 0:
            check_finite("features", given.detach().numpy())

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            factors = cotangent.contiguous()
            by_features = torch.empty_like(given if of_features else factors)
            by_weights = torch.empty_like(angles)
            _backward(
                given.data_ptr(),
                memory.data_ptr(),
                factors.data_ptr(),
                by_features.data_ptr(),
                by_weights.data_ptr(),
                n_rows if of_features else 0,
                n_rows,
                *arguments,
            )
            return by_features if of_features else None, by_weights if of_weights else None

        return Forward(values, pull)


def program(spec: LayerSpec, dtype: torch.dtype) -> Program:
    """The layer's program for float32 or float64."""
    circuit = circuit_of(spec)
    like = np.empty(0, np.float32 if dtype == torch.float32 else np.float64)
    n_stages, n_amplitudes = circuit.orders.shape
    width, n_lanes = n_vectors(circuit.n_wires), lanes(like.dtype)
    n_blocks = int(WORTH_SPLITTING / nanoseconds(circuit, 1))
    arguments = (
        spec.n_weights,
        spec.encoding_rule.is_product,
        like,
        width,
        circuit.opens_apart,
        circuit.orders,
        *circuit.angle_places,
        circuit.trainable,
        circuit.observables,
    )
    return Program(
        spec=spec,
        max_rows=n_blocks * n_lanes,
        arguments=arguments,
        memory=2 * n_stages * (circuit.n_wires + n_amplitudes) + 4 * width * n_lanes,
        memory_per_block=n_lanes * (width + 1 + 2 * circuit.n_wires),
    )


@kernel
def _forward(
    features: int,
    weights: int,
    memory: int,
    values: int,
    n_rows: int,
    n_weights: int,
    by_angle: bool,
    like: FloatArray,
    n_vectors: int,
    opens_apart: bool,
    orders: IntArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    trainable: NDArray[np.bool_],
    observables: IntArray,
) -> int:
    """Fill `values` (B, M) and `memory` from `features` (B, F) and `weights` (W,), by address.

    Returns the first row with an entry that is not finite, `_BAD_WEIGHT`, or -1.
    """
    states, work, norms, turns, phases, halves = _parts(
        memory, like, n_vectors, n_rows, orders, rotations
    )
    angles = vector_at(weights, like, n_weights)
    if not passes.tabulate(
        angles, rotations, phase_stages, phase_orders, phase_angles, turns, phases
    ):
        return _BAD_WEIGHT
    n_wires = rotations.shape[1]
    if by_angle:
        given = vector_at(features, like, n_rows * n_wires).reshape(n_rows, n_wires)
        for row in range(n_rows):
            for wire in range(n_wires):
                halves[row, wire] = math.cos(given[row, wire] / 2)
                halves[row, n_wires + wire] = math.sin(given[row, wire] / 2)
        rows = halves
    else:
        width = orders.shape[1]
        rows = vector_at(features, like, n_rows * width).reshape(n_rows, width)
    n_outputs = len(observables)
    results = vector_at(values, like, n_rows * n_outputs).reshape(n_rows, n_outputs)
    return passes.forward(
        rows, by_angle, opens_apart, orders, turns, phases, observables, states, norms, work,
        results, 0, len(states),
    )  # fmt: skip


@kernel
def _backward(
    features: int,
    memory: int,
    cotangent: int,
    of_features: int,
    of_weights: int,
    n_wanted: int,
    n_rows: int,
    n_weights: int,
    by_angle: bool,
    like: FloatArray,
    n_vectors: int,
    opens_apart: bool,
    orders: IntArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    trainable: NDArray[np.bool_],
    observables: IntArray,
) -> None:
    """Fill `of_features` (B, F) and `of_weights` (W,) from the `memory` that `_forward` left.

    `n_wanted` is B, or 0 where the former are not wanted.
    """
    states, work, norms, turns, phases, halves = _parts(
        memory, like, n_vectors, n_rows, orders, rotations
    )
    n_stages, n_amplitudes = orders.shape
    n_wires, n_blocks, n_outputs = rotations.shape[1], len(states), len(observables)
    n_features = n_wires if by_angle else n_amplitudes
    of_rows = vector_at(of_features, like, n_wanted * n_features).reshape(n_wanted, n_features)
    if by_angle:
        rows = halves
    else:
        rows = vector_at(features, like, n_rows * n_features).reshape(n_rows, n_features)
    factors = vector_at(cotangent, like, n_rows * n_outputs).reshape(n_rows, n_outputs)
    chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS)
    of_turns = np.empty((n_chunks, n_stages, n_wires))
    of_phases = np.empty((n_chunks, n_stages, n_amplitudes))
    passes.backward(
        rows, by_angle, opens_apart, orders, turns, phases, trainable, observables, states, norms,
        factors, states[:0], chunk, work, of_rows, of_turns, of_phases, 0, n_chunks,
    )  # fmt: skip
    gradient = np.empty(n_weights)
    passes.pull_tables(
        of_turns, of_phases, rotations, phase_stages, phase_orders, phase_angles, trainable,
        gradient,
    )  # fmt: skip
    vector_at(of_weights, like, n_weights)[:] = gradient


@helper
def _parts(
    memory: int,
    like: FloatArray,
    width: int,
    n_rows: int,
    orders: IntArray,
    rotations: IntArray,
) -> tuple[FloatArray, ...]:
    """The memory of a pass: final states (n_blocks, V, L), work (4 V, L), inverse norms
    (n_blocks, L), turns (2, S, Q), phases (S, 2, D), and the halves of angles (B, 2 Q)."""
    n_stages, n_amplitudes = orders.shape
    n_wires = rotations.shape[1]
    n_lanes = VECTOR_BYTES // like.itemsize
    n_blocks = -(-n_rows // n_lanes)
    sizes = (
        n_blocks * width * n_lanes,
        4 * width * n_lanes,
        n_blocks * n_lanes,
        2 * n_stages * n_wires,
        2 * n_stages * n_amplitudes,
        n_rows * 2 * n_wires,
    )
    starts = np.empty(7, np.int64)
    starts[0] = 0
    for part in range(6):
        starts[part + 1] = starts[part] + sizes[part]
    whole = vector_at(memory, like, starts[6])
    return (
        whole[: starts[1]].reshape(n_blocks, width, n_lanes),
        whole[starts[1] : starts[2]].reshape(4 * width, n_lanes),
        whole[starts[2] : starts[3]].reshape(n_blocks, n_lanes),
        whole[starts[3] : starts[4]].reshape(2, n_stages, n_wires),
        whole[starts[4] : starts[5]].reshape(n_stages, 2, n_amplitudes),
        whole[starts[5] :].reshape(n_rows, 2 * n_wires),
    )
