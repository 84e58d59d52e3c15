"""Passes of a circuit over blocks of states, compiled: values forwards, adjoint method backwards.

Arrays named as in `circuit.Circuit` are as there.

Letters: B batch, S stages, Q wires, D = 2^Q amplitudes, R groups of Z rotations, M observables,
V vectors of a state (`gates.n_vectors`), L lanes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.blocks import encode, pull_encoding, to_lanes
from ...kernels.cache import kernel
from ...kernels.lanes import FloatArray, load, store, total, zeros
from .circuit import QUARTER_TURNS, IntArray
from .gates import pull_stage, run_stage
from .measurement import PARITY_SIZE, measure, pull_measurement
from .products import pull_product, run_product


@kernel
def tabulate(
    weights: FloatArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    turns: FloatArray,
    phases: FloatArray,
) -> bool:
    """Fill the tables of a circuit for weights (W,); returns whether these are all finite.

    `turns` (2, S, Q) receives cosines and sines of half the Y angles; `phases` (S, 2, D) real and
    imaginary parts of every stage's phases.
    """
    for index in range(len(weights)):
        if not math.isfinite(weights[index]):
            return False
    n_stages, n_wires = rotations.shape
    for stage in range(n_stages):
        for wire in range(n_wires):
            half = float(weights[rotations[stage, wire]]) / 2
            turns[0, stage, wire], turns[1, stage, wire] = math.cos(half), math.sin(half)
    n_amplitudes = phases.shape[2]
    phases[:, 0] = 1
    phases[:, 1] = 0
    real, imaginary = np.empty(n_amplitudes), np.empty(n_amplitudes)
    for group in range(len(phase_stages)):
        real[0], imaginary[0], count = 1.0, 0.0, 1
        for wire in range(n_wires - 1, -1, -1):
            name = phase_angles[group, wire]
            if name < len(weights):
                angle = float(weights[name])
            else:
                angle = QUARTER_TURNS[name - len(weights)]
            cosine, sine = math.cos(angle), math.sin(angle)
            for index in range(count):
                real[count + index] = cosine * real[index] - sine * imaginary[index]
                imaginary[count + index] = sine * real[index] + cosine * imaginary[index]
            count *= 2
        table = phases[phase_stages[group]]
        for index in range(n_amplitudes):
            state = phase_orders[group, index]
            before = table[0, index]
            table[0, index] = before * real[state] - table[1, index] * imaginary[state]
            table[1, index] = before * imaginary[state] + table[1, index] * real[state]
    return True


@kernel
def forward(
    rows: FloatArray,
    by_angle: bool,
    opens_apart: bool,
    orders: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    observables: IntArray,
    states: FloatArray,
    inverse_norms: FloatArray,
    work: FloatArray,
    values: FloatArray,
    first_block: int,
    last_block: int,
) -> int:
    """Values (B, M) of the blocks from `first_block` until `last_block`.

    `rows` and `inverse_norms` are as in `blocks.encode`. `states` (n_blocks, V, L) keeps the final
    states, unless it is empty; `work` (2 V, L) is used up. Returns the first row with an entry that
    is not finite, or -1.
    """
    n_stages, n_amplitudes = orders.shape
    _, n_vectors, lanes = states.shape
    kept = states.reshape(-1, lanes)
    parities = np.empty((PARITY_SIZE, lanes), states.dtype)
    outputs = np.empty((len(observables), lanes), states.dtype)
    is_product = by_angle and opens_apart
    for block in range(first_block, last_block):
        source, origin = work, 0
        if is_product:
            if n_stages == 1 and len(states) > 0:
                source, origin = kept, n_vectors * block
            bad_row = run_product(rows, block * lanes, phases, turns, source, origin)
        else:
            bad_row = encode(rows, by_angle, block * lanes, work, 0, inverse_norms)
        if bad_row >= 0:
            return bad_row
        for stage in range(1 if is_product else 0, n_stages):
            target, start = work, n_vectors - origin
            if stage == n_stages - 1 and len(states) > 0:
                target, start = kept, n_vectors * block
            run_stage(source, origin, target, start, stage, orders, phases, turns)
            source, origin = target, start
        measure(source, origin, n_amplitudes, observables, parities, outputs)
        for row in range(block * lanes, min((block + 1) * lanes, len(values))):
            for output in range(len(observables)):
                values[row, output] = outputs[output, row - block * lanes]
    return -1


@kernel
def backward(
    rows: FloatArray,
    by_angle: bool,
    opens_apart: bool,
    orders: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    trainable: NDArray[np.bool_],
    observables: IntArray,
    states: FloatArray,
    inverse_norms: FloatArray,
    cotangent: FloatArray,
    adjoints: FloatArray,
    chunk_blocks: int,
    work: FloatArray,
    of_rows: FloatArray,
    of_turns: NDArray[np.float64],
    of_phases: NDArray[np.float64],
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of sum(values * cotangent) for the chunks from `first_chunk` until `last_chunk`.

    A chunk is `chunk_blocks` blocks; `states` are those that `forward` kept. `adjoints`
    (n_blocks, V, L), unless empty, is the gradient with respect to them, and stands in for that
    with respect to the values, `cotangent` (B, M). `work` (4 V, L) is used up. `of_rows` (B, F),
    unless empty, receives the gradient with respect to the features, `of_turns` (n_chunks, S, Q)
    every chunk's with respect to the Y angles, `of_phases` (n_chunks, S, D) with respect to the
    phases where they are trainable.
    """
    n_stages, n_amplitudes = orders.shape
    n_wires = turns.shape[2]
    n_blocks, half, lanes = states.shape
    kept, given = states.reshape(-1, lanes), adjoints.reshape(-1, lanes)
    parities = np.empty((PARITY_SIZE, lanes), states.dtype)
    factors = np.empty((len(observables), lanes), states.dtype)
    overlaps = np.empty((n_stages * n_wires, lanes), states.dtype)
    is_product = by_angle and opens_apart
    for chunk in range(first_chunk, last_chunk):
        for index in range(n_stages * n_wires):
            store(overlaps, index, zeros(overlaps))
        for stage in range(n_stages):
            if trainable[stage]:
                of_phases[chunk, stage] = 0
        for block in range(chunk * chunk_blocks, min((chunk + 1) * chunk_blocks, n_blocks)):
            first, start, source, target = block * lanes, half * block, 0, 2 * half
            if len(adjoints) > 0:
                for index in range(half):
                    store(work, index, load(kept, start + index))
                    store(work, half + index, load(given, start + index))
            else:
                to_lanes(cotangent, first, factors, 0)
                pull_measurement(
                    kept, start, n_amplitudes, observables, factors, parities, work, half
                )
            for stage in range(n_stages - 1, 0 if is_product else -1, -1):
                pull_stage(
                    work, source, target, half, stage, orders, phases, turns, overlaps,
                    trainable[stage], of_phases, chunk, stage > 1 or not is_product,
                )  # fmt: skip
                source, target = target, source
            if is_product:
                pull_product(
                    rows, first, phases, turns, work, source + half, target, overlaps,
                    trainable[0], of_phases, chunk, of_rows,
                )  # fmt: skip
            elif len(of_rows) > 0:
                pull_encoding(
                    rows, by_angle, first, work, source, work, source + half, inverse_norms,
                    of_rows,
                )  # fmt: skip
        for stage in range(n_stages):
            for wire in range(n_wires):
                of_turns[chunk, stage, wire] = total(load(overlaps, stage * n_wires + wire)) / 2


@kernel
def pull_tables(
    of_turns: NDArray[np.float64],
    of_phases: NDArray[np.float64],
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    trainable: NDArray[np.bool_],
    of_weights: NDArray[np.float64],
) -> None:
    """Gradient (W,) from every chunk's with respect to turns (S, Q) and phases (S, D)."""
    n_chunks, n_stages, n_wires = of_turns.shape
    of_weights[:] = 0
    for chunk in range(n_chunks):
        for stage in range(n_stages):
            for wire in range(n_wires):
                of_weights[rotations[stage, wire]] += of_turns[chunk, stage, wire]
    slopes = np.empty(phase_orders.shape[1])
    for group in range(len(phase_stages)):
        stage = phase_stages[group]
        if not trainable[stage] or phase_angles[group, 0] >= len(of_weights):
            continue
        slopes[:] = 0
        for chunk in range(n_chunks):
            for index in range(len(slopes)):
                slopes[phase_orders[group, index]] += of_phases[chunk, stage, index]
        count = len(slopes) // 2
        for wire in range(n_wires):
            for index in range(count):
                of_weights[phase_angles[group, wire]] += slopes[count + index]
                slopes[index] += slopes[count + index]
            count //= 2
