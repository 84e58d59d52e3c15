"""The two families of image classifiers: with a narrow layer between two networks, and without.

Letters: B batch, C channels, F features, M outputs of the bottleneck.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor, nn

from qbackend import QuantumLayer, get_backend
from qbackend.registry import AnyBackend
from qbackend.seam.backend import QuantumBackend

Model = TypeVar("Model", bound=nn.Module)


class HybridCNN(nn.Module):
    """Images to logits through a bottleneck: `head(bridge(front(images)))`.

    Attributes:
        front: (B, C, H, W) -> (B, F).
        bridge: (B, F) -> (B, M), the quantum layer or the control in its place.
        head: (B, M) -> (B, classes), logits.
    """

    def __init__(self, front: nn.Module, bridge: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.front = front
        self.bridge = bridge
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.bridge(self.front(images)))


class ClassicalCNN(nn.Module):
    """Images to logits without a bottleneck: `head(front(images))`.

    Attributes:
        front: (B, C, H, W) -> (B, F).
        head: (B, F) -> (B, classes), logits.
    """

    def __init__(self, front: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.front = front
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.front(images))


def to_backend(
    model: Model,
    backend: AnyBackend,
    *,
    shots: int | None = None,
    seed: int | None = None,
) -> Model:
    """Move every quantum layer of a model to a backend, see `QuantumLayer`; weights are kept.

    They share one backend, and each draws samples of its own. A model without a quantum layer is
    left alone. Returns the model.
    """
    layers = [module for module in model.modules() if isinstance(module, QuantumLayer)]
    if layers and not isinstance(backend, QuantumBackend):
        widest = max((layer.spec for layer in layers), key=lambda spec: spec.n_wires)
        backend, shots = get_backend(backend, shots=shots, seed=seed, layer=widest), None
    for index, layer in enumerate(layers):
        # The first keeps the seed as it is: a model with one layer samples as that layer alone.
        stream = seed
        if seed is not None and index > 0:
            stream = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        layer.to_backend(backend, shots=shots, seed=stream)
    return model


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """How many numbers a model has, trained or frozen, and how many of them are quantum weights."""
    quantum = {
        parameter
        for module in model.modules()
        if isinstance(module, QuantumLayer)
        for parameter in module.parameters()
    }
    return (
        sum(parameter.numel() for parameter in model.parameters()),
        sum(parameter.numel() for parameter in quantum),
    )
