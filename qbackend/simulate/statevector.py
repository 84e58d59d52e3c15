"""Passes of a circuit over blocks of states, compiled: values forwards, adjoint method backwards.

Letters: B batch, S stages, Q wires, D = 2^Q amplitudes, R groups of Z rotations, M observables,
L lanes.
"""

from __future__ import annotations

import math

import numpy as np

from ..encodings import FloatArray
from ..kernels.blocks import encode, pull_encoding, to_lanes
from ..kernels.compilation import kernel
from ..kernels.simd import load, store, total, zeros
from .tiles import (
    IntArray,
    gather,
    measure,
    pull_measurement,
    pull_phases,
    pull_rotations,
    rotate,
    scatter,
    span,
    step,
    turn_phases,
)


@kernel
def tabulate(
    angles: FloatArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_masks: IntArray,
    phase_angles: IntArray,
    turns: FloatArray,
    phases: FloatArray,
) -> None:
    """Fill the tables of a circuit for one vector of angles.

    `turns` (2, S, Q) receives cosines and sines of half the Y angles; `phases` (S, 2, D) real and
    imaginary parts of every stage's phases, by place in storage.
    """
    n_stages, n_wires = rotations.shape
    for stage in range(n_stages):
        for wire in range(n_wires):
            turns[0, stage, wire] = math.cos(angles[rotations[stage, wire]] / 2)
            turns[1, stage, wire] = math.sin(angles[rotations[stage, wire]] / 2)
    n_amplitudes = phases.shape[2]
    phases[:, 0] = 1
    phases[:, 1] = 0
    real, imaginary = np.empty(n_amplitudes), np.empty(n_amplitudes)
    for group in range(len(phase_stages)):
        real[0], imaginary[0], count = 1.0, 0.0, 1
        for wire in range(n_wires - 1, -1, -1):
            angle = angles[phase_angles[group, wire]]
            cosine, sine = math.cos(angle), math.sin(angle)
            for index in range(count):
                real[count + index] = cosine * real[index] - sine * imaginary[index]
                imaginary[count + index] = sine * real[index] + cosine * imaginary[index]
            count *= 2
        table = phases[phase_stages[group]]
        places = span(phase_masks[group], 0, n_wires)
        for index in range(n_amplitudes):
            place = places[index]
            before = table[0, place]
            table[0, place] = before * real[index] - table[1, place] * imaginary[index]
            table[1, place] = before * imaginary[index] + table[1, place] * real[index]


@kernel
def forward(
    rows: FloatArray,
    by_angle: bool,
    masks: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    observables: IntArray,
    tile_wires: int,
    states: FloatArray,
    inverse_norms: FloatArray,
    values: FloatArray,
    first_block: int,
    last_block: int,
) -> int:
    """Values (B, M) of the blocks from `first_block` until `last_block`.

    `rows` and `inverse_norms` are as in `blocks.encode`. `states` (n_blocks, 2 D, L) keeps the
    final states, unless it is empty. Returns the first row with an entry that is not finite, or -1.
    """
    n_stages, n_wires = masks.shape
    n_amplitudes, lanes = 1 << n_wires, states.shape[2]
    n_passes = -(-n_wires // tile_wires)
    keep = len(states) > 0
    kept = states.reshape(-1, lanes) if keep else np.empty((2 * n_amplitudes, lanes), states.dtype)
    tile = np.empty((2 << tile_wires, lanes), states.dtype)
    outputs = np.empty((len(observables), lanes), states.dtype)
    for block in range(first_block, last_block):
        start = 2 * n_amplitudes * block if keep else 0
        bad_row = encode(rows, by_angle, block * lanes, kept, start, inverse_norms)
        if bad_row >= 0:
            return bad_row
        for index in range(n_amplitudes):
            store(kept, start + n_amplitudes + index, zeros(kept))
        for output in range(len(observables)):
            store(outputs, output, zeros(outputs))
        for stage in range(n_stages):
            for part in range(n_passes):
                first, last = part * n_wires // n_passes, (part + 1) * n_wires // n_passes
                offsets = span(masks[stage], first, last)
                cosines, sines = turns[0, stage, first:last], turns[1, stage, first:last]
                is_last = stage == n_stages - 1 and part == n_passes - 1
                base, logical = 0, 0
                for index in range(n_amplitudes // len(offsets)):
                    if index > 0:
                        flip, bit = step(masks[stage], first, last, index)
                        base, logical = base ^ flip, logical ^ bit
                    gather(kept, start, n_amplitudes, base, offsets, tile, 0)
                    if part == 0:
                        turn_phases(tile, 0, len(offsets), base, offsets, phases[stage], False)
                    rotate(tile, len(offsets), cosines, sines)
                    if keep or not is_last:
                        scatter(tile, 0, kept, start, n_amplitudes, base, offsets)
                    if is_last:
                        measure(tile, len(offsets), logical, n_wires - last, observables, outputs)
        for row in range(block * lanes, min((block + 1) * lanes, len(values))):
            for output in range(len(observables)):
                values[row, output] = outputs[output, row - block * lanes]
    return -1


@kernel
def backward(
    rows: FloatArray,
    by_angle: bool,
    masks: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    trainable: FloatArray,
    observables: IntArray,
    tile_wires: int,
    states: FloatArray,
    inverse_norms: FloatArray,
    cotangent: FloatArray,
    adjoints: FloatArray,
    chunk_blocks: int,
    of_rows: FloatArray,
    of_turns: FloatArray,
    of_phases: FloatArray,
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of sum(values * cotangent) for the chunks from `first_chunk` until `last_chunk`.

    A chunk is `chunk_blocks` blocks; `states` are those that `forward` kept. `adjoints`
    (n_blocks, 2 D, L), unless empty, is the gradient with respect to them, and stands in for that
    with respect to the values, `cotangent` (B, M). `of_rows` (B, F)
    receives the gradient with respect to the features, `of_turns` (n_chunks, S, Q) every chunk's
    with respect to the Y angles, `of_phases` (n_chunks, S, D) with respect to the phases where
    they are trainable.
    """
    n_stages, n_wires = masks.shape
    n_amplitudes, lanes = 1 << n_wires, states.shape[2]
    n_passes = -(-n_wires // tile_wires)
    kept, given_adjoints, given = (
        states.reshape(-1, lanes),
        adjoints.reshape(-1, lanes),
        len(adjoints) > 0,
    )
    work = np.empty((4 * n_amplitudes, lanes), states.dtype)
    tile = np.empty((4 << tile_wires, lanes), states.dtype)
    factors = np.empty((len(observables), lanes), states.dtype)
    overlaps = np.empty((n_stages * n_wires, lanes), states.dtype)
    for chunk in range(first_chunk, last_chunk):
        for index in range(n_stages * n_wires):
            store(overlaps, index, zeros(overlaps))
        of_phases[chunk] = 0
        for block in range(chunk * chunk_blocks, min((chunk + 1) * chunk_blocks, len(states))):
            if not given:
                to_lanes(cotangent, block * lanes, factors, 0)
            for stage in range(n_stages - 1, -1, -1):
                for part in range(n_passes - 1, -1, -1):
                    first, last = part * n_wires // n_passes, (part + 1) * n_wires // n_passes
                    offsets = span(masks[stage], first, last)
                    size = len(offsets)
                    cosines, sines = turns[0, stage, first:last], turns[1, stage, first:last]
                    is_last = stage == n_stages - 1 and part == n_passes - 1
                    base, logical = 0, 0
                    for index in range(n_amplitudes // size):
                        if index > 0:
                            flip, bit = step(masks[stage], first, last, index)
                            base, logical = base ^ flip, logical ^ bit
                        if is_last:
                            start = 2 * n_amplitudes * block
                            gather(kept, start, n_amplitudes, base, offsets, tile, 0)
                            if given:
                                gather(
                                    given_adjoints,
                                    start,
                                    n_amplitudes,
                                    base,
                                    offsets,
                                    tile,
                                    2 * size,
                                )
                            else:
                                pull_measurement(
                                    tile, size, logical, n_wires - last, observables, factors
                                )
                        else:
                            gather(work, 0, n_amplitudes, base, offsets, tile, 0)
                            gather(
                                work, 2 * n_amplitudes, n_amplitudes, base, offsets, tile, 2 * size
                            )
                        at = stage * n_wires + first
                        pull_rotations(tile, size, cosines, sines, overlaps, at)
                        if part == 0:
                            if trainable[stage]:
                                pull_phases(tile, size, base, offsets, of_phases[chunk, stage])
                            table = phases[stage]
                            turn_phases(tile, 0, size, base, offsets, table, True)
                            turn_phases(tile, 2 * size, size, base, offsets, table, True)
                        scatter(tile, 0, work, 0, n_amplitudes, base, offsets)
                        scatter(tile, 2 * size, work, 2 * n_amplitudes, n_amplitudes, base, offsets)
            pull_encoding(
                rows, by_angle, block * lanes, work, 0, work, 2 * n_amplitudes, inverse_norms,
                of_rows,
            )  # fmt: skip
        for stage in range(n_stages):
            for wire in range(n_wires):
                twice = total(load(overlaps, stage * n_wires + wire))
                of_turns[chunk, stage, wire] = twice / 2


@kernel
def pull_tables(
    of_turns: FloatArray,
    of_phases: FloatArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_masks: IntArray,
    phase_angles: IntArray,
    trainable: FloatArray,
    of_angles: FloatArray,
) -> None:
    """Add the gradients with respect to turns (S, Q) and phases (S, D) to that of the angles."""
    n_stages, n_wires = rotations.shape
    for stage in range(n_stages):
        for wire in range(n_wires):
            of_angles[rotations[stage, wire]] += of_turns[stage, wire]
    for group in range(len(phase_stages)):
        if not trainable[phase_stages[group]]:
            continue
        places = span(phase_masks[group], 0, n_wires)
        slopes = of_phases[phase_stages[group]][places]
        count = len(slopes) // 2
        for wire in range(n_wires):
            for index in range(count):
                of_angles[phase_angles[group, wire]] += slopes[count + index]
                slopes[index] += slopes[count + index]
            count //= 2
