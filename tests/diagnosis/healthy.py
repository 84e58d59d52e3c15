"""A small hybrid network in which nothing is wrong, and data that it can learn.

Letters: N samples, B batch, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from experiments.diagnosis.subject import Samples, Subject
from qbackend import LayerSpec, QuantumLayer

K, SIDE, CHANNELS = 3, 4, 2
SPEC = LayerSpec(3, encoding="angle", n_layers=2)
AMPLITUDES = LayerSpec(3, n_layers=2)

Step = Callable[[Tensor], Tensor]


def same(tensor: Tensor) -> Tensor:
    return tensor


def bounded(features: Tensor) -> Tensor:
    """Angles within a turn."""
    return math.pi * torch.tanh(features)


class Net(nn.Module):
    """Images (B, 2, 4, 4) to logits: linear, what is `between`, a circuit, what comes `behind`."""

    def __init__(
        self,
        between: Step = bounded,
        behind: Step = same,
        spec: Any = SPEC,
        head: nn.Module | None = None,
        reads: int | None = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.front = nn.Linear(CHANNELS * SIDE**2, spec.n_features)
        self.circuit = QuantumLayer(spec, "native", seed=5)
        self.head = head or nn.Linear(reads or spec.n_outputs, K)
        self.between, self.behind, self.reads = between, behind, reads

    def forward(self, images: Tensor) -> Tensor:
        features = self.between(self.front(images.flatten(1)))
        outputs: Tensor = self.circuit(features)[:, : self.reads]
        return self.behind(self.head(outputs))


def samples(n: int, seed: int) -> Samples:
    """Clouds about a centre for each class, of mean 0 and deviation 1."""
    centres = torch.randn(K, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % K
    noise = torch.randn(n, CHANNELS, SIDE, SIDE, generator=generator)
    inputs = 0.5 * centres[targets] + noise
    return Samples((inputs - inputs.mean()) / inputs.std(), targets)


def subject(model: nn.Module | None = None, **changes: Any) -> Subject:
    """All that the checks look at, with those changes."""
    model = model or Net()
    splits = {
        "training": samples(600, 1),
        "validation": samples(120, 2),
        "test": samples(120, 3),
        **changes.pop("splits", {}),
    }
    train = splits["training"]
    found = Subject(
        "planted",
        model,
        train.inputs[:64],
        train.targets[:64],
        splits=splits,
        prepare=same,
        optimiser=torch.optim.Adam([each for each in model.parameters() if each.requires_grad]),
        seed=7,
    )
    return replace(found, **changes)
