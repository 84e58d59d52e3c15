"""Feature maps taken apart into pieces whose intermediate results fit a bound in bytes.

What torch's operations work on is a piece's unit vectors, side by side as columns.

Letters: B images, C channels, M outputs, S pixels of an image, N pixels of a piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..layers.encodings import ZERO_NORM
from .layout import lengths

Piece = tuple[slice, slice]
"""Images, and pixels of each."""
LEAST_PIXELS = 64


def pieces(features: Tensor, n_numbers: int, n_bytes: int) -> Iterator[Piece]:
    """Many small images, or a part of a large one, at a time.

    Args:
        features: (B, C, S).
        n_numbers: of a pixel's intermediate results, in the features' dtype.
        n_bytes: for those of a piece, unless it has `LEAST_PIXELS` only.
    """
    n_images, _, n_pixels = features.shape
    most = max(LEAST_PIXELS, n_bytes // (n_numbers * features.element_size()))
    together = max(1, most // max(n_pixels, 1))
    for image in range(0, n_images, together):
        for pixel in range(0, n_pixels, most):
            yield slice(image, image + together), slice(pixel, pixel + most)


def part_of(maps: Tensor, piece: Piece) -> Tensor:
    """A piece of maps (B, C, S), channel by channel: (C, images, pixels)."""
    images, pixels = piece
    return maps[images, :, pixels].transpose(0, 1)


class Units(NamedTuple):
    """A piece's vectors, with what takes them apart: not finite where an entry is not.

    Attributes:
        columns: unit vectors (C, N), zero for zero.
        norms: (N,).
        inverse_norms: (N,), zero for zero.
    """

    columns: Tensor
    norms: Tensor
    inverse_norms: Tensor


def units_of(features: Tensor, piece: Piece) -> Units:
    """The unit vectors of a piece."""
    vectors = part_of(features, piece).reshape(features.shape[1], -1)
    norms = lengths(vectors, dim=0)
    inverse_norms = torch.where(norms < ZERO_NORM, 0, 1 / norms)
    return Units(vectors * inverse_norms, norms, inverse_norms)


def write(values: Tensor, piece: Piece, outputs: Tensor, units: Units, *, length: bool) -> None:
    """Put a piece's outputs (M, N) where they belong in maps; behind them the norms."""
    part = part_of(values, piece)
    n_outputs = len(outputs)
    part[:n_outputs] = outputs.view_as(part[:n_outputs])
    if length:
        norms = torch.where(units.inverse_norms == 0, 0, 1 / units.inverse_norms)
        part[n_outputs] = norms.view_as(part[n_outputs])


def write_gradient(
    of_features: Tensor, piece: Piece, of_units: Tensor, of_norms: Tensor | None, units: Units
) -> None:
    """The gradient by a piece's vectors, from that by unit vectors, which it spoils, and norms."""
    columns, _, inverse_norms = units
    of_units -= columns * torch.sum(of_units * columns, dim=0)
    of_units *= inverse_norms
    if of_norms is not None:
        of_units += columns * of_norms
    part = part_of(of_features, piece)
    part.copy_(of_units.view_as(part))


def with_norms(values: Tensor, features: Tensor, units: Tensor) -> Tensor:
    """Values (B, M, S) with the norms of vectors (B, C, S) behind them, open to derivatives."""
    # Along its unit vector a vector is as long as it is.
    return torch.cat([values, torch.sum(features * units, dim=1, keepdim=True)], dim=1)
