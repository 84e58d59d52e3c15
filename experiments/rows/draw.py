"""Rows of a network's feature maps, drawn from those that real images give.

A row is what one execution takes: a pixel's channel vector, in one kernel of one quantum pointwise
convolution. Letters: N rows, F features, M outputs of a kernel, D vectors that pass, K kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import QuantumPointwiseConv2d
from models.exchange import quantum_pointwise
from qbackend import QuantumLayer
from qbackend.errors import InputError, OptionError
from qbackend.layers.inputs import Array

from ..data.batches import Batches
from ..evaluation.evaluate import predict

FEWEST_ROWS = 10
"""Of each convolution: its error has a slope, an offset and a scatter."""

_ROWS = 6
"""Stream of random numbers that chooses rows, apart from the others of the seed."""

Indices = NDArray[np.integer]


@dataclass(frozen=True)
class DrawnRows:
    """Rows of one convolution.

    Attributes:
        layer: the convolution's name in the network.
        images: (N,), places among the images that were shown.
        pixels: (N,), counted row by row in the map.
        kernels: (N,), which circuit.
        features: (N, F), channel vectors, padded.
        exact: (N, M), without noise.
        live_share: of all the convolution's vectors, those that are not zero; only they are drawn.
    """

    layer: str
    images: Indices
    pixels: Indices
    kernels: Indices
    features: Array
    exact: Array
    live_share: float


def share_rows(n_rows: int, per_image: Sequence[int]) -> list[int]:
    """`n_rows` shared among convolutions in proportion to their rows, `FEWEST_ROWS` at least.

    Raises:
        OptionError: too few for that.

    >>> share_rows(100, [300, 100, 1])
    [68, 22, 10]
    """
    least = FEWEST_ROWS * len(per_image)
    if n_rows < least:
        raise OptionError(
            f"{n_rows} rows are too few for the error of {len(per_image)} quantum layers; "
            f"--rows {least} is the least"
        )
    weights = np.array(per_image, float)
    small = np.zeros(len(weights), bool)
    while True:
        left = n_rows - FEWEST_ROWS * small.sum()
        ideal = np.where(small, FEWEST_ROWS, left * weights / max(weights[~small].sum(), 1.0))
        if not (ideal[~small] < FEWEST_ROWS).any():
            break
        small |= ideal < FEWEST_ROWS
    shares = np.floor(ideal).astype(int)
    remainders = np.where(small, -1.0, ideal - shares)
    shares[np.argsort(-remainders, kind="stable")[: n_rows - shares.sum()]] += 1
    return [int(share) for share in shares]


def draw_rows(
    model: nn.Module, batches: Batches, counts: Sequence[int], seed: int
) -> list[DrawnRows]:
    """So many rows of each quantum pointwise convolution, drawn by the seed.

    Every vector that is not zero is as likely as every other, and none comes twice while others
    are left; kernels come equally often, but for a remainder.

    Args:
        model: on an exact backend.
        batches: of the images.
        counts: of rows, in the convolutions' order.
        seed: of the draw.

    Raises:
        InputError: a convolution's vectors are all zero.
    """
    convolutions = dict(quantum_pointwise(model))
    streams = [np.random.default_rng([seed, _ROWS, i]) for i in range(len(counts))]
    samples = [_Sample(n, rng) for n, rng in zip(counts, streams, strict=True)]
    with ExitStack() as hooks:
        for convolution, sample in zip(convolutions.values(), samples, strict=True):
            hooks.enter_context(convolution.register_forward_pre_hook(sample.watch))
        predict(model, batches, label_smoothing=0.0)
    drawn = zip(convolutions.items(), samples, strict=True)
    return [sample.rows(name, convolution) for (name, convolution), sample in drawn]


class _Sample:
    """Vectors drawn from those that pass, in one go and without keeping the others."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self.n_seen, self.n_live, self.n_pixels = 0, 0, 1
        self.keys = np.empty(0)
        self.places = np.empty(0, int)
        self.vectors: Array | None = None

    def watch(self, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Keep the vectors with the smallest random keys."""
        convolution = cast(QuantumPointwiseConv2d, module)
        rows = convolution.channel_vectors(given[0])
        vectors = rows.detach().double().cpu().numpy()
        self.n_pixels = len(vectors) // len(given[0])
        live = np.flatnonzero(~convolution.spec.encoding_rule.is_zero(vectors))
        keys = self.rng.random(len(vectors))[live]
        keys = np.concatenate([self.keys, keys])
        places = np.concatenate([self.places, self.n_seen + live])
        known = vectors[live] if self.vectors is None else np.vstack([self.vectors, vectors[live]])
        kept = np.argsort(keys, kind="stable")[: self.size]
        self.keys, self.places, self.vectors = keys[kept], places[kept], known[kept]
        self.n_seen += len(vectors)
        self.n_live += len(live)

    @torch.no_grad()
    def rows(self, name: str, convolution: QuantumPointwiseConv2d) -> DrawnRows:
        """The rows, with what their kernels answer."""
        if self.vectors is None or self.n_live == 0:
            raise InputError(
                f"every channel vector that reaches {name} is zero: there is nothing to execute"
            )
        chosen = np.arange(self.size) % len(self.vectors)
        features = self.vectors[chosen]
        kernels = self.rng.permutation(self.size) % len(convolution.kernels)
        exact = np.empty((self.size, convolution.spec.n_outputs))
        for index, kernel in enumerate(convolution.kernels):
            own = kernels == index
            if own.any():
                exact[own] = _answers(cast(QuantumLayer, kernel), features[own])
        images, pixels = np.divmod(self.places[chosen], self.n_pixels)
        live_share = self.n_live / self.n_seen
        return DrawnRows(name, images, pixels, kernels, features, exact, live_share)


def _answers(kernel: QuantumLayer, features: Array) -> Array:
    there = torch.from_numpy(features).to(kernel.weight.device)
    return kernel(there).detach().cpu().numpy()
