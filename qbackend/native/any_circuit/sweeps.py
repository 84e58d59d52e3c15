"""A circuit's passes over blocks of rows, compiled: values, and gradients by the adjoint method.

With phi the state behind a turn exp(-i t P/2) and lambda the state O phi carried back to the same
place, the derivative of <O> by t is Im <lambda|P|phi> (Jones and Gacon, arXiv 2009.02823).

Letters: B batch, F features, W weights, M observables, K nodes, P' moving angles, P'' shared ones,
D = 2^Q amplitudes, L lanes, C chunks of blocks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper, kernel
from ...kernels.lanes import load, ones, store, total, zeros
from ...kernels.sincos import sincos
from .gates import (
    butterflies,
    hadamards,
    overlaps,
    pair,
    pair_overlap,
    phase,
    turn_by_lanes,
    turn_by_table,
)  # fmt: skip
from .program import HADAMARDS, PAIR, TABLE, Program
from .tape_sweeps import pull_moving, pull_shared, run_moving, run_shared

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]


class Shared(NamedTuple):
    """What all rows share for one weight vector.

    Attributes:
        nodes: (K,) of the tape.
        cosines, sines: (P'',) of half the shared angles.
        tables: (2 n, D) cosines and sines of the phases of every table.
    """

    nodes: Float64Array
    cosines: FloatArray
    sines: FloatArray
    tables: FloatArray


@kernel
def prepare(program: Program, weights: Float64Array, shared: Shared) -> bool:
    """Fill `shared` for weights (W,); returns whether all angles are finite."""
    tape, dimension = program.tape, len(program.signs)
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
    """Fill `values` (B, M), and `kept` (n_blocks 2 D, L) with states unless it is empty.

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
        bad = _angles(program, features, first_row, shared, given, nodes, halves, cosines, sines)
        if bad >= 0:
            return bad
        _start(program, state)
        _advance(program, shared, state, halves, cosines, sines, buffer)
        _measure(program, state, buffer, sums)
        for row in range(n_rows):
            for output in range(program.n_outputs):
                values[first_row + row, output] = sums[output, row]
        if len(kept) > 0:
            for index in range(2 * dimension):
                store(kept, block * 2 * dimension + index, load(state, index))
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
    halves = np.empty((len(program.tape.moving_angles), n_lanes), kept.dtype)
    cosines, sines, by_angles = np.empty_like(halves), np.empty_like(halves), np.empty_like(halves)
    given = np.empty((features.shape[1], n_lanes))
    by_given = np.empty_like(given)
    buffer = np.empty((3 * dimension, n_lanes), kept.dtype)
    factors = np.empty((program.n_outputs, n_lanes), kept.dtype)
    by_shared = np.empty((len(shared.cosines), n_lanes), kept.dtype)
    by_tables = np.empty((program.n_tables * dimension, n_lanes), kept.dtype)
    n_blocks = len(kept) // (2 * dimension)
    for number in range(first_chunk, last_chunk):
        of_nodes[number] = 0.0
        by_shared[:], by_tables[:] = 0.0, 0.0
        for block in range(number * chunk, min((number + 1) * chunk, n_blocks)):
            first_row = block * n_lanes
            n_rows = min(n_lanes, len(features) - first_row)
            _angles(program, features, first_row, shared, given, nodes, halves, cosines, sines)
            for index in range(2 * dimension):
                store(ket, index, load(kept, block * 2 * dimension + index))
            factors[:] = 0.0
            for row in range(n_rows):
                for output in range(program.n_outputs):
                    factors[output, row] = cotangent[first_row + row, output]
            _weigh(program, ket, factors, bra)
            _retreat(
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


@helper
def _angles(
    program: Program,
    features: FloatArray,
    first_row: int,
    shared: Shared,
    given: Float64Array,
    nodes: Float64Array,
    halves: FloatArray,
    cosines: FloatArray,
    sines: FloatArray,
) -> int:
    """Half the moving angles of a block, their cosines and sines (P', L); see `forward`."""
    n_rows, n_lanes = len(features), nodes.shape[1]
    for lane in range(n_lanes):
        # A block that the batch does not fill repeats its last row.
        row = min(first_row + lane, n_rows - 1)
        for feature in range(features.shape[1]):
            given[feature, lane] = features[row, feature]
            if not math.isfinite(given[feature, lane]):
                return row
    run_moving(program.tape.moving, shared.nodes, given, nodes)
    half, cosine, sine = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    for angle in range(len(halves)):
        node = program.tape.moving_angles[angle]
        for lane in range(n_lanes):
            number = 0.5 * nodes[node, lane]
            if not math.isfinite(number):
                return min(first_row + lane, n_rows - 1)
            # Whole turns go while there is float64 to hold what is left.
            half[lane] = number - 2 * math.pi * math.floor(number / (2 * math.pi) + 0.5)
        sincos(half, cosine, sine)
        for lane in range(n_lanes):
            halves[angle, lane] = half[lane]
            cosines[angle, lane], sines[angle, lane] = cosine[lane], sine[lane]
    return -1


@helper
def _start(program: Program, state: FloatArray) -> None:
    dimension, unit = len(program.signs), ones(state)
    for index in range(dimension):
        store(state, index, program.start[0, index] * unit)
        store(state, index + dimension, program.start[1, index] * unit)


@helper
def _scale(mask: int) -> float:
    """2^(-n/2) for n bits."""
    scale = 1.0
    while mask:
        scale *= math.sqrt(0.5)
        mask &= mask - 1
    return scale


@helper
def _by_walsh(program: Program, first: int, last: int) -> bool:
    """Whether so many turns by rows are worth a transform, and a sine of every amplitude."""
    n_qubits = round(math.log2(len(program.signs)))
    return 4 * (last - first) > n_qubits + 30


@helper
def _lane_phases(
    program: Program, first: int, last: int, halves: FloatArray, buffer: FloatArray
) -> None:
    """Cosines, then sines, of the phases of every amplitude and row: 2 D vectors of `buffer`."""
    dimension, n_lanes = len(program.signs), halves.shape[1]
    at = 2 * dimension
    for index in range(dimension):
        store(buffer, at + index, zeros(buffer))
    for turn in range(first, last):
        z, angle = program.masks[turn], program.angles[turn]
        place = at + (z if z >= 0 else ~z)
        half = load(halves, angle)
        store(buffer, place, load(buffer, place) + half if z >= 0 else load(buffer, place) - half)
    qubit = 1
    while qubit < dimension:
        butterflies(buffer, at, dimension, qubit, buffer.dtype.type(1.0))
        qubit *= 2
    phases, cosines, sines = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    for index in range(dimension):
        for lane in range(n_lanes):
            phases[lane] = buffer[at + index, lane]
        sincos(phases, cosines, sines)
        for lane in range(n_lanes):
            buffer[index, lane], buffer[dimension + index, lane] = cosines[lane], sines[lane]


@helper
def _advance(
    program: Program,
    shared: Shared,
    state: FloatArray,
    halves: FloatArray,
    cosines: FloatArray,
    sines: FloatArray,
    buffer: FloatArray,
) -> None:
    dimension, unit, one = len(program.signs), ones(state), state.dtype.type(1.0)
    for stage in program.stages:
        if stage[0] == PAIR:
            angle, sign = stage[2], state.dtype.type(stage[6])
            if stage[1]:
                cosine, sine = load(cosines, angle), sign * load(sines, angle)
            else:
                cosine, sine = shared.cosines[angle] * unit, (sign * shared.sines[angle]) * unit
            pair(state, program.signs, stage[3], stage[4], stage[5], cosine, sine)
        elif stage[0] == TABLE:
            turn_by_table(state, dimension, shared.tables, 2 * stage[3], one)
        elif stage[0] == HADAMARDS:
            hadamards(state, dimension, stage[1], _scale(stage[1]))
        elif _by_walsh(program, stage[1], stage[2]):
            _lane_phases(program, stage[1], stage[2], halves, buffer)
            turn_by_lanes(state, dimension, buffer[:dimension], buffer[dimension:], one)
        else:
            for turn in range(stage[1], stage[2]):
                z, angle = program.masks[turn], program.angles[turn]
                sign = one if z >= 0 else -one
                cosine, sine = load(cosines, angle), sign * load(sines, angle)
                phase(state, program.signs, z if z >= 0 else ~z, cosine, sine)


@helper
def _retreat(
    program: Program,
    shared: Shared,
    ket: FloatArray,
    bra: FloatArray,
    halves: FloatArray,
    cosines: FloatArray,
    sines: FloatArray,
    buffer: FloatArray,
    by_angles: FloatArray,
    by_shared: FloatArray,
    by_tables: FloatArray,
) -> None:
    """Fill `by_angles` (P', L), and add to `by_shared` (P'', L) and to `by_tables` (n D, L)."""
    dimension, unit, one = len(program.signs), ones(ket), ket.dtype.type(1.0)
    by_angles[:] = 0.0
    for number in range(len(program.stages) - 1, -1, -1):
        stage = program.stages[number]
        if stage[0] == PAIR:
            angle, sign = stage[2], ket.dtype.type(stage[6])
            x, z, is_odd = stage[3], stage[4], stage[5]
            found = sign * pair_overlap(bra, ket, program.signs, x, z, is_odd)
            if stage[1]:
                cosine, sine = load(cosines, angle), -sign * load(sines, angle)
                store(by_angles, angle, load(by_angles, angle) + found)
            else:
                cosine, sine = shared.cosines[angle] * unit, (-sign * shared.sines[angle]) * unit
                store(by_shared, angle, load(by_shared, angle) + found)
            pair(ket, program.signs, x, z, is_odd, cosine, sine)
            pair(bra, program.signs, x, z, is_odd, cosine, sine)
        elif stage[0] == HADAMARDS:
            hadamards(ket, dimension, stage[1], _scale(stage[1]))
            hadamards(bra, dimension, stage[1], _scale(stage[1]))
        elif stage[0] == TABLE:
            overlaps(bra, ket, dimension, buffer)
            for index in range(dimension):
                place = stage[3] * dimension + index
                store(by_tables, place, load(by_tables, place) + load(buffer, index))
            turn_by_table(ket, dimension, shared.tables, 2 * stage[3], -one)
            turn_by_table(bra, dimension, shared.tables, 2 * stage[3], -one)
        else:
            _pull_phases(program, stage[1], stage[2], ket, bra, buffer, by_angles)
            if _by_walsh(program, stage[1], stage[2]):
                _lane_phases(program, stage[1], stage[2], halves, buffer)
                turn_by_lanes(ket, dimension, buffer[:dimension], buffer[dimension:], -one)
                turn_by_lanes(bra, dimension, buffer[:dimension], buffer[dimension:], -one)
                continue
            for turn in range(stage[1], stage[2]):
                z, angle = program.masks[turn], program.angles[turn]
                sign = -one if z >= 0 else one
                cosine, sine = load(cosines, angle), sign * load(sines, angle)
                phase(ket, program.signs, z if z >= 0 else ~z, cosine, sine)
                phase(bra, program.signs, z if z >= 0 else ~z, cosine, sine)


@helper
def _pull_phases(
    program: Program,
    first: int,
    last: int,
    ket: FloatArray,
    bra: FloatArray,
    buffer: FloatArray,
    by_angles: FloatArray,
) -> None:
    dimension, signs = len(program.signs), program.signs
    overlaps(bra, ket, dimension, buffer)
    n_qubits = round(math.log2(dimension))
    by_walsh = last - first > n_qubits
    qubit = 1
    while by_walsh and qubit < dimension:
        butterflies(buffer, 0, dimension, qubit, buffer.dtype.type(1.0))
        qubit *= 2
    for turn in range(first, last):
        z, angle = program.masks[turn], program.angles[turn]
        mask = z if z >= 0 else ~z
        found = zeros(buffer)
        if by_walsh:
            found = load(buffer, mask)
        else:
            for index in range(dimension):
                found = found + signs[index & mask] * load(buffer, index)
        found = load(by_angles, angle) + found if z >= 0 else load(by_angles, angle) - found
        store(by_angles, angle, found)


@helper
def _measure(program: Program, state: FloatArray, buffer: FloatArray, sums: FloatArray) -> None:
    """Fill `sums` (M, L)."""
    dimension = len(program.signs)
    sums[:] = 0.0
    for x, first, last in program.groups:
        for one in range(dimension):
            other = one ^ x
            # Of a pair the smaller index stands for both.
            if other < one:
                continue
            a, a_imaginary = load(state, one), load(state, one + dimension)
            b, b_imaginary = load(state, other), load(state, other + dimension)
            store(buffer, one, b * a + b_imaginary * a_imaginary)
            store(buffer, one + dimension, b * a_imaginary - b_imaginary * a)
        for entry in range(first, last):
            output, has_imaginary = program.entries[entry]
            found = load(sums, output)
            for one in range(dimension):
                if one ^ x < one:
                    continue
                found = found + program.tables[2 * entry, one] * load(buffer, one)
                if has_imaginary:
                    part = program.tables[2 * entry + 1, one] * load(buffer, one + dimension)
                    found = found + part
            store(sums, output, found)


@helper
def _weigh(program: Program, ket: FloatArray, factors: FloatArray, bra: FloatArray) -> None:
    """The sum over outputs of `factors` (M, L) times their observables on `ket`."""
    dimension = len(program.signs)
    for index in range(2 * dimension):
        store(bra, index, zeros(bra))
    for x, first, last in program.groups:
        for one in range(dimension):
            other = one ^ x
            if other < one:
                continue
            real, imaginary = zeros(bra), zeros(bra)
            for entry in range(first, last):
                factor = load(factors, program.entries[entry, 0])
                real = real + program.tables[2 * entry, one] * factor
                if program.entries[entry, 1]:
                    imaginary = imaginary - program.tables[2 * entry + 1, one] * factor
            a, a_imaginary = load(ket, one), load(ket, one + dimension)
            if x == 0:
                store(bra, one, load(bra, one) + real * a)
                store(bra, one + dimension, load(bra, one + dimension) + real * a_imaginary)
                continue
            half = bra.dtype.type(0.5)
            real, imaginary = half * real, half * imaginary
            b, b_imaginary = load(ket, other), load(ket, other + dimension)
            store(bra, other, load(bra, other) + real * a - imaginary * a_imaginary)
            there = load(bra, other + dimension) + real * a_imaginary
            store(bra, other + dimension, there + imaginary * a)
            store(bra, one, load(bra, one) + real * b + imaginary * b_imaginary)
            here = load(bra, one + dimension) + real * b_imaginary
            store(bra, one + dimension, here - imaginary * b)
