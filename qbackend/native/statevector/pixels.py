"""Statevectors of every pixel's channel vector, for several circuits of one kind, compiled.

A block of pixels is read once and carried through all circuits. The backward pass keeps no states:
it carries the block forwards again and undoes the stages one by one. Tables of all circuits stand
side by side; arrays named as in `circuit.Circuit` are as there.

Letters: C channels, D amplitudes, K circuits, L lanes, M outputs of all, Q wires, S stages.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper, kernel
from ...kernels.lanes import VECTOR_BYTES, FloatArray, load, store, total, zeros
from ...kernels.maps import Layout, aligned, normalise, pull_normalise, read_maps, write_maps
from .circuit import IntArray
from .gates import n_vectors, pull_stage, run_stage
from .measurement import PARITY_SIZE, measure, pull_measurement

_n_vectors = helper(n_vectors)


@kernel
def forward(
    features: FloatArray,
    layout: Layout,
    orders: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    observables: IntArray,
    length: bool,
    values: FloatArray,
    of_values: Layout,
    first_block: int,
    last_block: int,
) -> int:
    """Values of the blocks from `first_block` until `last_block`.

    `features` and `values` are maps as in `maps.read_maps`; `turns` (K, 2, S, Q) and `phases`
    (K, S, 2, D) are the circuits' tables. Outputs beyond the maps of `values` are cut; with
    `length` the last map gets the norms. Returns the first block with an entry that is not
    finite, or -1.
    """
    n_channels, n_maps = layout[1], of_values[1]
    n_circuits, n_outputs = len(turns), len(observables)
    n_amplitudes = orders.shape[1]
    half = _n_vectors(turns.shape[3])
    units = aligned(n_amplitudes, features)
    inverse_norms = aligned(1, features)
    work = aligned(2 * half, features)
    parities = aligned(PARITY_SIZE, features)
    outputs = aligned(n_circuits * n_outputs + 1, features)
    for index in range(n_channels, n_amplitudes):
        store(units, index, zeros(units))
    for block in range(first_block, last_block):
        read_maps(features, layout, block, units)
        if not normalise(units, n_channels, inverse_norms):
            return block
        for k in range(n_circuits):
            at = _run(units, work, half, orders, turns[k], phases[k])
            own = outputs[k * n_outputs : (k + 1) * n_outputs]
            measure(work, at, n_amplitudes, observables, parities, own)
        if length:
            for lane in range(outputs.shape[1]):
                inverse = inverse_norms[0, lane]
                outputs[n_maps - 1, lane] = 1 / inverse if inverse > 0 else 0
        write_maps(outputs, values, of_values, block)
    return -1


@kernel
def backward(
    features: FloatArray,
    layout: Layout,
    orders: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    trainable: NDArray[np.bool_],
    observables: IntArray,
    length: bool,
    cotangent: FloatArray,
    of_values: Layout,
    chunk_blocks: int,
    of_features: FloatArray,
    of_layout: Layout,
    of_turns: NDArray[np.float64],
    of_phases: NDArray[np.float64],
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of sum(values * cotangent) for the chunks from `first_chunk` until `last_chunk`.

    A chunk is `chunk_blocks` blocks. `of_features` are maps as `features`, unless empty.
    `of_turns` (K, n_chunks, S, Q) receives every chunk's gradient with respect to the Y angles,
    `of_phases` (K, n_chunks, S, D) with respect to the phases where they are trainable.
    """
    n_images, n_channels, n_pixels, _, _, _ = layout
    n_circuits, _, n_stages, n_wires = turns.shape
    n_maps, n_outputs, n_amplitudes = of_values[1], len(observables), orders.shape[1]
    lanes = VECTOR_BYTES // features.itemsize
    n_blocks = (n_images * n_pixels + lanes - 1) // lanes
    half = _n_vectors(n_wires)
    units, of_units = aligned(n_amplitudes, features), aligned(n_amplitudes, features)
    inverse_norms = aligned(1, features)
    states, work = aligned(2 * half, features), aligned(4 * half, features)
    parities = aligned(PARITY_SIZE, features)
    factors = aligned(n_circuits * n_outputs + 1, features)
    overlaps = aligned(n_circuits * n_stages * n_wires, features)
    for index in range(n_channels, n_amplitudes):
        store(units, index, zeros(units))
    for chunk in range(first_chunk, last_chunk):
        of_phases[:, chunk] = 0
        for index in range(len(overlaps)):
            store(overlaps, index, zeros(overlaps))
        for block in range(chunk * chunk_blocks, min((chunk + 1) * chunk_blocks, n_blocks)):
            read_maps(features, layout, block, units)
            normalise(units, n_channels, inverse_norms)
            read_maps(cotangent, of_values, block, factors)
            slope = load(factors, n_maps - 1)
            for index in range(n_maps - length, n_circuits * n_outputs):
                store(factors, index, zeros(factors))
            for index in range(n_amplitudes):
                store(of_units, index, zeros(of_units))
            for k in range(n_circuits):
                at = _run(units, states, half, orders, turns[k], phases[k])
                own = factors[k * n_outputs : (k + 1) * n_outputs]
                pull_measurement(states, at, n_amplitudes, observables, own, parities, work, half)
                angles = overlaps[k * n_stages * n_wires : (k + 1) * n_stages * n_wires]
                source, target = 0, 2 * half
                for stage in range(n_stages - 1, -1, -1):
                    pull_stage(
                        work, source, target, half, stage, orders, phases[k], turns[k], angles,
                        trainable[stage], of_phases[k], chunk, stage > 0,
                    )  # fmt: skip
                    source, target = target, source
                for index in range(n_channels):
                    so_far = load(of_units, index)
                    store(of_units, index, so_far + load(work, source + half + index))
            if len(of_features) > 0:
                pull_normalise(units, n_channels, inverse_norms, of_units)
                if length:
                    for index in range(n_channels):
                        so_far = load(of_units, index)
                        store(of_units, index, so_far + slope * load(units, index))
                write_maps(of_units, of_features, of_layout, block)
        for k in range(n_circuits):
            for stage in range(n_stages):
                for wire in range(n_wires):
                    overlap = load(overlaps, (k * n_stages + stage) * n_wires + wire)
                    of_turns[k, chunk, stage, wire] = total(overlap) / 2


@helper
def _run(
    units: FloatArray,
    work: FloatArray,
    half: int,
    orders: IntArray,
    turns: FloatArray,
    phases: FloatArray,
) -> int:
    """Carry a block's unit vectors through a circuit; returns where in `work` its state stands."""
    at = 0
    run_stage(units, 0, work, at, 0, orders, phases, turns)
    for stage in range(1, len(orders)):
        run_stage(work, at, work, half - at, stage, orders, phases, turns)
        at = half - at
    return at
