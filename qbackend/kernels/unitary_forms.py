"""From an ansatz's unitaries to its quadratic forms, and from their gradients to the weights'.

Unitaries come as the states that they make of the basis states: `kets` (D, D) has amplitude j of
U|i⟩ at [i, j].

Letters: M observables, W weights, Q wires, D = 2^Q amplitudes, K cuts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cache import helper, kernel
from .lanes import FloatArray

ComplexArray = NDArray[np.complexfloating]
IntArray = NDArray[np.int64]
Parts = tuple[NDArray[np.float64], NDArray[np.float64]]

X, Y, Z = 0, 1, 2
"""Axes, by number."""


@kernel
def forms(kets: ComplexArray, signs: NDArray[np.float64], matrices: FloatArray) -> None:
    """Fill `matrices` (M, D, D) with Re(U† O U) for diagonal observables `signs` (M, D)."""
    size = len(kets)
    real, imaginary = _transposed(kets)
    total = np.empty((size, size))
    for output in range(len(signs)):
        total[:] = 0
        for state in range(size):
            for row in range(size):
                left = signs[output, state] * real[state, row]
                right = signs[output, state] * imaginary[state, row]
                for column in range(size):
                    total[row, column] += left * real[state, column]
                    total[row, column] += right * imaginary[state, column]
        matrices[output] = total


@kernel
def pull_forms(
    kets: ComplexArray,
    signs: NDArray[np.float64],
    of_matrices: FloatArray,
    axes: IntArray,
    angles: IntArray,
    of_weights: NDArray[np.float64],
) -> None:
    """Fill `of_weights` (W,) from symmetric gradients with respect to the forms (M, D, D).

    `kets` (K + 1, D, D) are the unitaries up to every cut and the whole one; `axes` (K,) the axis
    that the rotations before a cut turn around, `angles` (K, Q) which weight turns each wire.

    The basis states stand for a batch: their cotangents at the start are Λ = Σ_i U† O_i U S_i,
    the unitary up to a cut carries both there, and the derivative is Im⟨λ|P|φ⟩ (see `adjoint`).
    """
    size, n_cuts = kets.shape[1], len(axes)
    weighted_real, weighted_imaginary = np.zeros((size, size)), np.zeros((size, size))
    whole = kets[n_cuts]
    for state in range(size):
        for output in range(len(signs)):
            for row in range(size):
                ket = signs[output, state] * whole[row, state]
                for column in range(size):
                    gradient = of_matrices[output, row, column]
                    weighted_real[state, column] += ket.real * gradient
                    weighted_imaginary[state, column] += ket.imag * gradient
    start_real, start_imaginary = np.zeros((size, size)), np.zeros((size, size))
    for row in range(size):
        for state in range(size):
            ket = whole[row, state]
            for column in range(size):
                real, imaginary = weighted_real[state, column], weighted_imaginary[state, column]
                start_real[column, row] += ket.real * real + ket.imag * imaginary
                start_imaginary[column, row] += ket.real * imaginary - ket.imag * real
    of_weights[:] = 0
    for cut in range(n_cuts):
        reached = _parts(kets[cut])
        bras = _carried((start_real, start_imaginary), reached)
        for wire in range(angles.shape[1]):
            bit = 1 << (angles.shape[1] - 1 - wire)
            of_weights[angles[cut, wire]] += _overlap(axes[cut], bit, bras, reached)


@helper
def _transposed(kets: ComplexArray) -> Parts:
    real, imaginary = np.empty(kets.shape), np.empty(kets.shape)
    for row in range(len(kets)):
        for state in range(len(kets)):
            real[state, row] = kets[row, state].real
            imaginary[state, row] = kets[row, state].imag
    return real, imaginary


@helper
def _parts(kets: ComplexArray) -> Parts:
    real, imaginary = np.empty(kets.shape), np.empty(kets.shape)
    for row in range(len(kets)):
        for state in range(len(kets)):
            real[row, state] = kets[row, state].real
            imaginary[row, state] = kets[row, state].imag
    return real, imaginary


@helper
def _carried(start: Parts, reached: Parts) -> Parts:
    """Every state of `start` (D, D), a row each, through the unitary with these kets."""
    real, imaginary = np.zeros_like(start[0]), np.zeros_like(start[0])
    size = len(real)
    for row in range(size):
        for index in range(size):
            left, right = start[0][row, index], start[1][row, index]
            for state in range(size):
                real[row, state] += left * reached[0][index, state]
                real[row, state] -= right * reached[1][index, state]
                imaginary[row, state] += left * reached[1][index, state]
                imaginary[row, state] += right * reached[0][index, state]
    return real, imaginary


@helper
def _overlap(axis: int, bit: int, bras: Parts, kets: Parts) -> float:
    """Im⟨λ|P|φ⟩, P acting on the wire of that bit, summed over the rows."""
    overlap = 0.0
    for row in range(len(bras[0])):
        for state in range(len(bras[0])):
            bra_real, bra_imaginary = bras[0][row, state], bras[1][row, state]
            other = state if axis == Z else state ^ bit
            ket_real, ket_imaginary = kets[0][row, other], kets[1][row, other]
            is_one = (state & bit) != 0
            if axis == Y:
                term = bra_real * ket_real + bra_imaginary * ket_imaginary
                overlap += term if is_one else -term
            else:
                term = bra_real * ket_imaginary - bra_imaginary * ket_real
                overlap += -term if axis == Z and is_one else term
    return overlap
