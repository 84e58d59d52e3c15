"""Quadratic forms of every pixel's channel vector, compiled: values, and their gradients.

Forms are *packed*, (M, T): the entries on and above the diagonal, those above it twice, so that a
value is one sum over the T = C (C + 1) / 2 products u_i u_j, i <= j. They are laid out in panels
of `WIDTH`: as many sums are under way at a time as keep the processor's units busy.

Letters: C channels, M forms, T products, L lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.cache import helper, kernel
from ..kernels.lanes import VECTOR_BYTES, FloatArray, load, store, total, zeros
from ..kernels.maps import Layout, aligned, normalise, pull_normalise, read_maps, write_maps

WIDTH = 8
PIECE_BLOCKS = 48
"""Blocks whose gradients of forms are summed together: eight outputs' factors stay in the
processor's first cache."""


@kernel
def forward(
    features: FloatArray,
    layout: Layout,
    panels: FloatArray,
    length: bool,
    values: FloatArray,
    of_values: Layout,
    first_block: int,
    last_block: int,
) -> int:
    """Values of the blocks from `first_block` until `last_block`.

    `features` and `values` are maps as in `maps.read_maps`, `panels` (M / 8, T, 8) are the forms
    of 8 outputs side by side, the last panel filled up with zeros. With `length` the last map of
    `values` gets the norms. Returns the first block with an entry that is not finite, or -1.
    """
    n_channels, n_maps = layout[1], of_values[1]
    n_panels, n_products, _ = panels.shape
    lanes = VECTOR_BYTES // features.itemsize
    units = aligned(n_channels, features)
    inverse_norms = aligned(1, features)
    products = aligned(n_products, features)
    outputs = aligned(WIDTH * n_panels + 1, features)
    for block in range(first_block, last_block):
        read_maps(features, layout, block, units)
        if not normalise(units, n_channels, inverse_norms):
            return block
        _multiply(units, products)
        for panel in range(n_panels):
            _sum_panel(panels[panel], products, outputs, WIDTH * panel)
        if length:
            for lane in range(lanes):
                inverse = inverse_norms[0, lane]
                outputs[n_maps - 1, lane] = 1 / inverse if inverse > 0 else 0
        write_maps(outputs, values, of_values, block)
    return -1


@kernel
def backward(
    features: FloatArray,
    layout: Layout,
    panels: FloatArray,
    length: bool,
    cotangent: FloatArray,
    of_values: Layout,
    chunk_blocks: int,
    of_features: FloatArray,
    of_layout: Layout,
    of_packed: FloatArray,
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of sum(values * cotangent) for the chunks from `first_chunk` until `last_chunk`.

    A chunk is `chunk_blocks` blocks. `panels` (T / 8, M, 8) are the forms' entries for 8 products
    side by side. `of_features` are maps as `features`, unless empty; `of_packed` (n_chunks, M, T),
    unless empty, grows by every chunk's gradient with respect to the packed forms.
    """
    n_images, n_channels, n_pixels, _, _, _ = layout
    n_panels, n_forms, _ = panels.shape
    n_maps = of_values[1]
    lanes = VECTOR_BYTES // features.itemsize
    n_blocks = (n_images * n_pixels + lanes - 1) // lanes
    unit = aligned(n_channels, features)
    factor = aligned(n_maps, features)
    units = aligned(n_channels * PIECE_BLOCKS, features)
    factors = aligned(n_forms * PIECE_BLOCKS, features)
    inverse_norms = aligned(1, features)
    of_products = aligned(WIDTH * n_panels, features)
    of_units = aligned(n_channels, features)
    for chunk in range(first_chunk, last_chunk):
        end = min((chunk + 1) * chunk_blocks, n_blocks)
        for first in range(chunk * chunk_blocks, end, PIECE_BLOCKS):
            last = min(first + PIECE_BLOCKS, end)
            for block in range(first, last):
                read_maps(features, layout, block, unit)
                normalise(unit, n_channels, inverse_norms)
                read_maps(cotangent, of_values, block, factor)
                if len(of_packed) > 0:
                    for channel in range(n_channels):
                        store(units, channel * PIECE_BLOCKS + block - first, load(unit, channel))
                    for form in range(n_forms):
                        store(factors, form * PIECE_BLOCKS + block - first, load(factor, form))
                if len(of_features) > 0:
                    for panel in range(n_panels):
                        _sum_panel(panels[panel], factor, of_products, WIDTH * panel)
                    _pull_products(unit, of_products, of_units)
                    pull_normalise(unit, n_channels, inverse_norms, of_units)
                    if length:
                        _pull_length(unit, load(factor, n_maps - 1), of_units)
                    write_maps(of_units, of_features, of_layout, block)
            if len(of_packed) > 0:
                _correlate(units, factors, last - first, of_packed[chunk])


@helper
def _pull_length(units: FloatArray, slope: Any, of_vectors: FloatArray) -> None:
    """Add to a block's gradient what comes through the length, whose direction is the vector's."""
    for channel in range(len(units)):
        store(of_vectors, channel, load(of_vectors, channel) + slope * load(units, channel))


@helper
def _multiply(units: FloatArray, products: FloatArray) -> None:
    """The products u_i u_j, i <= j, of a block."""
    n_channels, at = len(units), 0
    for i in range(n_channels):
        left = load(units, i)
        for j in range(i, n_channels):
            store(products, at, left * load(units, j))
            at += 1


@helper
def _sum_panel(panel: FloatArray, vectors: FloatArray, sums: FloatArray, start: int) -> None:
    """Eight sums over vectors, with the weights of a panel (n, 8), into `sums` from `start`."""
    x0, x1, x2, x3 = zeros(sums), zeros(sums), zeros(sums), zeros(sums)
    x4, x5, x6, x7 = zeros(sums), zeros(sums), zeros(sums), zeros(sums)
    for index in range(len(panel)):
        vector = load(vectors, index)
        x0 = x0 + panel[index, 0] * vector
        x1 = x1 + panel[index, 1] * vector
        x2 = x2 + panel[index, 2] * vector
        x3 = x3 + panel[index, 3] * vector
        x4 = x4 + panel[index, 4] * vector
        x5 = x5 + panel[index, 5] * vector
        x6 = x6 + panel[index, 6] * vector
        x7 = x7 + panel[index, 7] * vector
    store(sums, start, x0)
    store(sums, start + 1, x1)
    store(sums, start + 2, x2)
    store(sums, start + 3, x3)
    store(sums, start + 4, x4)
    store(sums, start + 5, x5)
    store(sums, start + 6, x6)
    store(sums, start + 7, x7)


@helper
def _pull_products(units: FloatArray, of_products: FloatArray, of_units: FloatArray) -> None:
    """The gradient with respect to a block's unit vectors, from that to their products."""
    n_channels, at = len(units), 0
    for i in range(n_channels):
        store(of_units, i, zeros(of_units))
    for i in range(n_channels):
        left, sum_ = load(units, i), zeros(units)
        for j in range(i, n_channels):
            slope = load(of_products, at)
            sum_ = sum_ + slope * load(units, j)
            store(of_units, j, load(of_units, j) + slope * left)
            at += 1
        store(of_units, i, load(of_units, i) + sum_)


@helper
def _correlate(
    units: FloatArray, factors: FloatArray, n_blocks: int, of_packed: FloatArray
) -> None:
    """Add sums over pixels of g_m u_i u_j, i <= j, to (M, T), eight by two entries at a time.

    Of each channel and each form, the first `n_blocks` of `PIECE_BLOCKS` vectors count.
    """
    n_channels, n_forms = len(units) // PIECE_BLOCKS, len(of_packed)
    rows = np.empty(WIDTH, np.int64)
    for form in range(0, n_forms, WIDTH):
        for row in range(WIDTH):
            # Where fewer than eight are left, the last one is taken again, and its sum dropped.
            rows[row] = PIECE_BLOCKS * min(form + row, n_forms - 1)
        r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
        r4, r5, r6, r7 = rows[4], rows[5], rows[6], rows[7]
        start = 0
        for i in range(n_channels):
            for j in range(i, n_channels, 2):
                k = min(j + 1, n_channels - 1)
                x0, x1, x2, x3 = zeros(units), zeros(units), zeros(units), zeros(units)
                x4, x5, x6, x7 = zeros(units), zeros(units), zeros(units), zeros(units)
                y0, y1, y2, y3 = zeros(units), zeros(units), zeros(units), zeros(units)
                y4, y5, y6, y7 = zeros(units), zeros(units), zeros(units), zeros(units)
                for block in range(n_blocks):
                    left = load(units, PIECE_BLOCKS * i + block)
                    x = left * load(units, PIECE_BLOCKS * j + block)
                    y = left * load(units, PIECE_BLOCKS * k + block)
                    factor = load(factors, r0 + block)
                    x0, y0 = x0 + factor * x, y0 + factor * y
                    factor = load(factors, r1 + block)
                    x1, y1 = x1 + factor * x, y1 + factor * y
                    factor = load(factors, r2 + block)
                    x2, y2 = x2 + factor * x, y2 + factor * y
                    factor = load(factors, r3 + block)
                    x3, y3 = x3 + factor * x, y3 + factor * y
                    factor = load(factors, r4 + block)
                    x4, y4 = x4 + factor * x, y4 + factor * y
                    factor = load(factors, r5 + block)
                    x5, y5 = x5 + factor * x, y5 + factor * y
                    factor = load(factors, r6 + block)
                    x6, y6 = x6 + factor * x, y6 + factor * y
                    factor = load(factors, r7 + block)
                    x7, y7 = x7 + factor * x, y7 + factor * y
                at = start + j - i
                low = total(x0), total(x1), total(x2), total(x3)
                high = total(x4), total(x5), total(x6), total(x7)
                xs = low + high
                low = total(y0), total(y1), total(y2), total(y3)
                high = total(y4), total(y5), total(y6), total(y7)
                ys = low + high
                for row in range(min(WIDTH, n_forms - form)):
                    of_packed[form + row, at] += xs[row]
                    if k > j:
                        of_packed[form + row, at + 1] += ys[row]
            start += n_channels - i
