"""Quadratic forms of channel vectors by compiled kernels, which read feature maps as they lie.

Letters: as in `channel_forms`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..kernels.chunks import PIXEL_CHUNKS, chunks
from ..kernels.lanes import VECTOR_BYTES, FloatArray
from ..kernels.threads import split
from . import lane_forms
from .layout import dense, empty_maps, memory_of, refuse_pixel

PRODUCTS_PER_NANOSECOND = 60
"""Of one core, in float32: decides only whether other cores are worth waking."""


def forward(features: Tensor, packed: Tensor, length: bool) -> Tensor:
    """Values (B, M, S), or (B, M + 1, S), of packed forms (M, T) on features (B, C, S).

    Raises:
        InputError: a feature that is not finite.
    """
    features = dense(features)
    values = empty_maps(features, len(packed) + length)
    memory, layout = memory_of(features)
    results, of_values = memory_of(values)
    panels = _panels(packed.detach().numpy())

    def run(first: int, last: int) -> int:
        return lane_forms.forward(memory, layout, panels, length, results, of_values, first, last)

    n_blocks = _n_blocks(features)
    if n_blocks > 0 and max(split(run, n_blocks, _nanoseconds(features, packed))) >= 0:
        refuse_pixel(features)
    return values


def backward(
    features: Tensor, packed: Tensor, length: bool, cotangent: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of sum(values * cotangent) by features and by packed forms, as far as `wanted`."""
    features, cotangent = dense(features), dense(cotangent)
    memory, layout = memory_of(features)
    factors, of_values = memory_of(cotangent)
    panels = _panels(packed.detach().numpy().T)
    of_features = torch.empty_like(features) if wanted[0] else features.new_empty((0, 0, 0))
    of_memory, of_layout = memory_of(of_features)
    chunk, n_chunks = chunks(_n_blocks(features), PIXEL_CHUNKS, lane_forms.PIECE_BLOCKS)
    of_packed = packed.new_zeros((n_chunks if wanted[1] else 0, *packed.shape))
    sums = of_packed.numpy()

    def run(first: int, last: int) -> None:
        lane_forms.backward(
            memory, layout, panels, length, factors, of_values, chunk, of_memory, of_layout, sums,
            first, last,
        )  # fmt: skip

    if n_chunks > 0:
        split(run, n_chunks, 2 * _nanoseconds(features, packed))
    return of_features if wanted[0] else None, of_packed.sum(dim=0) if wanted[1] else None


def _panels(weights: FloatArray) -> FloatArray:
    """Rows (R, N) in panels of 8 side by side, (R / 8, N, 8), the last one filled up with zeros."""
    n_rows, n_columns = weights.shape
    n_panels = -(-n_rows // lane_forms.WIDTH)
    padded = np.zeros((n_panels * lane_forms.WIDTH, n_columns), weights.dtype)
    padded[:n_rows] = weights
    panels = padded.reshape(n_panels, lane_forms.WIDTH, n_columns).transpose(0, 2, 1)
    return np.ascontiguousarray(panels)


def _n_blocks(features: Tensor) -> int:
    n_pixels = features.shape[0] * features.shape[2]
    return -(-n_pixels // (VECTOR_BYTES // features.element_size()))


def _nanoseconds(features: Tensor, packed: Tensor) -> float:
    """Estimated time of a forward pass on one core."""
    return features.shape[0] * features.shape[2] * packed.numel() / PRODUCTS_PER_NANOSECOND
