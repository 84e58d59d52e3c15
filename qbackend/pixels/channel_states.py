"""Every pixel's channel vector as a state, carried through all kernels of a layer.

Letters: B images, C channels, K kernels, M outputs, S pixels of an image, W weights of a kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..gradients.higher import Gradients, pulled
from ..gradients.torch_circuit import forms
from ..seam.forms import PixelBackend
from ..seam.requests import CompiledLayer, angles_of
from .channel_forms import forms_in_torch, pack
from .layout import dense, empty_maps, memory_of, refuse_pixel


def channel_states(
    features: Tensor,
    weights: Tensor,
    compiled: CompiledLayer,
    backend: PixelBackend,
    n_outputs: int,
    *,
    length: bool = False,
) -> Tensor:
    """Values (B, M, S) of kernels with weights (K, W) on features (B, C, S), on the CPU.

    In the features' memory format. A channel vector with a norm below `ZERO_NORM` gives zero
    values and zero gradients. The backward pass keeps the features only.

    Args:
        features: float32 or float64.
        weights: of all kernels.
        compiled: what each kernel is.
        backend: what executes them.
        n_outputs: M; the last kernel's outputs beyond are cut.
        length: append the vectors' norms as one more output.

    Raises:
        InputError: a feature or a weight that is not finite; the message names the first pixel.
    """
    return _ChannelStates.apply(features, weights, compiled, backend, n_outputs, length)


class _ChannelStates(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        compiled: CompiledLayer,
        backend: PixelBackend,
        n_outputs: int,
        length: bool,
    ) -> Tensor:
        ctx.save_for_backward(features, weights)
        ctx.spec, ctx.n_outputs, ctx.length = compiled.spec, n_outputs, length
        features = dense(features)
        memory = memory_of(features)
        angles = angles_of(weights)
        ctx.circuits = backend.pixel_circuits(compiled, angles, memory[0].dtype)
        values = empty_maps(features, n_outputs + length)
        if values.numel() > 0 and not ctx.circuits.forward(
            memory, memory_of(values), length=length
        ):
            refuse_pixel(features)
        return values

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Gradients:
        features, weights = ctx.saved_tensors
        spec, n_outputs, length = ctx.spec, ctx.n_outputs, ctx.length
        n_channels = features.shape[1]

        def pull(cotangent: Tensor, features: Tensor, weights: Tensor) -> Gradients:
            given = dense(features)
            of_features = torch.empty_like(given) if ctx.needs_input_grad[0] else None
            of_weights = ctx.circuits.backward(
                memory_of(given),
                memory_of(dense(cotangent)),
                None if of_features is None else memory_of(of_features),
                length=length,
            )
            wanted = ctx.needs_input_grad[1]
            return of_features, torch.from_numpy(of_weights).to(weights) if wanted else None

        def again(features: Tensor, weights: Tensor) -> Tensor:
            matrices = forms(spec, weights.to(features)).flatten(0, 1)
            packed = pack(matrices[:n_outputs, :n_channels, :n_channels])
            return forms_in_torch(features, packed, length=length)

        gradients = pulled(pull, again, cotangent, (features, weights))
        return *gradients, None, None, None, None
