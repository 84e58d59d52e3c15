"""The accuracy to expect of a device, from the error that it makes on rows of feature maps.

Letters: B images, C channels, H, W pixels, N rows, M outputs of a kernel, R draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from models import QuantumPointwiseConv2d
from models.exchange import quantum_pointwise
from qbackend.devices.affine_map import AffineMap
from qbackend.layers.inputs import Array

from ..data.batches import Batches
from ..evaluation.evaluate import predict
from .errors import Distortion, fit_distortion

N_DRAWS = 20
"""Simulations whose accuracies make an interval."""
ASSUMPTION = (
    "an output's error is its wire's slope and offset, the same in all kernels of a layer, and "
    "beyond them Gaussian and independent between pixels, kernels and images"
)
"""Of what follows from rows for whole images."""

_DRAWS = 7
"""Stream of random numbers of the simulations, apart from the others of the seed."""


def simulated_accuracies(
    model: nn.Module,
    batches: Callable[[], Batches],
    pairs: Mapping[str, tuple[Array, Array]],
    seed: int,
    corrections: Mapping[str, AffineMap] | None = None,
) -> Array:
    """Accuracies (R,) with every convolution's outputs distorted as its rows were.

    Each draw fits the distortions anew to rows drawn with replacement (the bootstrap), so that
    the draws differ by what so few rows leave open as well as by the scatter.

    Args:
        model: on an exact backend.
        batches: makes the images' batches, once per draw.
        pairs: by the convolutions' names, rows' exact and measured values, (N, M) each.
        seed: of the draws.
        corrections: by the same names, maps that outputs are corrected by before they go on.
    """
    accuracies = []
    for draw in range(N_DRAWS):
        rng = np.random.default_rng([seed, _DRAWS, draw])
        distortions = {}
        for name, (exact, measured) in pairs.items():
            rows = rng.integers(len(exact), size=len(exact))
            found = fit_distortion(exact[rows], measured[rows])
            distortions[name] = found.then(corrections[name]) if corrections else found
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        accuracies.append(distorted_accuracy(model, batches(), distortions, generator))
    return np.array(accuracies)


def distorted_accuracy(
    model: nn.Module,
    batches: Batches,
    distortions: Mapping[str, Distortion],
    generator: torch.Generator,
) -> float:
    """The accuracy with distorted outputs, once."""
    with ExitStack() as hooks:
        for name, convolution in quantum_pointwise(model):
            hook = partial(_distort, distortions[name], generator)
            hooks.enter_context(convolution.register_forward_hook(hook))
        predictions = predict(model, batches, label_smoothing=0.0)
    right = predictions.logits.argmax(dim=1) == predictions.labels
    return float(right.double().mean())


def _distort(
    distortion: Distortion,
    generator: torch.Generator,
    module: nn.Module,
    given: tuple[Tensor, ...],
    maps: Tensor,
) -> Tensor:
    """Maps (B, C, H, W) with the distortion of each channel's wire; zero vectors stay zero."""
    convolution = cast(QuantumPointwiseConv2d, module)
    n_outputs, n_wires = convolution.out_channels, convolution.spec.n_outputs
    wires = np.arange(n_outputs) % n_wires
    slope, offset, scatter = (
        torch.from_numpy(values[wires]).to(maps)[:, None, None]
        for values in (distortion.scale, distortion.offset, distortion.scatter)
    )
    exact = maps[:, :n_outputs]
    drawn = torch.randn(exact.shape, generator=generator).to(maps)
    moved = offset + scatter * drawn
    if convolution.scale is None or convolution.shift is None:
        wrong = slope * exact + moved
    else:
        factor, shift = (
            values[:n_outputs].to(maps)[:, None, None]
            for values in (convolution.scale, convolution.shift)
        )
        wrong = shift + slope * (exact - shift) + factor * moved
    vectors = convolution.channel_vectors(given[0]).detach().double().cpu().numpy()
    zero = torch.from_numpy(convolution.spec.encoding_rule.is_zero(vectors)).to(maps.device)
    zero = zero.reshape(len(maps), 1, *maps.shape[2:])
    return torch.cat([torch.where(zero, exact, wrong), maps[:, n_outputs:]], dim=1)
