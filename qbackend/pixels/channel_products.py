"""Every pixel's channel vector through all kernels by a few products of matrices, for accelerators.

Weights, features and all that is computed of them stay on their device, and nothing waits for it: a
training step can be captured as a graph. What is not finite becomes NaN, since an error would have
to wait. What pixels become is kept for the backward pass where that of all of them is one piece,
and computed again, piece by piece, where it is more.

Letters: B images, C channels, S pixels of an image, N of a piece, K kernels, W weights of each,
Q wires, D = 2^Q amplitudes, M outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..gradients.higher import Gradients, pulled
from ..gradients.torch_circuit import unit_vectors
from ..gradients.torch_unitaries import unitaries
from ..layers.spec import LayerSpec
from .layout import empty_maps
from .pieces import Units, part_of, pieces, units_of, with_norms, write, write_gradient
from .roads import Forms, Road, States, prefers_forms

PIECE_BYTES = 2**29
"""For what the pixels of a piece become: keeps a GPU busy, and leaves room on a small one."""


def channel_products(
    features: Tensor, weights: Tensor, spec: LayerSpec, n_outputs: int, *, length: bool = False
) -> Tensor:
    """Values (B, M, S) of kernels with weights (K, W) on features (B, C, S).

    In the features' memory format. A channel vector with a norm below `ZERO_NORM` gives zero
    values and zero gradients.

    Args:
        features: float32 or float64.
        weights: of all kernels.
        spec: what each kernel is.
        n_outputs: M; the last kernel's outputs beyond are cut.
        length: append the vectors' norms as one more output.
    """
    n_channels, n_kernels, n_amplitudes = features.shape[1], len(weights), 2**spec.n_wires
    road: Road = States(n_kernels, n_amplitudes, n_outputs)
    if prefers_forms(n_channels, n_kernels, n_amplitudes, n_outputs):
        road = Forms(n_channels, n_outputs)
    # In float64: that costs little, as it does not grow with the pixels, and leaves the values
    # with the rounding of the products over pixels alone.
    given = weights.to(features.device, torch.float64)
    columns = unitaries(spec, given, n_channels)
    matrix = road.matrix(columns, _signs(spec, given.dtype, given.device)).to(features.dtype)
    signs = _signs(spec, features.dtype, features.device)
    return _ChannelProducts.apply(features, matrix, signs, road, n_outputs, length)


@cache
def _signs(spec: LayerSpec, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Eigenvalues of each kernel's observables by basis state, (Q, D)."""
    # Whoever comes after may want derivatives.
    with torch.inference_mode(False):
        return torch.tensor(spec.signs(), dtype=dtype, device=device)


class _ChannelProducts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        matrix: Tensor,
        signs: Tensor,
        road: Road,
        n_outputs: int,
        length: bool,
    ) -> Tensor:
        found = list(pieces(features, road.n_numbers, PIECE_BYTES))
        values = empty_maps(features, n_outputs + length)
        kept: list[Tensor] = []
        for piece in found:
            units = units_of(features, piece)
            operand = road.operand(units.columns)
            product = matrix @ operand
            write(values, piece, road.outputs(product, signs), units, length=length)
            if len(found) == 1:
                kept = [*units, operand, product]
        ctx.save_for_backward(features, matrix, signs, *kept)
        ctx.road, ctx.n_outputs, ctx.length = road, n_outputs, length
        return values

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Gradients:
        given, trained, signs, *kept = ctx.saved_tensors
        road: Road = ctx.road

        def pull(cotangent: Tensor, features: Tensor, matrix: Tensor) -> Gradients:
            # Whoever calls this inside an autocast region would have half precision of it.
            with torch.autocast(features.device.type, enabled=False):
                return _pull(ctx, cotangent, features, matrix, signs, kept)

        def again(features: Tensor, matrix: Tensor) -> Tensor:
            units = unit_vectors(features, dim=1)
            product = matrix @ road.operand(units.transpose(0, 1).flatten(1))
            values = road.outputs(product, signs).unflatten(1, units.shape[::2]).transpose(0, 1)
            return with_norms(values, features, units) if ctx.length else values

        return *pulled(pull, again, cotangent, (given, trained)), None, None, None, None


def _pull(
    ctx: Any,
    cotangent: Tensor,
    features: Tensor,
    matrix: Tensor,
    signs: Tensor,
    kept: Sequence[Tensor],
) -> Gradients:
    """Gradients by features and matrix, as far as they are wanted."""
    road, n_outputs, length = ctx.road, ctx.n_outputs, ctx.length
    of_features = torch.empty_like(features) if ctx.needs_input_grad[0] else None
    of_matrix = torch.zeros_like(matrix) if ctx.needs_input_grad[1] else None
    for piece in pieces(features, road.n_numbers, PIECE_BYTES):
        units = Units(*kept[:3]) if kept else units_of(features, piece)
        operand = kept[3] if kept else road.operand(units.columns)
        product = kept[4] if kept else matrix @ operand
        factors = part_of(cotangent, piece).reshape(n_outputs + length, -1)
        of_product = road.pull_outputs(product, signs, factors[:n_outputs])
        if of_matrix is not None:
            of_matrix.addmm_(of_product, operand.T)
        if of_features is not None:
            of_units = road.pull_operand(units.columns, matrix.T @ of_product)
            of_norms = factors[n_outputs] if length else None
            write_gradient(of_features, piece, of_units, of_norms, units)
    return of_features, of_matrix
