"""Between features and what exact engines load of them, both ways.

Letters: B batch, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..layers.encodings import Encoding
from .backend import Forward, Gradients


def through_loading(done: Forward, encoding: Encoding, features: Tensor) -> Forward:
    """A pass of what features (B, F) load, with the gradient by the features themselves."""
    pullback = done.pullback
    if pullback is None:
        return done

    def pull(cotangent: Tensor, of_features: bool = True, of_weights: bool = True) -> Gradients:
        by_loaded, by_weights = pullback(cotangent, of_features, of_weights)
        if by_loaded is None:
            return None, by_weights
        return pull_loaded(encoding, features, by_loaded), by_weights

    return Forward(done.values, pull)


def pull_loaded(encoding: Encoding, features: Tensor, of_loaded: Tensor) -> Tensor:
    """Gradient by features (B, F) from that by what their encoding loads (B, F)."""
    given = features.detach().requires_grad_()
    with torch.enable_grad():
        loaded = encoding.loaded(given)
    if loaded is given:
        return of_loaded
    (gradient,) = torch.autograd.grad(loaded, given, of_loaded)
    return gradient
