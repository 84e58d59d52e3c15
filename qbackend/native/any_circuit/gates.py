"""What acts on a block of states, compiled: turns about Pauli strings, phases, Hadamard gates.

A block is L rows, one per lane; its state is 2 D vectors, D real parts, then D imaginary ones.

Letters: D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper
from ...kernels.lanes import load, store, zeros

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]


@helper
def pair(
    states: FloatArray,
    signs: FloatArray,
    x: int,
    z: int,
    is_odd: int,
    cosine: Any,
    sine: Any,
) -> None:
    """exp(-i t P) for a string P with an X; `sine` has P's sign."""
    dimension = len(signs)
    pivot = 1
    while 2 * pivot <= x:
        pivot *= 2
    for base in range(0, dimension, 2 * pivot):
        for one in range(base, base + pivot):
            here, there = one, one ^ x
            factor = signs[one & z] * sine
            a, a_imaginary = load(states, here), load(states, here + dimension)
            b, b_imaginary = load(states, there), load(states, there + dimension)
            if is_odd:
                store(states, here, cosine * a - factor * b)
                store(states, here + dimension, cosine * a_imaginary - factor * b_imaginary)
                store(states, there, cosine * b + factor * a)
                store(states, there + dimension, cosine * b_imaginary + factor * a_imaginary)
            else:
                store(states, here, cosine * a + factor * b_imaginary)
                store(states, here + dimension, cosine * a_imaginary - factor * b)
                store(states, there, cosine * b + factor * a_imaginary)
                store(states, there + dimension, cosine * b_imaginary - factor * a)


@helper
def pair_overlap(
    bras: FloatArray, kets: FloatArray, signs: FloatArray, x: int, z: int, is_odd: int
) -> Any:
    """Im <bra|P|ket> in every lane, but for P's sign."""
    dimension = len(signs)
    pivot = 1
    while 2 * pivot <= x:
        pivot *= 2
    found = zeros(kets)
    for base in range(0, dimension, 2 * pivot):
        for one in range(base, base + pivot):
            other = one ^ x
            a, a_imaginary = load(kets, one), load(kets, one + dimension)
            b, b_imaginary = load(kets, other), load(kets, other + dimension)
            u, u_imaginary = load(bras, one), load(bras, one + dimension)
            v, v_imaginary = load(bras, other), load(bras, other + dimension)
            if is_odd:
                part = v * a + v_imaginary * a_imaginary - u * b - u_imaginary * b_imaginary
            else:
                part = u * b_imaginary - u_imaginary * b + v * a_imaginary - v_imaginary * a
            found = found + signs[one & z] * part
    return found


@helper
def phase(states: FloatArray, signs: FloatArray, z: int, cosine: Any, sine: Any) -> None:
    """exp(-i t P) for a string P of Z; `sine` has P's sign."""
    dimension = len(signs)
    for index in range(dimension):
        factor = signs[index & z] * sine
        a, b = load(states, index), load(states, index + dimension)
        store(states, index, cosine * a + factor * b)
        store(states, index + dimension, cosine * b - factor * a)


@helper
def turn_by_table(
    states: FloatArray, dimension: int, tables: FloatArray, table: int, sign: float
) -> None:
    """Every amplitude by exp(-i t) of its own, from the two rows of a table (n, D)."""
    for index in range(dimension):
        cosine, sine = tables[table, index], sign * tables[table + 1, index]
        a, b = load(states, index), load(states, index + dimension)
        store(states, index, cosine * a + sine * b)
        store(states, index + dimension, cosine * b - sine * a)


@helper
def turn_by_lanes(
    states: FloatArray, dimension: int, cosines: FloatArray, sines: FloatArray, sign: float
) -> None:
    """Every amplitude of every row by exp(-i t) of its own, (D, L)."""
    for index in range(dimension):
        cosine, sine = load(cosines, index), sign * load(sines, index)
        a, b = load(states, index), load(states, index + dimension)
        store(states, index, cosine * a + sine * b)
        store(states, index + dimension, cosine * b - sine * a)


@helper
def overlaps(bras: FloatArray, kets: FloatArray, dimension: int, found: FloatArray) -> None:
    """Im conj(bra) ket of every amplitude, (D, L)."""
    for index in range(dimension):
        a, b = load(kets, index), load(kets, index + dimension)
        u, v = load(bras, index), load(bras, index + dimension)
        store(found, index, u * b - v * a)


@helper
def hadamards(states: FloatArray, dimension: int, mask: int, scale: float) -> None:
    """A Hadamard gate on every qubit of the mask; each but for the factor, which is `scale`."""
    last, qubit = mask, 1
    while qubit < dimension:
        if mask & qubit:
            last = qubit
        qubit *= 2
    qubit = 1
    while qubit < dimension:
        if mask & qubit:
            factor = scale if qubit == last else 1.0
            butterflies(states, 0, dimension, qubit, states.dtype.type(factor))
            butterflies(states, dimension, dimension, qubit, states.dtype.type(factor))
        qubit *= 2


@helper
def butterflies(numbers: FloatArray, at: int, dimension: int, qubit: int, factor: float) -> None:
    """Sums and differences of D vectors from row `at` whose index differs in one bit."""
    for base in range(at, at + dimension, 2 * qubit):
        for one in range(base, base + qubit):
            a, b = load(numbers, one), load(numbers, one + qubit)
            store(numbers, one, factor * (a + b))
            store(numbers, one + qubit, factor * (a - b))
