"""Encodings, compiled: from rows of features to blocks of states, and back for gradients.

A block is L rows of a batch, one per lane of a vector; its states are D vectors, amplitude by
amplitude. Blocks stand one after another in arrays (n, L) that functions address by a first row
`start`. Lanes that a batch lacks to fill its last block are zero.

Letters: B batch, F features, Q wires, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

import math

import numpy as np

from ..layers.encodings import ZERO_NORM
from .cache import helper
from .lanes import FloatArray, inverse_root, load, ones, store, total, transpose, zeros


def angle_rows(features: FloatArray) -> FloatArray:
    """What `encode` takes of angle features (B, Q): cosines, then sines, of their halves."""
    with np.errstate(invalid="ignore"):  # what is not finite is named by `encode`
        return np.concatenate([np.cos(features / 2), np.sin(features / 2)], axis=1)


@helper
def encode(
    rows: FloatArray,
    by_angle: bool,
    first: int,
    states: FloatArray,
    start: int,
    inverse_norms: FloatArray,
) -> int:
    """Encode rows `first` to `first + L` into D vectors of `states` from `start`.

    `rows` are amplitude features (B, F), or the `angle_rows` (B, 2Q). `inverse_norms`
    (n_blocks, L) receives 1/norm per row, zero where the norm is below `ZERO_NORM`. Returns the
    first row with an entry that is not finite, or -1.
    """
    if by_angle:
        return _encode_angles(rows, first, states, start)
    to_lanes(rows, first, states, start)
    return _normalise(rows, first, states, start, inverse_norms)


@helper
def pull_encoding(
    rows: FloatArray,
    by_angle: bool,
    first: int,
    states: FloatArray,
    start: int,
    gradient: FloatArray,
    origin: int,
    inverse_norms: FloatArray,
    pulled: FloatArray,
) -> None:
    """Gradients with respect to features: rows `first` to `first + L` of `pulled` (B, F).

    `gradient` holds D vectors from `origin`, the gradient with respect to the block's states;
    they are overwritten.
    """
    if by_angle:
        _pull_angles(rows, first, gradient, origin, pulled)
        return
    n_amplitudes = rows.shape[1]
    along = zeros(states)
    for index in range(n_amplitudes):
        along = along + load(states, start + index) * load(gradient, origin + index)
    scale = load(inverse_norms, first // states.shape[1])
    for index in range(n_amplitudes):
        across = load(gradient, origin + index) - along * load(states, start + index)
        store(gradient, origin + index, scale * across)
    from_lanes(gradient, origin, pulled, first)


@helper
def to_lanes(rows: FloatArray, first: int, block: FloatArray, start: int) -> None:
    """Transpose rows `first` to `first + L` of (B, N) into N vectors of `block` from `start`."""
    n_rows, width = rows.shape
    lanes = block.shape[1]
    if width % lanes == 0 and first + lanes <= n_rows:
        step = width // lanes
        for column in range(step):
            transpose(rows, first * step + column, step, block, start + column * lanes, 1)
        return
    for lane in range(lanes):
        row = first + lane
        for index in range(width):
            block[start + index, lane] = rows[row, index] if row < n_rows else 0


@helper
def from_lanes(block: FloatArray, start: int, rows: FloatArray, first: int) -> None:
    """The inverse of `to_lanes`."""
    n_rows, width = rows.shape
    lanes = block.shape[1]
    if width % lanes == 0 and first + lanes <= n_rows:
        step = width // lanes
        for column in range(step):
            transpose(block, start + column * lanes, 1, rows, first * step + column, step)
        return
    for lane in range(min(lanes, n_rows - first)):
        for index in range(width):
            rows[first + lane, index] = block[start + index, lane]


@helper
def first_bad_row(rows: FloatArray, first: int, lanes: int) -> int:
    """The first of rows `first` to `first + lanes` with an entry that is not finite, or -1."""
    for row in range(first, min(first + lanes, rows.shape[0])):
        for index in range(rows.shape[1]):
            if not math.isfinite(rows[row, index]):
                return row
    return -1


@helper
def _normalise(
    rows: FloatArray, first: int, states: FloatArray, start: int, inverse_norms: FloatArray
) -> int:
    n_rows, n_amplitudes = rows.shape
    lanes = states.shape[1]
    squares = zeros(states)
    for index in range(n_amplitudes):
        amplitude = load(states, start + index)
        squares = squares + amplitude * amplitude
    block = first // lanes
    scale = inverse_root(squares, inverse_norms.dtype.type(ZERO_NORM**2))
    store(inverse_norms, block, scale)
    for index in range(n_amplitudes):
        store(states, start + index, scale * load(states, start + index))
    if math.isfinite(total(squares)):
        return -1
    # Only now is it worth asking why: a bad entry, or squares that overflow.
    for row in range(first, min(first + lanes, n_rows)):
        for index in range(n_amplitudes):
            if not math.isfinite(rows[row, index]):
                return row
        _normalise_long(rows[row], row - first, states, start, inverse_norms, block)
    return -1


@helper
def _normalise_long(
    row: FloatArray,
    lane: int,
    states: FloatArray,
    start: int,
    inverse_norms: FloatArray,
    block: int,
) -> None:
    """`_normalise` for one row, without squares that overflow."""
    peak, square = 0.0, 0.0
    for entry in row:
        peak = max(peak, abs(entry))
    for entry in row:
        square += (entry / peak) ** 2 if peak > 0 else 0.0
    rest = math.sqrt(square)
    is_zero = peak * rest < ZERO_NORM
    inverse_norms[block, lane] = 0 if is_zero else 1 / peak / rest
    for index in range(len(row)):
        states[start + index, lane] = 0 if is_zero else row[index] / peak / rest


@helper
def _encode_angles(rows: FloatArray, first: int, states: FloatArray, start: int) -> int:
    bad_row = first_bad_row(rows, first, states.shape[1])
    if bad_row >= 0:
        return bad_row
    width, lanes = rows.shape[1], states.shape[1]
    turns = np.empty((width, lanes), states.dtype)
    to_lanes(rows, first, turns, 0)
    _product(turns, width // 2, states, start)
    return -1


@helper
def _product(turns: FloatArray, n_wires: int, states: FloatArray, start: int) -> None:
    """The product state of the first `n_wires` wires, from their cosines and sines."""
    cosines_only = turns.shape[0] // 2
    store(states, start, ones(states))
    count = 1
    for wire in range(n_wires):
        cosine, sine = load(turns, wire), load(turns, cosines_only + wire)
        for index in range(count - 1, -1, -1):
            amplitude = load(states, start + index)
            store(states, start + 2 * index, cosine * amplitude)
            store(states, start + 2 * index + 1, sine * amplitude)
        count *= 2


@helper
def _pull_angles(
    rows: FloatArray, first: int, gradient: FloatArray, origin: int, pulled: FloatArray
) -> None:
    """Fold the gradient over the wires, last wire first, against the product of those before."""
    lanes = gradient.shape[1]
    n_wires = pulled.shape[1]
    turns = np.empty((2 * n_wires, lanes), gradient.dtype)
    slopes = np.empty((n_wires, lanes), gradient.dtype)
    before = np.empty((2 ** (n_wires - 1), lanes), gradient.dtype)
    to_lanes(rows, first, turns, 0)
    for wire in range(n_wires - 1, -1, -1):
        _product(turns, wire, before, 0)
        cosine, sine = load(turns, wire), load(turns, n_wires + wire)
        by_cosine, by_sine = zeros(gradient), zeros(gradient)
        for index in range(2**wire):
            amplitude = load(before, index)
            even = load(gradient, origin + 2 * index)
            odd = load(gradient, origin + 2 * index + 1)
            by_cosine = by_cosine + amplitude * even
            by_sine = by_sine + amplitude * odd
            store(gradient, origin + index, cosine * even + sine * odd)
        store(slopes, wire, cosine * by_sine - sine * by_cosine)
    for row in range(first, min(first + lanes, pulled.shape[0])):
        for wire in range(n_wires):
            pulled[row, wire] = slopes[wire, row - first] / 2
