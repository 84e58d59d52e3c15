"""How feature maps (B, C, S) lie in memory: channel by channel, or pixel by pixel (channels last).

Letters: B images, C channels, S pixels of an image.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..kernels.maps import Maps


def empty_maps(like: Tensor, n_channels: int) -> Tensor:
    """Uninitialised maps with other channels, in the memory format of `like` (B, C, S)."""
    n_images, _, n_pixels = like.shape
    if _is_channels_last(like):
        return like.new_empty((n_images, n_pixels, n_channels)).transpose(1, 2)
    return like.new_empty((n_images, n_channels, n_pixels))


def dense(maps: Tensor) -> Tensor:
    """The maps themselves where they lie without gaps in one of the two formats, else a copy."""
    return maps if _is_channels_last(maps) else maps.contiguous()


def memory_of(maps: Tensor) -> Maps:
    """Dense maps on the CPU as the kernels take them: their memory, sizes and strides."""
    n_images, n_channels, n_pixels = maps.shape
    by_image, by_channel, by_pixel = maps.stride()
    ordered = maps.transpose(1, 2) if _is_channels_last(maps) else maps
    layout = n_images, n_channels, n_pixels, by_image, by_channel, by_pixel
    return ordered.detach().reshape(-1).numpy(), layout


def lengths(vectors: Tensor, dim: int) -> Tensor:
    """Norms along a dimension; that of no vector overflows that its entries do not."""
    peaks = vectors.detach().abs().amax(dim=dim, keepdim=True)
    peaks = peaks.clamp(min=torch.finfo(vectors.dtype).tiny)
    return peaks.squeeze(dim) * torch.linalg.vector_norm(vectors / peaks, dim=dim)


def refuse_pixel(features: Tensor) -> NoReturn:
    """Raise `InputError` that names the first pixel with a NaN or infinite entry."""
    finite = torch.isfinite(features).all(dim=1).cpu().numpy()
    image, pixel = (int(index) for index in np.argwhere(~finite)[0])
    raise InputError(
        f"the channel vector of image {image}, pixel {pixel} (counted row by row) has an entry "
        f"that is not finite: {features[image, :, pixel].tolist()}"
    )


def _is_channels_last(maps: Tensor) -> bool:
    return not maps.is_contiguous() and maps.transpose(1, 2).is_contiguous()
