"""What happens to a block's state, compiled: stages of a circuit, and measurement.

A state is an array of vectors from some row on: stretches of up to 2^CACHED_WIRES real parts, each
followed by its imaginary parts and, if there is more than one, by some padding. A stretch fits the
processor's own cache; the padding keeps equal places of different stretches out of each other's
cache lines. In the backward pass the cotangent follows the state.

Letters: S stages, Q wires, D = 2^Q amplitudes, M observables, L lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.compilation import helper
from ..kernels.simd import FloatArray, load, store, total, zeros
from .circuit import IntArray

CACHED_WIRES = 11
STRETCH = 1 << CACHED_WIRES
PADDING = 16
COLUMNS = 16
"""Places of a stretch whose rotations between stretches are finished before the next ones'."""
PARITY_SIZE = 16
"""Amplitudes whose parities are summed at once, a power of two."""


def n_vectors(n_wires: int) -> int:
    """How many vectors a state takes."""
    stretches = 2**n_wires // STRETCH
    return 2 * 2**n_wires + (PADDING * stretches if stretches > 1 else 0)


@helper
def place(index: int) -> int:
    """Where an amplitude's real part stands; its imaginary part is one stretch further on."""
    return index + (index >> CACHED_WIRES) * (STRETCH + PADDING)


@helper
def run_stage(
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
    stage takes D real amplitudes in a row.
    """
    n_amplitudes, n_wires = orders.shape[1], turns.shape[2]
    few = max(0, n_wires - CACHED_WIRES)
    stretch = n_amplitudes >> few
    first = 0
    while first < n_amplitudes:
        top = start + place(first)
        for index in range(stretch):
            order = orders[stage, first + index]
            cosine, sine = phases[stage, 0, first + index], phases[stage, 1, first + index]
            if stage == 0:
                real = load(source, origin + order)
                store(target, top + index, cosine * real)
                store(target, top + index + stretch, sine * real)
            else:
                at = origin + place(order)
                real, imaginary = load(source, at), load(source, at + stretch)
                store(target, top + index, cosine * real - sine * imaginary)
                store(target, top + index + stretch, sine * real + cosine * imaginary)
        _rotate(target, top, 2 * stretch, 1, 1, turns, stage, few, n_wires)
        first += stretch
    if few > 0:
        for column in range(start, start + 2 * stretch, COLUMNS):
            _rotate(target, column, 1 << few, 2 * STRETCH + PADDING, COLUMNS, turns, stage, 0, few)


@helper
def pull_stage(
    work: FloatArray,
    source: int,
    target: int,
    half: int,
    stage: int,
    orders: IntArray,
    phases: FloatArray,
    turns: FloatArray,
    overlaps: FloatArray,
    trainable: bool,
    slopes: NDArray[np.float64],
    chunk: int,
    keep: bool,
) -> None:
    """Undo a stage on a state and its cotangent, and add up the derivatives on the way.

    The state stands in `work` from vector `source`, its cotangent `half` vectors further on; both
    are used up and move to `target`, the state only if it is to be kept. The first stage leaves D
    real parts of each in a row. Vector
    Q * stage + wire of `overlaps` grows by cotangentᵀ K state with K = [[0, -1], [1, 0]] on that
    wire: twice the derivative with respect to its angle. `slopes[chunk, stage]`, if `trainable`,
    grows by the derivatives with respect to the phases.
    """
    n_amplitudes, n_wires = orders.shape[1], turns.shape[2]
    few = max(0, n_wires - CACHED_WIRES)
    stretch = n_amplitudes >> few
    if few > 0:
        unit = 2 * STRETCH + PADDING
        for column in range(source, source + 2 * stretch, COLUMNS):
            _pull_rotations(
                work, column, half, 1 << few, unit, COLUMNS, turns, stage, 0, few, overlaps
            )
    first = 0
    while first < n_amplitudes:
        top = source + place(first)
        _pull_rotations(work, top, half, 2 * stretch, 1, 1, turns, stage, few, n_wires, overlaps)
        for index in range(stretch):
            cosine, sine = phases[stage, 0, first + index], phases[stage, 1, first + index]
            at = top + index
            real, imaginary = load(work, at), load(work, at + stretch)
            bar_real, bar_imaginary = load(work, at + half), load(work, at + half + stretch)
            if trainable:
                slope = total(bar_imaginary * real - bar_real * imaginary)
                slopes[chunk, stage, first + index] += slope
            at = target + orders[stage, first + index]
            if stage > 0:
                at = target + place(orders[stage, first + index])
                store(work, at + half + stretch, cosine * bar_imaginary - sine * bar_real)
                if keep:
                    store(work, at + stretch, cosine * imaginary - sine * real)
            store(work, at + half, cosine * bar_real + sine * bar_imaginary)
            if keep:
                store(work, at, cosine * real + sine * imaginary)
        first += stretch


@helper
def _rotate(
    state: FloatArray,
    start: int,
    count: int,
    unit: int,
    columns: int,
    turns: FloatArray,
    stage: int,
    first: int,
    last: int,
) -> None:
    """RY on wires `first` until `last`, two at a time, last ones first.

    They act on `count` places that lie `unit` vectors apart, on so many `columns` at each.
    """
    wire, reach = last - 1, 1
    while wire > first:
        c0, s0 = turns[0, stage, wire - 1], turns[1, stage, wire - 1]
        c1, s1 = turns[0, stage, wire], turns[1, stage, wire]
        far = reach * unit
        # Places in a row are as good as columns of one place, and one loop less.
        steps, width = (1, reach) if unit == 1 else (reach, columns)
        group = 0
        while group < count:
            for i in range(group, group + steps):
                at = start + i * unit
                for k in range(at, at + width):
                    x0, x1 = load(state, k), load(state, k + far)
                    x2, x3 = load(state, k + 2 * far), load(state, k + 3 * far)
                    y0, y1 = c1 * x0 - s1 * x1, s1 * x0 + c1 * x1
                    y2, y3 = c1 * x2 - s1 * x3, s1 * x2 + c1 * x3
                    store(state, k, c0 * y0 - s0 * y2)
                    store(state, k + far, c0 * y1 - s0 * y3)
                    store(state, k + 2 * far, s0 * y0 + c0 * y2)
                    store(state, k + 3 * far, s0 * y1 + c0 * y3)
            group += 4 * reach
        wire -= 2
        reach *= 4
    if wire == first:
        c0, s0 = turns[0, stage, wire], turns[1, stage, wire]
        far = reach * unit
        steps, width = (1, reach) if unit == 1 else (reach, columns)
        group = 0
        while group < count:
            for i in range(group, group + steps):
                at = start + i * unit
                for k in range(at, at + width):
                    x0, x1 = load(state, k), load(state, k + far)
                    store(state, k, c0 * x0 - s0 * x1)
                    store(state, k + far, s0 * x0 + c0 * x1)
            group += 2 * reach


@helper
def _pull_rotations(
    work: FloatArray,
    start: int,
    half: int,
    count: int,
    unit: int,
    columns: int,
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
    wire, reach, row = last - 1, 1, stage * turns.shape[2]
    while wire > first:
        c0, s0 = turns[0, stage, wire - 1], turns[1, stage, wire - 1]
        c1, s1 = turns[0, stage, wire], turns[1, stage, wire]
        high, low = load(overlaps, row + wire - 1), load(overlaps, row + wire)
        far = reach * unit
        steps, width = (1, reach) if unit == 1 else (reach, columns)
        group = 0
        while group < count:
            for i in range(group, group + steps):
                at = start + i * unit
                for k in range(at, at + width):
                    x0, x1 = load(work, k), load(work, k + far)
                    x2, x3 = load(work, k + 2 * far), load(work, k + 3 * far)
                    j = half + k
                    z0, z1 = load(work, j), load(work, j + far)
                    z2, z3 = load(work, j + 2 * far), load(work, j + 3 * far)
                    high = high + z2 * x0 - z0 * x2 + z3 * x1 - z1 * x3
                    low = low + z1 * x0 - z0 * x1 + z3 * x2 - z2 * x3
                    y0, y1 = c1 * x0 + s1 * x1, c1 * x1 - s1 * x0
                    y2, y3 = c1 * x2 + s1 * x3, c1 * x3 - s1 * x2
                    store(work, k, c0 * y0 + s0 * y2)
                    store(work, k + far, c0 * y1 + s0 * y3)
                    store(work, k + 2 * far, c0 * y2 - s0 * y0)
                    store(work, k + 3 * far, c0 * y3 - s0 * y1)
                    y0, y1 = c1 * z0 + s1 * z1, c1 * z1 - s1 * z0
                    y2, y3 = c1 * z2 + s1 * z3, c1 * z3 - s1 * z2
                    store(work, j, c0 * y0 + s0 * y2)
                    store(work, j + far, c0 * y1 + s0 * y3)
                    store(work, j + 2 * far, c0 * y2 - s0 * y0)
                    store(work, j + 3 * far, c0 * y3 - s0 * y1)
            group += 4 * reach
        store(overlaps, row + wire - 1, high)
        store(overlaps, row + wire, low)
        wire -= 2
        reach *= 4
    if wire == first:
        c0, s0 = turns[0, stage, wire], turns[1, stage, wire]
        high = load(overlaps, row + wire)
        far = reach * unit
        steps, width = (1, reach) if unit == 1 else (reach, columns)
        group = 0
        while group < count:
            for i in range(group, group + steps):
                at = start + i * unit
                for k in range(at, at + width):
                    x0, x1 = load(work, k), load(work, k + far)
                    z0, z1 = load(work, half + k), load(work, half + k + far)
                    high = high + z1 * x0 - z0 * x1
                    store(work, k, c0 * x0 + s0 * x1)
                    store(work, k + far, c0 * x1 - s0 * x0)
                    store(work, half + k, c0 * z0 + s0 * z1)
                    store(work, half + k + far, c0 * z1 - s0 * z0)
            group += 2 * reach
        store(overlaps, row + wire, high)


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
    stretch = min(n_amplitudes, STRETCH)
    size = min(n_amplitudes, PARITY_SIZE)
    for output in range(len(observables)):
        store(values, output, zeros(values))
    first = 0
    while first < n_amplitudes:
        at = start + place(first)
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
    half: int,
) -> None:
    """Copy a state into `pair` and put its cotangent, from that of the M values, `half` behind."""
    stretch = min(n_amplitudes, STRETCH)
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
            at = place(first) + index
            real, imaginary = load(state, start + at), load(state, start + at + stretch)
            store(pair, at, real)
            store(pair, at + stretch, imaginary)
            at += half
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
