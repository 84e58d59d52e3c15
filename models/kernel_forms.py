"""The quadratic forms of several quantum layers with one spec, as a differentiable function.

Letters: K kernels, W weights of each, Q wires, D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qbackend import QuantumLayer
from qbackend.base import Array, angles_of
from qbackend.quadratic import Forms, PixelBackend, QuadraticBackend


def has_forms(layer: QuantumLayer) -> bool:
    """Whether the layer's backend tells its forms, and the layer is differentiated by them."""
    return layer.neural_network.gradient == "vjp" and isinstance(layer.backend, QuadraticBackend)


def has_states(layer: QuantumLayer) -> bool:
    """Whether the layer's backend carries states of pixels, and the layer is differentiated so."""
    return layer.neural_network.gradient == "vjp" and isinstance(layer.backend, PixelBackend)


class KernelForms:
    """The forms for the latest weights: they are computed once while the weights stand still."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[QuadraticBackend, Array, Forms]] = {}

    def matrices(self, layers: Sequence[QuantumLayer]) -> Tensor:
        """Re(U† Z_q U) of every kernel and wire, (K, Q, D, D), float64, on the weights' device.

        Raises:
            InputError: a weight that is not finite.
        """
        weights = torch.stack([layer.weight for layer in layers])
        return _Matrices.apply(weights, layers, self)

    def of(self, index: int, layer: QuantumLayer, weights: Array) -> Forms:
        """The forms of the kernel at `index`, which is `layer`, for weights (W,)."""
        backend = layer.backend
        assert isinstance(backend, QuadraticBackend)
        known = self._known.get(index)
        if known is None or known[0] is not backend or not np.array_equal(known[1], weights):
            known = backend, weights.copy(), backend.forms(layer.neural_network.compiled, weights)
            self._known[index] = known
        return known[2]

    def __getstate__(self) -> dict[str, Any]:
        return {"_known": {}}


class _Matrices(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, layers: Sequence[QuantumLayer], forms: KernelForms
    ) -> Tensor:
        vectors = weights.detach().cpu()
        found = [
            forms.of(index, layer, angles_of(vectors[index])) for index, layer in enumerate(layers)
        ]
        ctx.pullbacks = [form.pullback for form in found]
        ctx.weights = weights.dtype, weights.device
        return torch.from_numpy(np.stack([form.matrices for form in found])).to(weights.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_matrices: Tensor) -> tuple[Tensor | None, ...]:
        # Whoever uses one triangle only has his gradient there: a pullback takes the symmetric.
        symmetric = ((of_matrices + of_matrices.transpose(2, 3)) / 2).cpu().numpy()
        gradients = [pull(part) for pull, part in zip(ctx.pullbacks, symmetric, strict=True)]
        dtype, device = ctx.weights
        return torch.from_numpy(np.stack(gradients)).to(device=device, dtype=dtype), None, None
