"""A layer's values as a differentiable function, for autograd and for `torch.func`.

Letters: B batch, F features, W weights, M observables.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..gradients.higher import Gradients, in_transform, is_first, pulled
from ..seam.backend import Pullback
from .network import LayerNetwork


def values_of(
    features: Tensor,
    weights: Tensor,
    network: LayerNetwork,
    differentiate: bool,
    keep: bool,
    at_once: bool,
) -> Tensor:
    """Values (B, M) of features (B, F) and weights (W,), open to derivatives.

    Args:
        features: float32 or float64.
        weights: floating point.
        network: what computes.
        differentiate: whether a backward pass may follow.
        keep: what it needs. Without that it goes forward again.
        at_once: see `LayerNetwork.evaluate`.

    Raises:
        InputError: see `LayerNetwork.evaluate`.
    """
    # What the transforms ask of a function makes each of its calls several times as expensive.
    if in_transform():
        return _TransformedFunction.apply(features, weights, network)
    return _LayerFunction.apply(features, weights, network, differentiate, keep, at_once)


class _LayerFunction(torch.autograd.Function):
    """Autograd through `LayerNetwork.evaluate`."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weights: Tensor,
        network: LayerNetwork,
        differentiate: bool,
        keep: bool,
        at_once: bool,
    ) -> Tensor:
        if not differentiate:
            return network.evaluate(features, weights, differentiate=False).values
        of_features, of_weights = ctx.needs_input_grad[:2]
        forward = network.evaluate(
            features,
            weights,
            differentiate=keep,
            of_features=of_features,
            of_weights=of_weights,
            at_once=at_once,
        )
        # What autograd saves it also guards: it refuses inputs that have changed in the meantime.
        ctx.save_for_backward(features, weights)
        ctx.network, ctx.pullback = network, forward.pullback
        return forward.values

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Gradients:
        if ctx.pullback is not None and is_first(cotangent):
            # Small batches spend more time on calls than in them: this way there are few.
            _, weights = ctx.saved_tensors
            found = ctx.pullback(cotangent, *ctx.needs_input_grad[:2])
            return *_like_weights(found, weights), None, None, None, None
        return *_pulled_back(ctx, cotangent, ctx.pullback), None, None, None, None


class _TransformedFunction(torch.autograd.Function):
    """The same within the transforms of `torch.func`.

    There nothing of a forward pass is kept for the backward one, whose rows may be those of many.
    """

    @staticmethod
    def forward(features: Tensor, weights: Tensor, network: LayerNetwork) -> Tensor:
        return network.evaluate(features, weights, differentiate=False).values

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        features, weights, ctx.network = inputs
        ctx.save_for_backward(features, weights)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Gradients:
        return *_pulled_back(ctx, cotangent, None), None

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        features: Tensor,
        weights: Tensor,
        network: LayerNetwork,
    ) -> tuple[Tensor, int]:
        """Rows that share their weights are one batch; every vector of weights is a layer."""
        by_features, by_weights, _ = in_dims
        if by_features is not None:
            features = features.movedim(by_features, 0)
        if by_weights is None:
            values = _TransformedFunction.apply(features.flatten(0, 1), weights, network)
            return values.view(*features.shape[:2], -1), 0
        each = [
            _TransformedFunction.apply(
                features if by_features is None else features[index], vector, network
            )
            for index, vector in enumerate(weights.movedim(by_weights, 0).unbind())
        ]
        return torch.stack(each), 0


def _pulled_back(ctx: Any, cotangent: Tensor, pullback: Pullback | None) -> Gradients:
    """Gradients by features (B, F) and weights (W,); the pass goes forward again without one."""
    network: LayerNetwork = ctx.network
    of_features, of_weights = ctx.needs_input_grad[:2]

    def pull(cotangent: Tensor, features: Tensor, weights: Tensor) -> Gradients:
        backward = pullback or network.pullback(features, weights)
        return _like_weights(backward(cotangent, of_features, of_weights), weights)

    return pulled(pull, network.in_torch, cotangent, ctx.saved_tensors, by_row=not of_weights)


def _like_weights(gradients: Gradients, weights: Tensor) -> Gradients:
    by_features, by_weights = gradients
    if by_weights is not None and (
        by_weights.dtype != weights.dtype or by_weights.device != weights.device
    ):
        by_weights = by_weights.to(weights)
    return by_features, by_weights
