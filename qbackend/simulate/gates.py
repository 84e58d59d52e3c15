"""What happens to a block's state, compiled: permutations with phases, rotations, measurement.

A state is 2 D vectors of an array (n, L) from some row on: stretches of up to 2^CACHED_WIRES real
parts, each followed by its imaginary parts, so that a stretch fits the processor's own cache. In
the backward pass the cotangent's 2 D vectors follow the state's.

Letters: Q wires, D = 2^Q amplitudes, M observables, L lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.compilation import helper
from ..kernels.simd import FloatArray, load, store, total, zeros
from .circuit import IntArray

CACHED_WIRES = 11
"""The last wires, whose rotations are finished on one stretch before the next."""
PARITY_SIZE = 16
"""Amplitudes whose parities are summed at once, a power of two."""


@helper
def open_stage(
    source: FloatArray,
    origin: int,
    target: FloatArray,
    start: int,
    stage: int,
    orders: IntArray,
    phases: FloatArray,
    turns: FloatArray,
) -> None:
    """One stage: take the amplitudes in its order, multiply by its phases, turn every wire.

    `orders` (S, D), `phases` (S, 2, D) and `turns` (2, S, Q) are those of all stages. The first
    stage takes D real amplitudes.
    """
    n_amplitudes, n_wires = orders.shape[1], turns.shape[2]
    few = max(0, n_wires - CACHED_WIRES)
    stretch = n_amplitudes >> few
    first = 0
    while first < n_amplitudes:
        real_at = start + 2 * first
        for index in range(first, first + stretch):
            order = orders[stage, index]
            cosine, sine = phases[stage, 0, index], phases[stage, 1, index]
            if stage == 0:
                real = load(source, origin + order)
                store(target, start + first + index, cosine * real)
                store(target, start + first + index + stretch, sine * real)
            else:
                at = origin + order + (order & -stretch)
                real, imaginary = load(source, at), load(source, at + stretch)
                store(target, start + first + index, cosine * real - sine * imaginary)
                store(target, start + first + index + stretch, sine * real + cosine * imaginary)
        _rotate(target, real_at, 2 * stretch, 1, turns, stage, few, n_wires)
        first += stretch
    _rotate(target, start, 2 * n_amplitudes, 2 * stretch, turns, stage, 0, few)


@helper
def pull_stage(
    work: FloatArray,
    source: int,
    target: int,
    stage: int,
    orders: IntArray,
    phases: FloatArray,
    turns: FloatArray,
    overlaps: FloatArray,
    trainable: bool,
    slopes: NDArray[np.float64],
    chunk: int,
) -> None:
    """Undo a stage on a state and its cotangent, and add up the derivatives on the way.

    Both stand in `work` from vector `source`, which is used up, and move to `target`; the first
    stage leaves D real parts of each. Vector Q * stage + wire of `overlaps` grows by
    cotangentᵀ K state with K = [[0, -1], [1, 0]] on that wire: twice the derivative with respect to
    its angle. `slopes[chunk, stage]`, if `trainable`, grows by the derivatives with respect to the
    phases.
    """
    n_amplitudes, n_wires = orders.shape[1], turns.shape[2]
    half = 2 * n_amplitudes
    few = max(0, n_wires - CACHED_WIRES)
    stretch = n_amplitudes >> few
    _pull_rotations(work, source, half, half, 2 * stretch, turns, stage, 0, few, overlaps)
    first = 0
    while first < n_amplitudes:
        at = source + 2 * first
        _pull_rotations(work, at, half, 2 * stretch, 1, turns, stage, few, n_wires, overlaps)
        for index in range(first, first + stretch):
            cosine, sine = phases[stage, 0, index], phases[stage, 1, index]
            at = source + first + index
            real, imaginary = load(work, at), load(work, at + stretch)
            bar_real, bar_imaginary = load(work, at + half), load(work, at + half + stretch)
            if trainable:
                slopes[chunk, stage, index] += total(bar_imaginary * real - bar_real * imaginary)
            order = orders[stage, index]
            at = target + order
            if stage > 0:
                at += order & -stretch
                store(work, at + stretch, cosine * imaginary - sine * real)
                store(work, at + half + stretch, cosine * bar_imaginary - sine * bar_real)
            store(work, at, cosine * real + sine * imaginary)
            store(work, at + half, cosine * bar_real + sine * bar_imaginary)
        first += stretch


@helper
def _rotate(
    state: FloatArray,
    start: int,
    count: int,
    reach: int,
    turns: FloatArray,
    stage: int,
    first: int,
    last: int,
) -> None:
    """RY on wires `first` until `last` over `count` vectors, two wires at a time, last ones first.

    `reach` vectors lie between the two amplitudes that the last of these wires couples.
    """
    wire = last - 1
    while wire > first:
        c0, s0 = turns[0, stage, wire - 1], turns[1, stage, wire - 1]
        c1, s1 = turns[0, stage, wire], turns[1, stage, wire]
        group = start
        while group < start + count:
            for i in range(group, group + reach):
                x0, x1 = load(state, i), load(state, i + reach)
                x2, x3 = load(state, i + 2 * reach), load(state, i + 3 * reach)
                y0, y1 = c1 * x0 - s1 * x1, s1 * x0 + c1 * x1
                y2, y3 = c1 * x2 - s1 * x3, s1 * x2 + c1 * x3
                store(state, i, c0 * y0 - s0 * y2)
                store(state, i + reach, c0 * y1 - s0 * y3)
                store(state, i + 2 * reach, s0 * y0 + c0 * y2)
                store(state, i + 3 * reach, s0 * y1 + c0 * y3)
            group += 4 * reach
        wire -= 2
        reach *= 4
    if wire == first:
        c0, s0 = turns[0, stage, wire], turns[1, stage, wire]
        group = start
        while group < start + count:
            for i in range(group, group + reach):
                x0, x1 = load(state, i), load(state, i + reach)
                store(state, i, c0 * x0 - s0 * x1)
                store(state, i + reach, s0 * x0 + c0 * x1)
            group += 2 * reach


@helper
def _pull_rotations(
    work: FloatArray,
    start: int,
    half: int,
    count: int,
    reach: int,
    turns: FloatArray,
    stage: int,
    first: int,
    last: int,
    overlaps: FloatArray,
) -> None:
    """Undo `_rotate` on a state and, `half` vectors further on, its cotangent.

    RYs of one stage commute with every K of it (see `pull_stage`), so it does not matter which of
    them are undone already when an overlap is taken.
    """
    wire, at = last - 1, stage * turns.shape[2]
    while wire > first:
        c0, s0 = turns[0, stage, wire - 1], turns[1, stage, wire - 1]
        c1, s1 = turns[0, stage, wire], turns[1, stage, wire]
        high, low = load(overlaps, at + wire - 1), load(overlaps, at + wire)
        group = start
        while group < start + count:
            for i in range(group, group + reach):
                x0, x1 = load(work, i), load(work, i + reach)
                x2, x3 = load(work, i + 2 * reach), load(work, i + 3 * reach)
                j = half + i
                z0, z1 = load(work, j), load(work, j + reach)
                z2, z3 = load(work, j + 2 * reach), load(work, j + 3 * reach)
                high = high + z2 * x0 - z0 * x2 + z3 * x1 - z1 * x3
                low = low + z1 * x0 - z0 * x1 + z3 * x2 - z2 * x3
                y0, y1 = c1 * x0 + s1 * x1, c1 * x1 - s1 * x0
                y2, y3 = c1 * x2 + s1 * x3, c1 * x3 - s1 * x2
                store(work, i, c0 * y0 + s0 * y2)
                store(work, i + reach, c0 * y1 + s0 * y3)
                store(work, i + 2 * reach, c0 * y2 - s0 * y0)
                store(work, i + 3 * reach, c0 * y3 - s0 * y1)
                y0, y1 = c1 * z0 + s1 * z1, c1 * z1 - s1 * z0
                y2, y3 = c1 * z2 + s1 * z3, c1 * z3 - s1 * z2
                store(work, j, c0 * y0 + s0 * y2)
                store(work, j + reach, c0 * y1 + s0 * y3)
                store(work, j + 2 * reach, c0 * y2 - s0 * y0)
                store(work, j + 3 * reach, c0 * y3 - s0 * y1)
            group += 4 * reach
        store(overlaps, at + wire - 1, high)
        store(overlaps, at + wire, low)
        wire -= 2
        reach *= 4
    if wire == first:
        c0, s0 = turns[0, stage, wire], turns[1, stage, wire]
        high = load(overlaps, at + wire)
        group = start
        while group < start + count:
            for i in range(group, group + reach):
                x0, x1 = load(work, i), load(work, i + reach)
                z0, z1 = load(work, half + i), load(work, half + i + reach)
                high = high + z1 * x0 - z0 * x1
                store(work, i, c0 * x0 + s0 * x1)
                store(work, i + reach, c0 * x1 - s0 * x0)
                store(work, half + i, c0 * z0 + s0 * z1)
                store(work, half + i + reach, c0 * z1 - s0 * z0)
            group += 2 * reach
        store(overlaps, at + wire, high)


@helper
def measure(
    state: FloatArray,
    start: int,
    n_amplitudes: int,
    observables: IntArray,
    work: FloatArray,
    values: FloatArray,
) -> None:
    """Expectation of every observable, M vectors of `values`; `work` holds `PARITY_SIZE` vectors.

    Parities are summed over a few bits by a Walsh-Hadamard transform, over the others one by one.
    """
    stretch = min(n_amplitudes, 1 << CACHED_WIRES)
    size = min(n_amplitudes, PARITY_SIZE)
    for output in range(len(observables)):
        store(values, output, zeros(values))
    first = 0
    while first < n_amplitudes:
        at = start + first + (first & -stretch)
        for index in range(size):
            real, imaginary = load(state, at + index), load(state, at + index + stretch)
            store(work, index, real * real + imaginary * imaginary)
        _add_parities(work, size)
        for output in range(len(observables)):
            part = load(work, observables[output] & (size - 1))
            if _is_odd(observables[output] & first):
                store(values, output, load(values, output) - part)
            else:
                store(values, output, load(values, output) + part)
        first += size


@helper
def pull_measurement(
    state: FloatArray,
    start: int,
    n_amplitudes: int,
    observables: IntArray,
    cotangent: FloatArray,
    work: FloatArray,
    pair: FloatArray,
) -> None:
    """Copy a state into `pair` and put its cotangent behind it, from M vectors of the values'."""
    stretch = min(n_amplitudes, 1 << CACHED_WIRES)
    size = min(n_amplitudes, PARITY_SIZE)
    first = 0
    while first < n_amplitudes:
        for index in range(size):
            store(work, index, zeros(work))
        for output in range(len(observables)):
            target = observables[output] & (size - 1)
            part = load(cotangent, output)
            if _is_odd(observables[output] & first):
                store(work, target, load(work, target) - part)
            else:
                store(work, target, load(work, target) + part)
        _add_parities(work, size)
        for index in range(size):
            factor = load(work, index)
            factor = factor + factor
            at = first + (first & -stretch) + index
            real, imaginary = load(state, start + at), load(state, start + at + stretch)
            store(pair, at, real)
            store(pair, at + stretch, imaginary)
            at += 2 * n_amplitudes
            store(pair, at, factor * real)
            store(pair, at + stretch, factor * imaginary)
        first += size


@helper
def _add_parities(work: FloatArray, size: int) -> None:
    """Walsh-Hadamard transform of `size` vectors."""
    reach = 1
    while 2 * reach < size:
        group = 0
        while group < size:
            for i in range(group, group + reach):
                x0, x1 = load(work, i), load(work, i + reach)
                x2, x3 = load(work, i + 2 * reach), load(work, i + 3 * reach)
                y0, y1, y2, y3 = x0 + x1, x0 - x1, x2 + x3, x2 - x3
                store(work, i, y0 + y2)
                store(work, i + reach, y1 + y3)
                store(work, i + 2 * reach, y0 - y2)
                store(work, i + 3 * reach, y1 - y3)
            group += 4 * reach
        reach *= 4
    if reach < size:
        for i in range(reach):
            x0, x1 = load(work, i), load(work, i + reach)
            store(work, i, x0 + x1)
            store(work, i + reach, x0 - x1)


@helper
def _is_odd(bits: int) -> bool:
    """Whether a number of up to 32 bits has an odd number of ones."""
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return bits & 1 == 1
