"""Quadratic forms of channel vectors by torch's matrix products, piece by piece.

The products u_i u_j of a piece are a matrix (T, N), which the packed forms (M, T) multiply; the
backward pass forms them again.

Letters: as in `channel_forms`, and N pixels of a piece.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .layout import empty_maps, refuse_pixel
from .pieces import Piece, part_of, pieces, units_of, write, write_gradient

PIECE_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""For the products of a piece: what a processor's caches hold, what keeps a GPU busy."""


def forward(features: Tensor, packed: Tensor, length: bool) -> Tensor:
    """Values (B, M, S), or (B, M + 1, S), of packed forms (M, T) on features (B, C, S).

    Raises:
        InputError: a feature that is not finite.
    """
    values = empty_maps(features, len(packed) + length)
    for piece in _pieces(features):
        units = units_of(features, piece)
        if not torch.isfinite(units.norms).all():
            refuse_pixel(features)
        write(values, piece, packed @ _products(units.columns), units, length=length)
    return values


def backward(
    features: Tensor, packed: Tensor, length: bool, cotangent: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of sum(values * cotangent) by features and by packed forms, as far as `wanted`."""
    n_forms = len(packed)
    of_features = torch.empty_like(features) if wanted[0] else None
    of_packed = torch.zeros_like(packed) if wanted[1] else None
    for piece in _pieces(features):
        units = units_of(features, piece)
        factors = part_of(cotangent, piece).reshape(n_forms + length, -1)
        if of_packed is not None:
            of_packed.addmm_(factors[:n_forms], _products(units.columns).T)
        if of_features is not None:
            of_units = _pull_products(packed.T @ factors[:n_forms], units.columns)
            of_norms = factors[n_forms] if length else None
            write_gradient(of_features, piece, of_units, of_norms, units)
    return of_features, of_packed


def _pieces(features: Tensor) -> Iterator[Piece]:
    n_channels = features.shape[1]
    n_bytes = PIECE_BYTES["cpu" if features.is_cpu else "cuda"]
    return pieces(features, n_channels * (n_channels + 1) // 2, n_bytes)


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
