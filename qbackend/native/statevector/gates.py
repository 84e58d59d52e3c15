"""Stages of a circuit on a block's state, compiled.

A state is an array of vectors from some row on: stretches of up to 2^CACHED_WIRES real parts, each
followed by its imaginary parts and, if there is more than one, by some padding. A stretch fits the
processor's own cache; the padding keeps equal places of different stretches out of each other's
cache lines. In the backward pass the cotangent follows the state.

Letters: S stages, Q wires, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper
from ...kernels.lanes import FloatArray, load, store, total
from .circuit import IntArray

CACHED_WIRES = 11
"""The last wires, whose rotations are finished on one stretch before the next."""
STRETCH = 1 << CACHED_WIRES
PADDING = 16
COLUMNS = 16
"""Places of a stretch that the other wires' rotations finish across all stretches at a time."""


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
    real parts of each in a row.

    Vector Q * stage + wire of `overlaps` grows by cotangentᵀ K state with K = [[0, -1], [1, 0]] on
    that wire: twice the derivative with respect to its angle. `slopes[chunk, stage]`, if
    `trainable`, grows by the derivatives with respect to the phases.
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
