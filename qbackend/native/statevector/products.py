"""Angle encoding and a first stage that acts wire by wire, compiled: a product state.

Until CNOTs couple them, every wire q is in a state of its own, u_q = RY(w) Phase(p) RY(x) |0>,
and an amplitude of the whole is a product of Q of theirs.

Letters: B batch, S stages, Q wires, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels.blocks import first_bad_row, to_lanes
from ...kernels.cache import helper
from ...kernels.lanes import FloatArray, load, ones, store, total, zeros
from .gates import STRETCH, place


@helper
def run_product(
    rows: FloatArray,
    first: int,
    phases: FloatArray,
    turns: FloatArray,
    target: FloatArray,
    start: int,
) -> int:
    """The state after the first stage for rows `first` to `first + L` of `angle_rows` (B, 2Q).

    Returns the first row with an entry that is not finite, or -1.
    """
    bad_row = first_bad_row(rows, first, target.shape[1])
    if bad_row < 0:
        wires = _wire_states(rows, first, phases, turns, target)
        n_amplitudes = phases.shape[2]
        _multiply(wires, turns.shape[2], target, start, min(n_amplitudes, STRETCH))
    return bad_row


@helper
def pull_product(
    rows: FloatArray,
    first: int,
    phases: FloatArray,
    turns: FloatArray,
    work: FloatArray,
    cotangent: int,
    before: int,
    overlaps: FloatArray,
    trainable: bool,
    slopes: NDArray[np.float64],
    chunk: int,
    of_rows: FloatArray,
) -> None:
    """Gradients with respect to the features, and the first stage's as `gates.pull_stage` has them.

    `work` holds the cotangent from vector `cotangent`, which is used up, and room for a state from
    vector `before`. The cotangent is folded over the wires, last wire first, against the product of
    those before it.
    """
    n_amplitudes, n_wires, lanes = phases.shape[2], turns.shape[2], work.shape[1]
    wires = _wire_states(rows, first, phases, turns, work)
    angles = np.empty((2 * n_wires, lanes), work.dtype)
    to_lanes(rows, first, angles, 0)
    of_angles = np.empty((n_wires, lanes), work.dtype)
    stretch = min(n_amplitudes, STRETCH)
    for wire in range(n_wires - 1, -1, -1):
        _multiply(wires, wire, work, before, stretch)
        u0, v0 = load(wires, 4 * wire), load(wires, 4 * wire + 1)
        u1, v1 = load(wires, 4 * wire + 2), load(wires, 4 * wire + 3)
        bar_u0, bar_v0, bar_u1, bar_v1 = zeros(work), zeros(work), zeros(work), zeros(work)
        for index in range(1 << wire):
            at = before + place(index)
            p, q = load(work, at), load(work, at + stretch)
            at = cotangent + place(2 * index)
            x0, y0 = load(work, at), load(work, at + stretch)
            x1, y1 = load(work, at + 1), load(work, at + 1 + stretch)
            bar_u0, bar_v0 = bar_u0 + p * x0 + q * y0, bar_v0 + p * y0 - q * x0
            bar_u1, bar_v1 = bar_u1 + p * x1 + q * y1, bar_v1 + p * y1 - q * x1
            at = cotangent + place(index)
            store(work, at, u0 * x0 + v0 * y0 + u1 * x1 + v1 * y1)
            store(work, at + stretch, u0 * y0 - v0 * x0 + u1 * y1 - v1 * x1)
        overlap = bar_u1 * u0 + bar_v1 * v0 - bar_u0 * u1 - bar_v0 * v1
        store(overlaps, wire, load(overlaps, wire) + overlap)
        # Back through RY and the phase of the amplitude of 1.
        cosine, sine = turns[0, 0, wire], turns[1, 0, wire]
        bit = 1 << (n_wires - 1 - wire)
        real, imaginary = phases[0, 0, bit], phases[0, 1, bit]
        x, y = cosine * bar_u1 - sine * bar_u0, cosine * bar_v1 - sine * bar_v0
        of_cosine, of_sine = cosine * bar_u0 + sine * bar_u1, real * x + imaginary * y
        half_cosine, half_sine = load(angles, wire), load(angles, n_wires + wire)
        if trainable:
            # The slope of a wire's phase, in the place that counts for this wire alone.
            slopes[chunk, 0, bit] += total(half_sine * (real * y - imaginary * x))
        store(of_angles, wire, half_cosine * of_sine - half_sine * of_cosine)
    for row in range(first, min(first + lanes, of_rows.shape[0])):
        for wire in range(n_wires):
            of_rows[row, wire] = of_angles[wire, row - first] / 2


@helper
def _wire_states(
    rows: FloatArray, first: int, phases: FloatArray, turns: FloatArray, like: FloatArray
) -> FloatArray:
    """Real and imaginary parts of every wire's two amplitudes, (4Q, L)."""
    n_wires = turns.shape[2]
    angles = np.empty((2 * n_wires, like.shape[1]), like.dtype)
    to_lanes(rows, first, angles, 0)
    wires = np.empty((4 * n_wires, like.shape[1]), like.dtype)
    for wire in range(n_wires):
        cosine, sine = turns[0, 0, wire], turns[1, 0, wire]
        bit = 1 << (n_wires - 1 - wire)
        zero, one = load(angles, wire), load(angles, n_wires + wire)
        real, imaginary = phases[0, 0, bit] * one, phases[0, 1, bit] * one
        store(wires, 4 * wire, cosine * zero - sine * real)
        store(wires, 4 * wire + 1, zeros(wires) - sine * imaginary)
        store(wires, 4 * wire + 2, sine * zero + cosine * real)
        store(wires, 4 * wire + 3, cosine * imaginary)
    return wires


@helper
def _multiply(
    wires: FloatArray, n_wires: int, target: FloatArray, start: int, stretch: int
) -> None:
    """The product state of the first `n_wires` wires."""
    store(target, start, ones(target))
    store(target, start + stretch, zeros(target))
    for wire in range(n_wires):
        u0, v0 = load(wires, 4 * wire), load(wires, 4 * wire + 1)
        u1, v1 = load(wires, 4 * wire + 2), load(wires, 4 * wire + 3)
        for index in range((1 << wire) - 1, -1, -1):
            at = start + place(index)
            x, y = load(target, at), load(target, at + stretch)
            at = start + place(2 * index)
            store(target, at, u0 * x - v0 * y)
            store(target, at + stretch, u0 * y + v0 * x)
            store(target, at + 1, u1 * x - v1 * y)
            store(target, at + 1 + stretch, u1 * y + v1 * x)
