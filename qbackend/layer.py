"""The quantum layer as a torch module: a `LayerNetwork` behind a TorchConnector.

Letters: B batch, F features, W weights, M observables.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from qiskit_machine_learning.connectors import TorchConnector
from torch import nn
from torch.autograd.function import FunctionCtx, once_differentiable

from .base import QuantumBackend
from .errors import InputError, OptionError
from .network import LayerNetwork
from .registry import get_backend
from .spec import LayerSpec


class _LayerFunction(torch.autograd.Function):
    """Autograd through `LayerNetwork.evaluate`; second derivatives are refused."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        features: torch.Tensor,
        weights: torch.Tensor,
        network: LayerNetwork,
        differentiate: bool,
    ) -> torch.Tensor:
        forward = network.evaluate(
            features,
            weights,
            differentiate=differentiate,
            of_features=ctx.needs_input_grad[0],  # type: ignore[attr-defined]
        )
        ctx.pullback = forward.pullback  # type: ignore[attr-defined]
        ctx.weights = weights.dtype, weights.device  # type: ignore[attr-defined]
        return forward.values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_features, of_weights = ctx.pullback(cotangent)
        if (of_weights.dtype, of_weights.device) != ctx.weights:
            dtype, device = ctx.weights
            of_weights = of_weights.to(device=device, dtype=dtype)
        return of_features, of_weights, None, None


class QuantumLayer(TorchConnector):
    """A circuit as a torch module: features (..., F) to expectation values (..., M).

    The output has the features' dtype (float32 or float64) and device. Half-precision features
    are computed in float32. A layer moves between backends with `to_backend`, its weights
    unchanged.

    Args:
        spec: the layer.
        backend: a name for `get_backend`, or a backend.
        shots: per row, where the named backend samples.
        seed: of the initial weights, uniform in [0, 2π), and of the sampling.
        gradient: "auto" (the backend's own way), "vjp", "parameter-shift" or "spsa".

    Raises:
        UnknownNameError: no such backend.
        OptionError: a layer, shots or a gradient that the backend cannot do.
    """

    _neural_network: LayerNetwork

    def __init__(
        self,
        spec: LayerSpec,
        backend: str | QuantumBackend = "aer",
        *,
        shots: int | None = None,
        seed: int | None = None,
        gradient: str = "auto",
    ) -> None:
        # TorchConnector's own initialiser registers the weights under two names, which doubles
        # them in every state_dict, and initialises in [-1, 1].
        nn.Module.__init__(self)
        self._sparse = False
        self._neural_network = LayerNetwork(
            spec, _resolve(backend, shots, seed), gradient=gradient, seed=seed
        )
        generator = torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        angles = 2 * math.pi * torch.rand(spec.n_weights, generator=generator)
        self.register_parameter("weight", nn.Parameter(angles))

    @property
    def weight(self) -> nn.Parameter:
        """The trainable weights, (W,), radians."""
        weight = self._parameters.get("weight")
        if weight is None:
            raise AttributeError("the layer's weights are not registered yet")
        return weight

    @property
    def _weights(self) -> nn.Parameter:  # type: ignore[override]
        """The name that TorchConnector knows them by."""
        return self.weight

    @property
    def neural_network(self) -> LayerNetwork:
        """The layer on its backend, as qiskit-machine-learning sees it."""
        return self._neural_network

    @property
    def spec(self) -> LayerSpec:
        """What the layer is, apart from where it runs."""
        return self.neural_network.spec

    @property
    def backend(self) -> QuantumBackend:
        """What executes it."""
        return self.neural_network.backend

    def forward(self, input_data: torch.Tensor | None = None) -> torch.Tensor:
        """Expectation values (..., M) of features (..., F).

        Raises:
            InputError: wrong number of features, or an entry that is not finite.
        """
        network, weight = self._neural_network, self.weight
        n_features = network.num_inputs
        if input_data is None or input_data.ndim == 0 or input_data.shape[-1] != n_features:
            shape = None if input_data is None else tuple(input_data.shape)
            raise InputError(
                f"the layer takes {n_features} features "
                f"({self.spec.n_wires} wires, {self.spec.encoding} encoding), got shape {shape}"
            )
        features = input_data
        if features.ndim != 2:
            features = features.reshape(-1, n_features)
        if features.dtype not in (torch.float32, torch.float64):
            features = features.float()
        differentiate = torch.is_grad_enabled() and (features.requires_grad or weight.requires_grad)
        values = _LayerFunction.apply(features, weight, network, differentiate)
        if input_data.ndim != 2:
            values = values.reshape(*input_data.shape[:-1], self.spec.n_outputs)
        return values if values.dtype == input_data.dtype else values.to(input_data.dtype)

    def to_backend(
        self,
        backend: str | QuantumBackend,
        *,
        shots: int | None = None,
        seed: int | None = None,
        gradient: str = "auto",
    ) -> QuantumLayer:
        """Execute on another backend from now on, weights unchanged; returns self."""
        self._neural_network = LayerNetwork(
            self.spec, _resolve(backend, shots, seed), gradient=gradient, seed=seed
        )
        return self

    def reseed(self, seed: int | None) -> None:
        """Start the sequence of sampling seeds anew."""
        self.neural_network.reseed(seed)

    def extra_repr(self) -> str:
        """What `print(module)` shows of the layer."""
        return f"{self.spec.n_wires} wires, {self.spec.ansatz}, backend={self.backend.name!r}"


def _resolve(backend: str | QuantumBackend, shots: int | None, seed: int | None) -> QuantumBackend:
    if isinstance(backend, str):
        return get_backend(backend, shots=shots, seed=seed)
    if shots is not None:
        raise OptionError("shots belong to the backend: give them where it is made")
    return backend
