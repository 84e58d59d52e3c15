"""Pixels of feature maps as blocks of vectors, compiled: channel vectors in, outputs out.

A block is L pixels in a row of all images' pixels, one per lane. Maps (B, C, S) are given as their
memory, an (n,) array, and the three strides in elements; where a channel's pixels stand side by
side, as in PyTorch's usual layout, they are vectors already.

Letters: B images, C channels, S pixels of an image, L lanes.
"""

from __future__ import annotations

import math

import numpy as np

from ..layers.encodings import ZERO_NORM
from .cache import helper
from .lanes import (
    VECTOR_BYTES,
    FloatArray,
    inverse_root,
    load,
    load_from,
    store,
    store_to,
    total,
    zeros,
)

Layout = tuple[int, int, int, int, int, int]
"""Of maps: B, C, S, and the strides along them."""
Maps = tuple[FloatArray, Layout]
"""Maps as the kernels take them: their memory, and how they lie in it."""


@helper
def aligned(count: int, like: FloatArray) -> FloatArray:
    """An uninitialised array (count, L) whose rows are cache lines.

    Numba's own arrays begin anywhere: every second row would lie across two lines.
    """
    lanes = VECTOR_BYTES // like.itemsize
    memory = np.empty((count + 1) * lanes, like.dtype)
    first = (-memory.ctypes.data % VECTOR_BYTES) // like.itemsize
    return memory[first : first + count * lanes].reshape(count, lanes)


@helper
def read_maps(memory: FloatArray, layout: Layout, block: int, vectors: FloatArray) -> None:
    """Take a block of maps into the first C of `vectors` (n, L); lanes beyond the last are zero."""
    n_images, n_channels, n_pixels, by_image, by_channel, by_pixel = layout
    lanes = vectors.shape[1]
    first = block * lanes
    image, pixel = first // n_pixels, first % n_pixels
    if by_pixel == 1 and pixel + lanes <= n_pixels:
        start = image * by_image + pixel
        for channel in range(n_channels):
            store(vectors, channel, load_from(memory, start + channel * by_channel))
        return
    for lane in range(lanes):
        if first + lane >= n_images * n_pixels:
            vectors[:n_channels, lane] = 0
            continue
        start = image * by_image + pixel * by_pixel
        for channel in range(n_channels):
            vectors[channel, lane] = memory[start + channel * by_channel]
        pixel += 1
        if pixel == n_pixels:
            image, pixel = image + 1, 0


@helper
def write_maps(vectors: FloatArray, memory: FloatArray, layout: Layout, block: int) -> None:
    """Put the first C of `vectors` (n, L) where `read_maps` takes that block from."""
    n_images, n_channels, n_pixels, by_image, by_channel, by_pixel = layout
    lanes = vectors.shape[1]
    first = block * lanes
    image, pixel = first // n_pixels, first % n_pixels
    if by_pixel == 1 and pixel + lanes <= n_pixels:
        start = image * by_image + pixel
        for channel in range(n_channels):
            store_to(memory, start + channel * by_channel, load(vectors, channel))
        return
    for lane in range(min(lanes, n_images * n_pixels - first)):
        start = image * by_image + pixel * by_pixel
        for channel in range(n_channels):
            memory[start + channel * by_channel] = vectors[channel, lane]
        pixel += 1
        if pixel == n_pixels:
            image, pixel = image + 1, 0


@helper
def normalise(vectors: FloatArray, n_channels: int, inverse_norms: FloatArray) -> bool:
    """Make a block's channel vectors unit vectors; returns whether all were finite.

    The first row of `inverse_norms` (1, L) gets 1/norm, zero for a norm below `ZERO_NORM`.
    """
    squares = zeros(vectors)
    for channel in range(n_channels):
        value = load(vectors, channel)
        squares = squares + value * value
    scale = inverse_root(squares, inverse_norms.dtype.type(ZERO_NORM**2))
    if not math.isfinite(total(squares)):
        # Only now is it worth asking why: a bad entry, or squares that overflow.
        return _normalise_long(vectors, n_channels, inverse_norms)
    store(inverse_norms, 0, scale)
    for channel in range(n_channels):
        store(vectors, channel, scale * load(vectors, channel))
    return True


@helper
def _normalise_long(vectors: FloatArray, n_channels: int, inverse_norms: FloatArray) -> bool:
    """`normalise`, lane by lane and without squares that overflow."""
    for lane in range(vectors.shape[1]):
        peak, square = 0.0, 0.0
        for channel in range(n_channels):
            if not math.isfinite(vectors[channel, lane]):
                return False
            peak = max(peak, abs(vectors[channel, lane]))
        for channel in range(n_channels):
            square += (vectors[channel, lane] / peak) ** 2 if peak > 0 else 0.0
        rest = math.sqrt(square)
        is_zero = peak * rest < ZERO_NORM
        inverse_norms[0, lane] = 0 if is_zero else 1 / peak / rest
        for channel in range(n_channels):
            vectors[channel, lane] = 0 if is_zero else vectors[channel, lane] / peak / rest
    return True


@helper
def pull_normalise(
    units: FloatArray, n_channels: int, inverse_norms: FloatArray, gradient: FloatArray
) -> None:
    """The gradient (C, L) with respect to channel vectors, from that to their unit vectors."""
    along = zeros(units)
    for channel in range(n_channels):
        along = along + load(units, channel) * load(gradient, channel)
    scale = load(inverse_norms, 0)
    for channel in range(n_channels):
        across = load(gradient, channel) - along * load(units, channel)
        store(gradient, channel, scale * across)
