"""Gates on tiles, compiled.

A tile is the part of a block's state in which a few wires take all their values while the others
stand still: T = 2^k real parts, then T imaginary parts, one vector each. It fits the fastest
cache, so that the gates on those k wires cost one trip to memory between them. In the backward
pass the cotangent's 2 T vectors follow the state's.

A block's state is 2 D vectors in an array (n, L) from some row on: real parts, then imaginary ones.

Letters: Q wires, D = 2^Q amplitudes, k wires of a tile, T = 2^k, M observables, L lanes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..encodings import FloatArray
from ..kernels.simd import load, store, total, zeros

IntArray = NDArray[np.int64]


@njit(nogil=True)
def span(masks: IntArray, first: int, last: int) -> IntArray:
    """Where a tile's amplitudes are stored relative to its first: XOR combinations of the masks.

    The last wire is the least significant bit of an amplitude's index in the tile.
    """
    offsets = np.zeros(1 << (last - first), np.int64)
    count = 1
    for wire in range(last - 1, first - 1, -1):
        for index in range(count):
            offsets[count + index] = offsets[index] ^ masks[wire]
        count *= 2
    return offsets


@njit(nogil=True)
def step(masks: IntArray, first: int, last: int, tile_index: int) -> tuple[int, int]:
    """From tile `tile_index - 1` to the next in Gray-code order: flips in storage and in logic."""
    n_wires = len(masks)
    wire = n_wires - 1
    while True:
        if wire < first or wire >= last:
            if tile_index & 1:
                return masks[wire], 1 << (n_wires - 1 - wire)
            tile_index >>= 1
        wire -= 1


@njit(nogil=True)
def gather(
    state: FloatArray,
    start: int,
    n_amplitudes: int,
    base: int,
    offsets: IntArray,
    tile: FloatArray,
    at: int,
) -> None:
    """Copy a tile out of a state."""
    size = len(offsets)
    for index in range(size):
        source = start + (base ^ offsets[index])
        store(tile, at + index, load(state, source))
        store(tile, at + size + index, load(state, source + n_amplitudes))


@njit(nogil=True)
def scatter(
    tile: FloatArray,
    at: int,
    state: FloatArray,
    start: int,
    n_amplitudes: int,
    base: int,
    offsets: IntArray,
) -> None:
    """Copy a tile back into a state."""
    size = len(offsets)
    for index in range(size):
        target = start + (base ^ offsets[index])
        store(state, target, load(tile, at + index))
        store(state, target + n_amplitudes, load(tile, at + size + index))


@njit(nogil=True)
def turn_phases(
    tile: FloatArray,
    at: int,
    size: int,
    base: int,
    offsets: IntArray,
    phases: FloatArray,
    inverse: bool,
) -> None:
    """Multiply a tile by the phases (2, D), or by their inverses."""
    for index in range(size):
        where = base ^ offsets[index]
        cosine, sine = phases[0, where], -phases[1, where] if inverse else phases[1, where]
        real, imaginary = load(tile, at + index), load(tile, at + size + index)
        store(tile, at + index, cosine * real - sine * imaginary)
        store(tile, at + size + index, sine * real + cosine * imaginary)


@njit(nogil=True)
def rotate(tile: FloatArray, size: int, cosines: FloatArray, sines: FloatArray) -> None:
    """RY on each of a tile's wires, two at a time, last wires first."""
    wire, reach = len(cosines) - 1, 1
    while wire > 0:
        c0, s0, c1, s1 = cosines[wire - 1], sines[wire - 1], cosines[wire], sines[wire]
        for group in range(0, 2 * size, 4 * reach):
            for i in range(group, group + reach):
                x0, x1 = load(tile, i), load(tile, i + reach)
                x2, x3 = load(tile, i + 2 * reach), load(tile, i + 3 * reach)
                y0, y1 = c1 * x0 - s1 * x1, s1 * x0 + c1 * x1
                y2, y3 = c1 * x2 - s1 * x3, s1 * x2 + c1 * x3
                store(tile, i, c0 * y0 - s0 * y2)
                store(tile, i + reach, c0 * y1 - s0 * y3)
                store(tile, i + 2 * reach, s0 * y0 + c0 * y2)
                store(tile, i + 3 * reach, s0 * y1 + c0 * y3)
        wire -= 2
        reach *= 4
    if wire == 0:
        c0, s0 = cosines[0], sines[0]
        for group in range(0, 2 * size, 2 * reach):
            for i in range(group, group + reach):
                x0, x1 = load(tile, i), load(tile, i + reach)
                store(tile, i, c0 * x0 - s0 * x1)
                store(tile, i + reach, s0 * x0 + c0 * x1)


@njit(nogil=True)
def pull_rotations(
    tile: FloatArray,
    size: int,
    cosines: FloatArray,
    sines: FloatArray,
    overlaps: FloatArray,
    at: int,
) -> None:
    """Undo `rotate` on a state and its cotangent, and add up the derivatives on the way.

    Vector `at + wire` of `overlaps` grows by cotangentᵀ K state, with K = [[0, -1], [1, 0]] on that
    wire: twice the derivative with respect to the wire's angle. RYs of one stage commute with every
    K of it, so it does not matter which of them are undone already.
    """
    wire, reach, half = len(cosines) - 1, 1, 2 * size
    while wire > 0:
        c0, s0, c1, s1 = cosines[wire - 1], sines[wire - 1], cosines[wire], sines[wire]
        high, low = load(overlaps, at + wire - 1), load(overlaps, at + wire)
        for group in range(0, half, 4 * reach):
            for i in range(group, group + reach):
                x0, x1 = load(tile, i), load(tile, i + reach)
                x2, x3 = load(tile, i + 2 * reach), load(tile, i + 3 * reach)
                z0, z1 = load(tile, half + i), load(tile, half + i + reach)
                z2, z3 = load(tile, half + i + 2 * reach), load(tile, half + i + 3 * reach)
                high = high + z2 * x0 - z0 * x2 + z3 * x1 - z1 * x3
                low = low + z1 * x0 - z0 * x1 + z3 * x2 - z2 * x3
                y0, y1 = c1 * x0 + s1 * x1, c1 * x1 - s1 * x0
                y2, y3 = c1 * x2 + s1 * x3, c1 * x3 - s1 * x2
                store(tile, i, c0 * y0 + s0 * y2)
                store(tile, i + reach, c0 * y1 + s0 * y3)
                store(tile, i + 2 * reach, c0 * y2 - s0 * y0)
                store(tile, i + 3 * reach, c0 * y3 - s0 * y1)
                y0, y1 = c1 * z0 + s1 * z1, c1 * z1 - s1 * z0
                y2, y3 = c1 * z2 + s1 * z3, c1 * z3 - s1 * z2
                store(tile, half + i, c0 * y0 + s0 * y2)
                store(tile, half + i + reach, c0 * y1 + s0 * y3)
                store(tile, half + i + 2 * reach, c0 * y2 - s0 * y0)
                store(tile, half + i + 3 * reach, c0 * y3 - s0 * y1)
        store(overlaps, at + wire - 1, high)
        store(overlaps, at + wire, low)
        wire -= 2
        reach *= 4
    if wire == 0:
        c0, s0 = cosines[0], sines[0]
        high = load(overlaps, at)
        for group in range(0, half, 2 * reach):
            for i in range(group, group + reach):
                x0, x1 = load(tile, i), load(tile, i + reach)
                z0, z1 = load(tile, half + i), load(tile, half + i + reach)
                high = high + z1 * x0 - z0 * x1
                store(tile, i, c0 * x0 + s0 * x1)
                store(tile, i + reach, c0 * x1 - s0 * x0)
                store(tile, half + i, c0 * z0 + s0 * z1)
                store(tile, half + i + reach, c0 * z1 - s0 * z0)
        store(overlaps, at, high)


@njit(nogil=True)
def pull_phases(
    tile: FloatArray, size: int, base: int, offsets: IntArray, slopes: NDArray[np.float64]
) -> None:
    """Add the derivatives with respect to the phases to `slopes` (D,), summed over the lanes."""
    for index in range(size):
        real, imaginary = load(tile, index), load(tile, size + index)
        bar_real, bar_imaginary = load(tile, 2 * size + index), load(tile, 3 * size + index)
        slopes[base ^ offsets[index]] += total(bar_imaginary * real - bar_real * imaginary)


@njit(nogil=True)
def add_parities(tile: FloatArray, at: int, size: int) -> None:
    """Walsh-Hadamard transform of T vectors: entry p becomes the sum signed by the parity of p."""
    reach = 1
    while reach < size:
        for group in range(at, at + size, 2 * reach):
            for i in range(group, group + reach):
                x0, x1 = load(tile, i), load(tile, i + reach)
                store(tile, i, x0 + x1)
                store(tile, i + reach, x0 - x1)
        reach *= 2


@njit(nogil=True)
def parity(bits: int) -> int:
    """1 if the number of ones is odd, else 0."""
    for shift in (32, 16, 8, 4, 2, 1):
        bits ^= bits >> shift
    return bits & 1


@njit(nogil=True)
def measure(
    tile: FloatArray, size: int, logical: int, shift: int, observables: IntArray, values: FloatArray
) -> None:
    """Add a tile's part of every expectation to the M vectors of `values`; the tile is used up.

    `logical` holds the bits of the wires that stand still, `shift` counts those below the tile's.
    """
    for index in range(size):
        real, imaginary = load(tile, index), load(tile, size + index)
        store(tile, index, real * real + imaginary * imaginary)
    add_parities(tile, 0, size)
    for output in range(len(observables)):
        part = load(tile, (observables[output] >> shift) & (size - 1))
        if parity(observables[output] & logical):
            store(values, output, load(values, output) - part)
        else:
            store(values, output, load(values, output) + part)


@njit(nogil=True)
def pull_measurement(
    tile: FloatArray,
    size: int,
    logical: int,
    shift: int,
    observables: IntArray,
    cotangent: FloatArray,
) -> None:
    """Set a tile's cotangent from that of the values, M vectors."""
    at = 2 * size
    for index in range(size):
        store(tile, at + index, zeros(tile))
    for output in range(len(observables)):
        target = at + ((observables[output] >> shift) & (size - 1))
        part = load(cotangent, output)
        if parity(observables[output] & logical):
            store(tile, target, load(tile, target) - part)
        else:
            store(tile, target, load(tile, target) + part)
    add_parities(tile, at, size)
    for index in range(size):
        factor = load(tile, at + index)
        factor = factor + factor
        store(tile, at + index, factor * load(tile, index))
        store(tile, at + size + index, factor * load(tile, size + index))
