"""The quadratic forms of several quantum layers with one spec, as a differentiable function.

Letters: K kernels, W weights of each, Q wires, D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .. import QuantumLayer
from ..gradients.higher import Gradients, pulled
from ..gradients.torch_circuit import forms as forms_in_torch
from ..layers.inputs import Array, check_weights
from ..seam.forms import Forms, PixelBackend, QuadraticBackend
from ..seam.requests import angles_of


def has_forms(layer: QuantumLayer) -> bool:
    """Whether the layer's backend tells its forms, and the layer is differentiated by them."""
    return layer.neural_network.gradient == "vjp" and isinstance(layer.backend, QuadraticBackend)


def has_states(layer: QuantumLayer) -> bool:
    """Whether the layer's backend carries states of pixels, and the layer is differentiated so."""
    return layer.neural_network.gradient == "vjp" and isinstance(layer.backend, PixelBackend)


def stacked_weights(layers: Sequence[QuantumLayer]) -> Tensor:
    """The layers' weights, (K, W).

    Raises:
        InputError: of another number than the layers have.
    """
    for layer in layers:
        check_weights(layer.weight, layer.spec.n_weights)
    return torch.stack([layer.weight for layer in layers])


class StackedForms:
    """The forms for the latest weights: they are computed once while the weights stand still."""

    def __init__(self) -> None:
        self._known: tuple[Sequence[QuadraticBackend], Array, list[Forms]] | None = None

    def matrices(self, layers: Sequence[QuantumLayer]) -> Tensor:
        """Re(U† Z_q U) of every kernel and wire, (K, Q, D, D), float64, on the weights' device.

        Raises:
            InputError: wrong number of weights, or one that is not finite.
        """
        return _Matrices.apply(stacked_weights(layers), layers, self)

    def of(self, layers: Sequence[QuantumLayer], weights: Array) -> list[Forms]:
        """The forms of the layers for weights (K, W): together where they share a backend."""
        backends = [cast(QuadraticBackend, layer.backend) for layer in layers]
        known = self._known
        if known is not None and known[0] == backends and np.array_equal(known[1], weights):
            return known[2]
        compiled = layers[0].neural_network.compiled
        if all(backend is backends[0] for backend in backends):
            forms = [backends[0].forms(compiled, weights)]
        else:
            pairs = zip(backends, weights, strict=True)
            forms = [backend.forms(compiled, vector[None]) for backend, vector in pairs]
        self._known = backends, weights.copy(), forms
        return forms

    def __getstate__(self) -> dict[str, Any]:
        return {"_known": None}


class _Matrices(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, layers: Sequence[QuantumLayer], forms: StackedForms
    ) -> Tensor:
        found = forms.of(layers, angles_of(weights))
        ctx.save_for_backward(weights)
        ctx.found, ctx.spec = found, layers[0].spec
        return torch.from_numpy(np.concatenate([f.matrices for f in found])).to(weights.device)

    @staticmethod
    def backward(ctx: Any, of_matrices: Tensor) -> Gradients:
        (weights,) = ctx.saved_tensors
        found, spec = ctx.found, ctx.spec

        def pull(of_matrices: Tensor, weights: Tensor) -> Gradients:
            # Whoever uses one triangle only has his gradient there: a pullback takes the symmetric.
            symmetric = ((of_matrices + of_matrices.transpose(2, 3)) / 2).cpu().numpy()
            gradients, first = [], 0
            for forms in found:
                last = first + len(forms.matrices)
                gradients.append(forms.pullback(symmetric[first:last]))
                first = last
            return (torch.from_numpy(np.concatenate(gradients)).to(weights),)

        def again(weights: Tensor) -> Tensor:
            return forms_in_torch(spec, weights.double())

        return *pulled(pull, again, of_matrices, (weights,)), None, None
