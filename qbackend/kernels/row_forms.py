"""Quadratic forms of encoded rows, compiled: values, and their gradients.

Matrices are laid out as panels (D/4, M, D, 4), four rows of every matrix side by side, so that
four sums are under way per amplitude loaded. A single wire's states are padded to four amplitudes.

Letters: B batch, F features, M observables, D amplitudes (at least 4), L lanes.
"""

from __future__ import annotations

import numpy as np

from .blocks import encode, pull_encoding, to_lanes
from .cache import helper, kernel
from .lanes import FloatArray, load, store, total, zeros


@kernel
def forward(
    rows: FloatArray,
    by_angle: bool,
    matrices: FloatArray,
    states: FloatArray,
    inverse_norms: FloatArray,
    values: FloatArray,
    first_block: int,
    last_block: int,
) -> int:
    """Values (B, M) of the blocks from `first_block` until `last_block`.

    `rows` and `inverse_norms` are as in `blocks.encode`, `matrices` (M, D, D) are symmetric.
    `states` (n_blocks, D, L) keeps the encoded states, unless it is empty. Returns the first row
    with an entry that is not finite, or -1.
    """
    n_outputs, lanes = matrices.shape[0], states.shape[2]
    panels = _triangular_panels(matrices)
    width = states.shape[1]
    keep = len(states) > 0
    kept = states.reshape(-1, lanes) if keep else np.empty((width, lanes), states.dtype)
    outputs = np.empty((n_outputs, lanes), states.dtype)
    for block in range(first_block, last_block):
        start = block * width if keep else 0
        bad_row = encode(rows, by_angle, block * lanes, kept, start, inverse_norms)
        if bad_row >= 0:
            return bad_row
        for index in range(matrices.shape[1], width):
            store(kept, start + index, zeros(kept))
        for output in range(n_outputs):
            value = zeros(kept)
            for panel in range(width // 4):
                x0, x1, x2, x3 = zeros(kept), zeros(kept), zeros(kept), zeros(kept)
                for index in range(4 * panel + 4):
                    amplitude = load(kept, start + index)
                    x0 = x0 + panels[panel, output, index, 0] * amplitude
                    x1 = x1 + panels[panel, output, index, 1] * amplitude
                    x2 = x2 + panels[panel, output, index, 2] * amplitude
                    x3 = x3 + panels[panel, output, index, 3] * amplitude
                at = start + 4 * panel
                value = value + load(kept, at) * x0 + load(kept, at + 1) * x1
                value = value + load(kept, at + 2) * x2 + load(kept, at + 3) * x3
            store(outputs, output, value)
        for row in range(block * lanes, min((block + 1) * lanes, len(values))):
            for output in range(n_outputs):
                values[row, output] = outputs[output, row - block * lanes]
    return -1


@kernel
def backward(
    rows: FloatArray,
    by_angle: bool,
    matrices: FloatArray,
    states: FloatArray,
    inverse_norms: FloatArray,
    cotangent: FloatArray,
    chunk_blocks: int,
    of_rows: FloatArray,
    of_matrices: FloatArray,
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of sum(values * cotangent) for the chunks from `first_chunk` until `last_chunk`.

    A chunk is `chunk_blocks` blocks. `of_rows` (B, F) receives the gradient with respect to the
    features, `of_matrices` (n_chunks, M, D, D) every chunk's with respect to the matrices; what is
    empty is not wanted.
    """
    n_outputs = matrices.shape[0]
    n_blocks, width, lanes = states.shape
    kept = states.reshape(-1, lanes)
    panels = _full_panels(matrices)
    weighted = np.empty((n_outputs * width, lanes), states.dtype)
    gradient = np.empty((width, lanes), states.dtype)
    factors = np.empty((chunk_blocks * n_outputs, lanes), states.dtype)
    for chunk in range(first_chunk, last_chunk):
        first = chunk * chunk_blocks
        last = min(first + chunk_blocks, n_blocks)
        for block in range(first, last):
            at = (block - first) * n_outputs
            to_lanes(cotangent, block * lanes, factors, at)
            if len(of_rows) == 0:
                continue
            for output in range(n_outputs):
                factor = load(factors, at + output)
                for index in range(width):
                    amplitude = load(kept, block * width + index)
                    store(weighted, output * width + index, factor * amplitude)
            _multiply(panels, weighted, gradient)
            pull_encoding(
                rows, by_angle, block * lanes, kept, block * width, gradient, 0, inverse_norms,
                of_rows,
            )  # fmt: skip
        if len(of_matrices) > 0:
            _outer(kept, width, factors, first, last, of_matrices[chunk])


@helper
def _triangular_panels(matrices: FloatArray) -> FloatArray:
    """Panels with every entry above the diagonal added to its mirror image below."""
    n_outputs, n_amplitudes, _ = matrices.shape
    width = max(n_amplitudes, 4)
    panels = np.zeros((width // 4, n_outputs, width, 4), matrices.dtype)
    for output in range(n_outputs):
        for row in range(n_amplitudes):
            for column in range(row):
                entry = 2 * matrices[output, row, column]
                panels[row // 4, output, column, row % 4] = entry
            panels[row // 4, output, row, row % 4] = matrices[output, row, row]
    return panels


@helper
def _full_panels(matrices: FloatArray) -> FloatArray:
    """Panels of the matrices times two, as the gradient with respect to a state has them."""
    n_outputs, n_amplitudes, _ = matrices.shape
    width = max(n_amplitudes, 4)
    panels = np.zeros((width // 4, n_outputs, width, 4), matrices.dtype)
    for output in range(n_outputs):
        for row in range(n_amplitudes):
            for column in range(n_amplitudes):
                panels[row // 4, output, column, row % 4] = 2 * matrices[output, row, column]
    return panels


@helper
def _multiply(panels: FloatArray, weighted: FloatArray, result: FloatArray) -> None:
    """Sum over the matrices of each times its own D vectors of `weighted`, into D vectors."""
    n_panels, n_outputs, width, _ = panels.shape
    for panel in range(n_panels):
        x0, x1, x2, x3 = zeros(result), zeros(result), zeros(result), zeros(result)
        for output in range(n_outputs):
            for index in range(width):
                amplitude = load(weighted, output * width + index)
                x0 = x0 + panels[panel, output, index, 0] * amplitude
                x1 = x1 + panels[panel, output, index, 1] * amplitude
                x2 = x2 + panels[panel, output, index, 2] * amplitude
                x3 = x3 + panels[panel, output, index, 3] * amplitude
        store(result, 4 * panel, x0)
        store(result, 4 * panel + 1, x1)
        store(result, 4 * panel + 2, x2)
        store(result, 4 * panel + 3, x3)


@helper
def _outer(
    states: FloatArray, width: int, factors: FloatArray, first: int, last: int, result: FloatArray
) -> None:
    """Sums over the blocks' rows of g_i a aᵀ, (M, D, D), two by four entries at a time."""
    n_outputs, n_amplitudes, _ = result.shape
    for output in range(n_outputs):
        for i in range(0, n_amplitudes, 2):
            for j in range(0, i + 2, 4):
                x00, x01, x02, x03 = zeros(states), zeros(states), zeros(states), zeros(states)
                x10, x11, x12, x13 = zeros(states), zeros(states), zeros(states), zeros(states)
                for block in range(first, last):
                    at = block * width
                    factor = load(factors, (block - first) * n_outputs + output)
                    left0, left1 = factor * load(states, at + i), factor * load(states, at + i + 1)
                    right0, right1 = load(states, at + j), load(states, at + j + 1)
                    right2, right3 = load(states, at + j + 2), load(states, at + j + 3)
                    x00, x10 = x00 + left0 * right0, x10 + left1 * right0
                    x01, x11 = x01 + left0 * right1, x11 + left1 * right1
                    x02, x12 = x02 + left0 * right2, x12 + left1 * right2
                    x03, x13 = x03 + left0 * right3, x13 + left1 * right3
                upper = (total(x00), total(x01), total(x02), total(x03))
                lower = (total(x10), total(x11), total(x12), total(x13))
                for k in range(j, min(j + 4, n_amplitudes)):
                    result[output, i, k] = result[output, k, i] = upper[k - j]
                    result[output, i + 1, k] = result[output, k, i + 1] = lower[k - j]
