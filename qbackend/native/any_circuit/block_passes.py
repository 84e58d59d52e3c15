"""A block's pass through the stages of a circuit, compiled, forwards and back.

Letters: P' moving angles, P'' shared ones, D = 2^Q amplitudes, L lanes, n tables.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper
from ...kernels.lanes import load, ones, store, zeros
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
from .program import HADAMARDS, PAIR, TABLE, Program, Shared

FloatArray = NDArray[np.floating]


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
def advance(
    program: Program,
    shared: Shared,
    state: FloatArray,
    halves: FloatArray,
    cosines: FloatArray,
    sines: FloatArray,
    buffer: FloatArray,
) -> None:
    """From the start to the end; `buffer` (3 D, L) is for passing use."""
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
def retreat(
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
