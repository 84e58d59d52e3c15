"""Quadratic forms of channel vectors by torch's matrix products, chunk by chunk of pixels.

The products u_i u_j of a chunk are a matrix (T, N), which the packed forms (M, T) multiply; the
backward pass forms them again.

Letters: as in `channel_forms`, and N pixels of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..layers.encodings import ZERO_NORM
from .layout import empty_maps, lengths, refuse_pixel

CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""For the products of a chunk's pixels: what a processor's caches hold, what keeps a GPU busy."""
LEAST_PIXELS = 64


def forward(features: Tensor, packed: Tensor, length: bool) -> Tensor:
    """Values (B, M, S), or (B, M + 1, S), of packed forms (M, T) on features (B, C, S)."""
    n_forms = len(packed)
    values = empty_maps(features, n_forms + length)
    for images, pixels in _chunks(features):
        units, inverse_norms = _units(features, images, pixels)
        part = _part(values, images, pixels)
        part[:n_forms] = (packed @ _products(units)).view_as(part[:n_forms])
        if length:
            norms = torch.where(inverse_norms == 0, 0, 1 / inverse_norms)
            part[n_forms] = norms.view_as(part[n_forms])
    return values


def backward(
    features: Tensor, packed: Tensor, length: bool, cotangent: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of sum(values * cotangent) by features and by packed forms, as far as `wanted`."""
    n_forms = len(packed)
    of_features = torch.empty_like(features) if wanted[0] else None
    of_packed = torch.zeros_like(packed) if wanted[1] else None
    for images, pixels in _chunks(features):
        units, inverse_norms = _units(features, images, pixels)
        factors = _part(cotangent, images, pixels).reshape(n_forms + length, -1)
        if of_packed is not None:
            of_packed.addmm_(factors[:n_forms], _products(units).T)
        if of_features is not None:
            of_units = _pull_products(packed.T @ factors[:n_forms], units)
            of_units -= units * torch.sum(of_units * units, dim=0)
            of_units *= inverse_norms
            if length:
                of_units += units * factors[n_forms]
            part = _part(of_features, images, pixels)
            part.copy_(of_units.view_as(part))
    return of_features, of_packed


def _chunks(features: Tensor) -> Iterator[tuple[slice, slice]]:
    """Which images and pixels to take together: many small images, or a piece of a large one."""
    n_images, n_channels, n_pixels = features.shape
    column_bytes = n_channels * (n_channels + 1) // 2 * features.element_size()
    chunk_bytes = CHUNK_BYTES["cpu" if features.is_cpu else "cuda"]
    most = max(LEAST_PIXELS, chunk_bytes // column_bytes)
    together = max(1, most // max(n_pixels, 1))
    for image in range(0, n_images, together):
        for pixel in range(0, n_pixels, most):
            yield slice(image, image + together), slice(pixel, pixel + most)


def _part(maps: Tensor, images: slice, pixels: slice) -> Tensor:
    """A chunk of maps (B, C, S), channel by channel: (C, images, pixels)."""
    return maps[images, :, pixels].transpose(0, 1)


def _units(features: Tensor, images: slice, pixels: slice) -> tuple[Tensor, Tensor]:
    """A chunk's channel vectors made unit vectors (C, N), and 1/norm (N,); zero for zero.

    Raises:
        InputError: a feature that is not finite.
    """
    vectors = _part(features, images, pixels).reshape(features.shape[1], -1)
    norms = lengths(vectors, dim=0)
    if not torch.isfinite(norms).all():
        refuse_pixel(features)
    inverse_norms = torch.where(norms < ZERO_NORM, 0, 1 / norms)
    return vectors * inverse_norms, inverse_norms


def _products(units: Tensor) -> Tensor:
    """The products u_i u_j, i <= j, in the order of packed forms: (C, N) to (T, N)."""
    n_channels, n_pixels = units.shape
    products = units.new_empty((n_channels * (n_channels + 1) // 2, n_pixels))
    start = 0
    for index in range(n_channels):
        end = start + n_channels - index
        torch.mul(units[index:], units[index], out=products[start:end])
        start = end
    return products


def _pull_products(of_products: Tensor, units: Tensor) -> Tensor:
    """Gradient with respect to the unit vectors (C, N) from that of their products (T, N)."""
    of_units = torch.zeros_like(units)
    n_channels, start = len(units), 0
    for index in range(n_channels):
        part = of_products[start : start + n_channels - index]
        of_units[index:].addcmul_(part, units[index])
        of_units[index] += torch.sum(part * units[index:], dim=0)
        start += n_channels - index
    return of_units
