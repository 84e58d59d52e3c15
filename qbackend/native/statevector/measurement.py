"""Expectations of Z strings in a block's state, compiled, and their cotangents.

States are laid out as in `gates`.

Letters: D amplitudes, M observables, L lanes.
"""

from __future__ import annotations

from ...kernels.cache import helper
from ...kernels.lanes import FloatArray, load, store, zeros
from .circuit import IntArray
from .gates import STRETCH, place

PARITY_SIZE = 16
"""Amplitudes whose parities are summed at once, a power of two."""


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
