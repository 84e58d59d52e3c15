"""A circuit's passes over blocks of rows, compiled: values, and gradients by the adjoint method.

With phi the state behind a turn exp(-i t P/2) and lambda the state O phi carried back to the same
place, the derivative of <O> by t is Im <lambda|P|phi> (Jones and Gacon, arXiv 2009.02823).

Letters: B batch, F features, W weights, M observables, K nodes, P' moving angles, P'' shared ones,
D = 2^Q amplitudes, L lanes, C chunks of blocks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper, kernel
from ...kernels.lanes import load, store, total
from ...kernels.sincos import sincos
from .block_ends import half_angles, measure, nodes_of, start, weigh
from .block_passes import advance, retreat
from .program import TABLE, Program, Shared
from .tape_sweeps import pull_moving, pull_shared, run_shared

FloatArray = NDArray[np.floating]
Float64Array = NDArray[np.float64]


@helper
def block_height(program: Program) -> int:
    """Vectors that a block keeps: its state, half its moving angles, their cosines and sines."""
    return 2 * len(program.signs) + 3 * len(program.tape.moving_angles)


@kernel
def prepare(program: Program, weights: Float64Array, shared: Shared) -> bool:
    """Fill `shared` for weights (W,); returns whether all angles are finite."""
    tape, dimension = program.tape, len(program.signs)
    for weight in weights:
        if not math.isfinite(weight):
            return False
    run_shared(tape.shared, tape.constants, weights, shared.nodes)
    halves = np.empty(len(tape.shared_angles))
    for angle in range(len(halves)):
        halves[angle] = 0.5 * shared.nodes[tape.shared_angles[angle]]
        if not math.isfinite(halves[angle]):
            return False
    cosines, sines = np.empty_like(halves), np.empty_like(halves)
    sincos(halves, cosines, sines)
    shared.cosines[:], shared.sines[:] = cosines, sines
    phases, turned, across = np.empty(dimension), np.empty(dimension), np.empty(dimension)
    for stage in program.stages:
        if stage[0] == TABLE:
            phases[:] = 0.0
            for turn in range(stage[1], stage[2]):
                z, half = program.masks[turn], halves[program.angles[turn]]
                phases[z if z >= 0 else ~z] += half if z >= 0 else -half
            _walsh(phases)
            sincos(phases, turned, across)
            shared.tables[2 * stage[3]], shared.tables[2 * stage[3] + 1] = turned, across
    return True


@kernel
def forward(
    program: Program,
    features: FloatArray,
    shared: Shared,
    kept: FloatArray,
    values: FloatArray,
    first_block: int,
    last_block: int,
) -> int:
    """Fill `values` (B, M), and `kept` (n_blocks `block_height`, L) unless it is empty.

    Returns the first row with a feature or an angle that is not finite, or -1.
    """
    dimension, n_lanes = len(program.signs), kept.shape[1]
    state = np.empty((2 * dimension, n_lanes), kept.dtype)
    sums = np.empty((program.n_outputs, n_lanes), kept.dtype)
    nodes = np.empty((len(program.tape.moving), n_lanes))
    halves = np.empty((len(program.tape.moving_angles), n_lanes), kept.dtype)
    cosines, sines = np.empty_like(halves), np.empty_like(halves)
    given = np.empty((features.shape[1], n_lanes))
    buffer = np.empty((3 * dimension, n_lanes), kept.dtype)
    for block in range(first_block, last_block):
        first_row = block * n_lanes
        n_rows = min(n_lanes, len(features) - first_row)
        bad = nodes_of(program, features, first_row, shared, given, nodes)
        if bad >= 0:
            return bad
        lane = half_angles(program, nodes, halves, cosines, sines)
        if lane >= 0:
            return min(first_row + lane, len(features) - 1)
        start(program, state)
        advance(program, shared, state, halves, cosines, sines, buffer)
        measure(program, state, buffer, sums)
        for row in range(n_rows):
            for output in range(program.n_outputs):
                values[first_row + row, output] = sums[output, row]
        if len(kept) > 0:
            place = block * block_height(program)
            for part in (state, halves, cosines, sines):
                for index in range(len(part)):
                    store(kept, place + index, load(part, index))
                place += len(part)
    return -1


@kernel
def backward(
    program: Program,
    features: FloatArray,
    shared: Shared,
    kept: FloatArray,
    cotangent: FloatArray,
    of_features: FloatArray,
    of_nodes: Float64Array,
    of_angles: Float64Array,
    of_tables: FloatArray,
    chunk: int,
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Fill `of_features` (B, F) unless it is empty, and sums over each chunk's rows.

    Those are gradients by shared nodes (C, K), which moving angles have, by shared angles (C, P''),
    and what tables' turns share (C n, D).
    """
    dimension, n_lanes = len(program.signs), kept.shape[1]
    ket = np.empty((2 * dimension, n_lanes), kept.dtype)
    bra = np.empty_like(ket)
    nodes = np.empty((len(program.tape.moving), n_lanes))
    by_nodes = np.empty_like(nodes)
    n_angles = len(program.tape.moving_angles)
    by_angles = np.empty((n_angles, n_lanes), kept.dtype)
    given = np.empty((features.shape[1], n_lanes))
    by_given = np.empty_like(given)
    buffer = np.empty((3 * dimension, n_lanes), kept.dtype)
    factors = np.empty((program.n_outputs, n_lanes), kept.dtype)
    by_shared = np.empty((len(shared.cosines), n_lanes), kept.dtype)
    by_tables = np.empty((program.n_tables * dimension, n_lanes), kept.dtype)
    height = block_height(program)
    n_blocks = len(kept) // height
    for number in range(first_chunk, last_chunk):
        of_nodes[number] = 0.0
        by_shared[:], by_tables[:] = 0.0, 0.0
        for block in range(number * chunk, min((number + 1) * chunk, n_blocks)):
            first_row = block * n_lanes
            n_rows = min(n_lanes, len(features) - first_row)
            nodes_of(program, features, first_row, shared, given, nodes)
            place = block * height
            for index in range(2 * dimension):
                store(ket, index, load(kept, place + index))
            angles = kept[place + 2 * dimension : place + height]
            halves, cosines = angles[:n_angles], angles[n_angles : 2 * n_angles]
            sines = angles[2 * n_angles :]
            factors[:] = 0.0
            for row in range(n_rows):
                for output in range(program.n_outputs):
                    factors[output, row] = cotangent[first_row + row, output]
            weigh(program, ket, factors, bra)
            retreat(
                program, shared, ket, bra, halves, cosines, sines, buffer,
                by_angles, by_shared, by_tables,
            )  # fmt: skip
            by_nodes[:] = 0.0
            for angle in range(len(by_angles)):
                node = program.tape.moving_angles[angle]
                for lane in range(n_lanes):
                    by_nodes[node, lane] += by_angles[angle, lane]
            pull_moving(
                program.tape.moving, program.tape.shared, shared.nodes, nodes, by_nodes,
                by_given, of_nodes[number],
            )  # fmt: skip
            if len(of_features) > 0:
                for row in range(n_rows):
                    for feature in range(features.shape[1]):
                        of_features[first_row + row, feature] = by_given[feature, row]
        for angle in range(len(by_shared)):
            of_angles[number, angle] = total(load(by_shared, angle))
        for index in range(program.n_tables * dimension):
            place = number * program.n_tables + index // dimension
            of_tables[place, index % dimension] = total(load(by_tables, index))


@kernel
def finish(
    program: Program,
    shared: Shared,
    of_nodes: Float64Array,
    of_angles: Float64Array,
    of_tables: FloatArray,
    of_weights: Float64Array,
) -> None:
    """Fill `of_weights` (W,) from what `backward` has summed, chunk by chunk."""
    n_chunks, tape = len(of_nodes), program.tape
    gradients, by_angle = np.zeros(len(shared.nodes)), np.zeros(len(tape.shared_angles))
    for number in range(n_chunks):
        gradients += of_nodes[number]
        by_angle += of_angles[number]
    sums = np.empty(len(program.signs))
    for stage in program.stages:
        if stage[0] == TABLE:
            sums[:] = 0.0
            for number in range(n_chunks):
                sums += of_tables[number * program.n_tables + stage[3]]
            _walsh(sums)
            for turn in range(stage[1], stage[2]):
                z = program.masks[turn]
                by_angle[program.angles[turn]] += sums[z] if z >= 0 else -sums[~z]
    for angle in range(len(by_angle)):
        gradients[tape.shared_angles[angle]] += by_angle[angle]
    pull_shared(tape.shared, shared.nodes, gradients, of_weights)


@helper
def _walsh(numbers: Float64Array) -> None:
    """Entry j becomes the sum over z of (-1)^popcount(z & j) times entry z."""
    qubit = 1
    while qubit < len(numbers):
        for base in range(0, len(numbers), 2 * qubit):
            for one in range(base, base + qubit):
                a, b = numbers[one], numbers[one + qubit]
                numbers[one], numbers[one + qubit] = a + b, a - b
        qubit *= 2
