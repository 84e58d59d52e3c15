"""Quadratic forms of every pixel's channel vector, for all of a layer's outputs together.

Output m of a pixel is uᵀ M_m u with u = a/|a|, its channel vector a made a unit vector. Since M_m
is symmetric, that is a sum over the T = C (C + 1) / 2 products u_i u_j, i <= j, with the *packed*
form's entries. Forms of all outputs are worked on together, chunk by chunk of pixels, in memory
that does not grow with their number; the backward pass keeps the features only. On the CPU
compiled kernels do it for few channels, torch's matrix products do for many and elsewhere.

Letters: B images, C channels, M outputs, S pixels of an image, T products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..gradients.higher import Gradients, pulled
from ..gradients.torch_circuit import unit_vectors
from . import cpu, tensors
from .pieces import with_norms

KERNEL_CHANNELS = 64
"""Up to here the kernels beat torch's matrix products on the CPU."""


def pack(matrices: Tensor) -> Tensor:
    """Symmetric matrices (M, C, C) as packed forms (M, T): entries above the diagonal twice."""
    n_channels = matrices.shape[1]
    rows, columns = torch.triu_indices(n_channels, n_channels, device=matrices.device)
    return matrices[:, rows, columns] * torch.where(rows == columns, 1.0, 2.0).to(matrices)


def channel_forms(features: Tensor, packed: Tensor, *, length: bool = False) -> Tensor:
    """Values (B, M, S) of packed forms (M, T) on features (B, C, S), in their memory format.

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
        by_kernels = features.is_cpu and features.shape[1] <= KERNEL_CHANNELS
        ctx.passes = cpu if by_kernels else tensors
        return ctx.passes.forward(features, packed, length)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Gradients:
        features, packed = ctx.saved_tensors
        length, wanted = ctx.length, ctx.needs_input_grad[:2]

        def pull(cotangent: Tensor, features: Tensor, packed: Tensor) -> Gradients:
            # Whoever calls this inside an autocast region would have half precision of it.
            with torch.autocast(features.device.type, enabled=False):
                return ctx.passes.backward(features, packed, length, cotangent, wanted=wanted)

        def again(features: Tensor, packed: Tensor) -> Tensor:
            return forms_in_torch(features, packed, length=length)

        return *pulled(pull, again, cotangent, (features, packed)), None


def forms_in_torch(features: Tensor, packed: Tensor, *, length: bool) -> Tensor:
    """What `channel_forms` gives, by torch's operations, for derivatives beyond the first."""
    units = unit_vectors(features, dim=1)
    rows, columns = torch.triu_indices(units.shape[1], units.shape[1], device=units.device)
    values = packed @ (units[:, rows] * units[:, columns])
    return with_norms(values, features, units) if length else values
