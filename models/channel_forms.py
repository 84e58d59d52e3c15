"""Quadratic forms of every pixel's channel vector, for all of a layer's outputs together.

Output m of a pixel is uᵀ M_m u with u = a/|a|, its channel vector a made a unit vector. Since M_m
is symmetric, that is a product of the (M, T) *packed* forms with the T = C (C + 1) / 2 products
u_i u_j, i <= j: large matrix products, chunk by chunk of pixels, in memory that does not grow with
their number. The backward pass keeps the features only and forms each chunk's products again.

Letters: B batch, C channels, M outputs, S pixels of an image, N pixels of a chunk, T products.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qbackend.encodings import ZERO_NORM
from qbackend.errors import InputError

CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""For the products of a chunk's pixels: what a processor's caches hold, what keeps a GPU busy."""


def pack(matrices: Tensor) -> Tensor:
    """Symmetric matrices (M, C, C) as packed forms (M, T): entries above the diagonal twice."""
    n_channels = matrices.shape[1]
    rows, columns = torch.triu_indices(n_channels, n_channels, device=matrices.device)
    return matrices[:, rows, columns] * torch.where(rows == columns, 1.0, 2.0).to(matrices)


def channel_forms(features: Tensor, packed: Tensor, *, length: bool = False) -> Tensor:
    """Values (B, M, S) of packed forms (M, T) on features (B, C, S).

    A channel vector with a norm below `ZERO_NORM` gives zero values and zero gradients.

    Args:
        features: float32 or float64.
        packed: of the same dtype, on the same device.
        length: append the vectors' norms as one more output.

    Raises:
        InputError: a feature that is not finite; the message names the first pixel.
    """
    return _ChannelForms.apply(features, packed, length)


class _ChannelForms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, packed: Tensor, length: bool) -> Tensor:
        ctx.save_for_backward(features, packed)
        ctx.length = length
        n_images, _, n_pixels = features.shape
        n_forms = len(packed)
        values = features.new_empty((n_images, n_forms + length, n_pixels))
        for images, pixels in _chunks(features):
            units, inverse_norms = _units(features, images, pixels)
            part = _part(values, images, pixels)
            part[:n_forms] = (packed @ _products(units)).view_as(part[:n_forms])
            if length:
                norms = torch.where(inverse_norms == 0, 0, 1 / inverse_norms)
                part[n_forms] = norms.view_as(part[n_forms])
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        features, packed = ctx.saved_tensors
        n_forms = len(packed)
        of_features = torch.empty_like(features)
        of_packed = torch.zeros_like(packed)
        for images, pixels in _chunks(features):
            units, inverse_norms = _units(features, images, pixels)
            factors = _part(cotangent, images, pixels).reshape(n_forms + ctx.length, -1)
            if ctx.needs_input_grad[1]:
                of_packed.addmm_(factors[:n_forms], _products(units).T)
            if not ctx.needs_input_grad[0]:
                continue
            of_units = _pull_products(packed.T @ factors[:n_forms], units)
            of_units -= units * torch.sum(of_units * units, dim=0)
            of_units *= inverse_norms
            if ctx.length:
                of_units += units * factors[n_forms]
            part = _part(of_features, images, pixels)
            part.copy_(of_units.view_as(part))
        return of_features, of_packed, None


def _chunks(features: Tensor) -> Iterator[tuple[slice, slice]]:
    """Which images and pixels to take together: many small images, or a piece of a large one."""
    n_images, n_channels, n_pixels = features.shape
    row_bytes = n_channels * (n_channels + 1) // 2 * features.element_size()
    most = max(64, CHUNK_BYTES.get(features.device.type, CHUNK_BYTES["cuda"]) // row_bytes)
    together = max(1, most // max(n_pixels, 1))
    for image in range(0, n_images, together):
        for pixel in range(0, n_pixels, most):
            yield slice(image, image + together), slice(pixel, pixel + most)


def _part(maps: Tensor, images: slice, pixels: slice) -> Tensor:
    """A chunk of maps (B, C, S), channel by channel: (C, images, pixels)."""
    return maps[images, :, pixels].transpose(0, 1)


def _units(features: Tensor, images: slice, pixels: slice) -> tuple[Tensor, Tensor]:
    """A chunk's channel vectors made unit vectors (C, N), and 1/norm (N,); zero for zero."""
    vectors = _part(features, images, pixels).reshape(features.shape[1], -1)
    # Divided by its largest entry, no vector's squares overflow.
    peaks = vectors.abs().amax(dim=0).clamp(min=torch.finfo(vectors.dtype).tiny)
    norms = peaks * torch.linalg.vector_norm(vectors / peaks, dim=0)
    if not torch.isfinite(norms).all():
        _refuse(features, images, pixels)
    inverse_norms = torch.where(norms < ZERO_NORM, 0, 1 / norms)
    return vectors * inverse_norms, inverse_norms


def _refuse(features: Tensor, images: slice, pixels: slice) -> None:
    bad = ~torch.isfinite(features[images, :, pixels]).all(dim=1)
    image, pixel = np.argwhere(bad.cpu().numpy())[0] + (images.start, pixels.start)
    raise InputError(
        f"the channel vector of image {image}, pixel {pixel} has an entry that is not finite: "
        f"{features[image, :, pixel].tolist()}"
    )


def _products(units: Tensor) -> Tensor:
    """The products u_i u_j, i <= j, in the order of `pack`: (C, N) to (T, N)."""
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
