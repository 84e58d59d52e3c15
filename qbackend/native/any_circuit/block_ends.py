"""The ends of a block's pass through a circuit, compiled: what goes in, and what is read.

Letters: B batch, F features, K' moving nodes, M observables, P' moving angles, D = 2^Q amplitudes,
L lanes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper
from ...kernels.lanes import load, ones, store, zeros
from ...kernels.sincos import LARGEST, sincos
from .program import Program, Shared
from .tape_sweeps import run_moving

FloatArray = NDArray[np.floating]
Float64Array = NDArray[np.float64]


@helper
def nodes_of(
    program: Program,
    features: FloatArray,
    first_row: int,
    shared: Shared,
    given: Float64Array,
    nodes: Float64Array,
) -> int:
    """Fill `given` (F, L) with a block's features and `nodes` (K', L); see `forward`."""
    n_rows, n_lanes = len(features), nodes.shape[1]
    for lane in range(n_lanes):
        # A block that the batch does not fill repeats its last row.
        row = min(first_row + lane, n_rows - 1)
        for feature in range(features.shape[1]):
            given[feature, lane] = features[row, feature]
            if not math.isfinite(given[feature, lane]):
                return row
    run_moving(program.tape.moving, shared.nodes, given, nodes)
    return -1


@helper
def half_angles(
    program: Program,
    nodes: Float64Array,
    halves: FloatArray,
    cosines: FloatArray,
    sines: FloatArray,
) -> int:
    """Half the moving angles, their cosines and sines (P', L).

    Returns the first lane whose angle is not finite, or -1.
    """
    n_lanes = nodes.shape[1]
    half, cosine, sine = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    for angle in range(len(halves)):
        node = program.tape.moving_angles[angle]
        n_large = 0
        for lane in range(n_lanes):
            half[lane] = 0.5 * nodes[node, lane]
            n_large += not abs(half[lane]) <= LARGEST
        if n_large > 0:
            for lane in range(n_lanes):
                if not math.isfinite(half[lane]):
                    return lane
        sincos(half, cosine, sine)
        if n_large > 0:
            # Whole turns go while there is float64 to hold what is left.
            for lane in range(n_lanes):
                if abs(half[lane]) > LARGEST:
                    half[lane] = math.atan2(sine[lane], cosine[lane])
        for lane in range(n_lanes):
            turns = np.floor(half[lane] / (2 * math.pi) + 0.5)
            halves[angle, lane] = half[lane] - 2 * math.pi * turns
            cosines[angle, lane], sines[angle, lane] = cosine[lane], sine[lane]
    return -1


@helper
def start(program: Program, state: FloatArray) -> None:
    """The state that every row begins with."""
    dimension, unit = len(program.signs), ones(state)
    for index in range(dimension):
        store(state, index, program.start[0, index] * unit)
        store(state, index + dimension, program.start[1, index] * unit)


@helper
def measure(program: Program, state: FloatArray, buffer: FloatArray, sums: FloatArray) -> None:
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
def weigh(program: Program, ket: FloatArray, factors: FloatArray, bra: FloatArray) -> None:
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
