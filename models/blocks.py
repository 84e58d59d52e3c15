"""The parts that the published networks are assembled from (arXiv 2509.13353).

Letters: B batch, C channels, F features, M outputs of the bottleneck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Layout = tuple[int | Literal["MP"], ...]
"""A stack of convolutions as the paper's table writes it: (16, "MP", 32) is a convolution to 16
channels, a 2x2 max-pool, a convolution to 32 channels."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
POOLINGS: dict[str, Callable[[int], nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def staged(layout: Layout, channels: Sequence[int] | None, depth: int | None) -> Layout:
    """The layout with other channels for its stages, which pools part, and other depths.

    A pool stands behind every stage, and behind the last where the layout has one there. Without
    `channels` stages keep those they end with, without `depth` each is one convolution.
    """
    if channels is None and depth is None:
        return layout
    ends_with_pool = layout[-1] == "MP"
    if channels is None:
        behind = (*layout[1:], "MP")
        channels = [
            step
            for step, next_step in zip(layout, behind, strict=True)
            if step != "MP" and next_step == "MP"
        ]
    steps: list[int | Literal["MP"]] = []
    for width in channels:
        steps += [*(width,) * (depth or 1), "MP"]
    return tuple(steps if ends_with_pool else steps[:-1])


CONVOLUTION_KEYS = ("channels", "depth", "pooling", "pooled", "head", "dropout", "activation")
"""What a recipe may change of a network of convolutions and a head."""


def convolution_changes(layout: Layout, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a plan with that layout, from the keys of a recipe."""
    names = {"head": "hidden", "reducer": "reduced"}
    kept = {key: value for key, value in changes.items() if key not in ("channels", "depth")}
    found = {names.get(key, key): value for key, value in kept.items()}
    return {"layout": staged(layout, changes.get("channels"), changes.get("depth")), **found}


class ConvStack(nn.Sequential):
    """3x3 convolutions with padding 1, each with BatchNorm and ReLU, averaged to a square and flat.

    (B, C, H, W) -> (B, `n_features`) for any H and W. A ReLU stands behind the max-pool that
    follows it in the layout: the two commute, values and gradients, and it is a quarter of the
    work there.

    Args:
        in_channels: C.
        layout: the convolutions and pools.
        pooled: side of the square that each channel is averaged to.
        activation: one of `ACTIVATIONS`, in the ReLU's place.
        pooling: one of `POOLINGS`, in the max-pool's place.
    """

    def __init__(
        self,
        in_channels: int,
        layout: Layout,
        pooled: int,
        activation: str = "relu",
        pooling: str = "max",
    ) -> None:
        layers: list[nn.Module] = []
        channels = in_channels
        commutes = (activation, pooling) == ("relu", "max")
        act = ACTIVATIONS[activation]
        for step, following in zip(layout, (*layout[1:], None), strict=True):
            if step == "MP":
                layers += [POOLINGS[pooling](2), *([act()] if commutes else [])]
            else:
                layers += [nn.Conv2d(channels, step, 3, padding=1), nn.BatchNorm2d(step)]
                channels = step
                if following != "MP" or not commutes:
                    layers.append(act())
        super().__init__(*layers, AveragePool(pooled), nn.Flatten())
        self.n_features = channels * pooled**2

    def forward(self, images: Tensor) -> Tensor:
        # Channels last, the convolutions, BatchNorm and max-pool take 0.6 times as long on a CPU.
        # `contiguous` would leave one-channel images as they are; the weights need no change.
        return super().forward(images.to(memory_format=torch.channels_last))


class AveragePool(nn.Module):
    """Adaptive average pool to a square: (B, C, H, W) -> (B, C, size, size).

    The function of `torch.nn.AdaptiveAvgPool2d`, as a product with a constant matrix, which takes
    half as long forward and backward on a CPU.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        if self.size == 1:
            return functional.adaptive_avg_pool2d(images, 1)
        height, width = images.shape[2:]
        means = _window_means(height, width, self.size, images.device, images.dtype)
        return (images.flatten(2) @ means).unflatten(2, (self.size, self.size))

    def extra_repr(self) -> str:
        return f"size={self.size}"


@lru_cache(maxsize=16)
def _window_means(
    height: int, width: int, size: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """(height * width, size * size): column (i, j) averages the pixels of output window (i, j)."""

    def along(length: int) -> Tensor:
        means = torch.zeros(length, size, dtype=torch.float64)
        for window in range(size):
            start, end = window * length // size, -((window + 1) * -length // size)
            means[start:end, window] = 1 / (end - start)
        return means

    # A matrix that was built under inference mode could not be used in training afterwards.
    with torch.inference_mode(False):
        return torch.kron(along(height), along(width)).to(device, dtype)


class TanhAngle(nn.Module):
    """Features to angles in (-pi, pi): pi times tanh, each image on its own.

    The published code divides the angles by the largest feature of the whole batch, so that an
    image's answer depends on the images beside it. Here it does not.
    """

    def forward(self, features: Tensor) -> Tensor:
        return math.pi * torch.tanh(features)


def reducer(
    n_inputs: int, hidden: int, n_features: int, *, angles: bool, activation: str = "relu"
) -> nn.Sequential:
    """FC `n_inputs`-`hidden`-ReLU-F, then what suits the circuit.

    Pi times tanh for `angles`, softmax for amplitudes (a distribution over the basis states).
    """
    return nn.Sequential(
        nn.Linear(n_inputs, hidden),
        ACTIVATIONS[activation](),
        nn.Linear(hidden, n_features),
        TanhAngle() if angles else nn.Softmax(dim=1),
    )


def classifier(
    n_inputs: int, hidden: int, n_classes: int, dropout: float, activation: str = "relu"
) -> nn.Sequential:
    """FC `n_inputs`-`hidden`-BN-ReLU-Dropout-`n_classes`: the head of every published network."""
    return nn.Sequential(
        nn.Linear(n_inputs, hidden),
        nn.BatchNorm1d(hidden),
        ACTIVATIONS[activation](),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_classes),
    )
