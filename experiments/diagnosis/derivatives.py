"""Values and derivatives of a circuit, exact, each row with weights of its own.

Letters: N rows, F features, W weights, M observables, Q wires.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qbackend import LayerSpec
from qbackend.gradients.torch_circuit import outputs
from qbackend.layers.program import Layer
from qbackend.native.any_circuit.tensors import torch_layer

MOST_WIRES = 14
"""Of a circuit whose derivatives are looked at; beyond, a row takes too long."""


@dataclass(frozen=True)
class Pulled:
    """Values (N, M), and for every row the derivatives of the sum of its values times a cotangent.

    Attributes:
        values: (N, M).
        by_weights: (N, W).
        by_features: (N, F).
    """

    values: Tensor
    by_weights: Tensor
    by_features: Tensor


def pulled(layer: Layer, features: Tensor, weights: Tensor, cotangent: Tensor) -> Pulled:
    """Of features (N, F), weights (N, W) or (W,) and a cotangent (N, M), all in float64."""
    rows = features.detach().double().requires_grad_()
    angles = weights.detach().double().expand(len(rows), -1).contiguous().requires_grad_()
    if isinstance(layer, LayerSpec):
        # Where weights have the rows' axis too, every state is turned by its own.
        values = outputs(layer, rows, angles)
    else:
        circuit = torch_layer(layer, rows.device)
        each = [circuit(row[None], own) for row, own in zip(rows, angles, strict=True)]
        values = torch.cat(each)
    by_weights, by_features = torch.autograd.grad(
        values, (angles, rows), cotangent.double(), materialize_grads=True, allow_unused=True
    )
    return Pulled(values.detach(), by_weights, by_features)


def cotangents(count: int, layer: Layer, generator: torch.Generator) -> Tensor:
    """Normal ones, (count, M)."""
    return torch.randn(count, layer.n_outputs, generator=generator, dtype=torch.float64)


def one_output_each(count: int, layer: Layer, generator: torch.Generator) -> Tensor:
    """For every row one of the outputs, drawn: (count, M)."""
    drawn = torch.randint(layer.n_outputs, (count,), generator=generator)
    return torch.nn.functional.one_hot(drawn, layer.n_outputs).double()


def random_weights(count: int, layer: Layer, generator: torch.Generator) -> Tensor:
    """Uniform in [0, 2π), (count, W)."""
    drawn = torch.rand(count, layer.n_weights, generator=generator, dtype=torch.float64)
    return 2 * math.pi * drawn


def product_states(count: int, layer: Layer, generator: torch.Generator) -> Tensor:
    """Features of which each wire gets a state of its own, by an angle uniform in [-π, π).

    (count, F): the angles, or the amplitudes of their product.
    """
    is_amplitude = isinstance(layer, LayerSpec) and layer.encoding == "amplitude"
    n_angles = layer.n_wires if is_amplitude else layer.n_features
    angles = math.pi * (2 * torch.rand(count, n_angles, generator=generator).double() - 1)
    if not is_amplitude:
        return angles
    states = torch.ones(count, 1, dtype=torch.float64)
    for angle in angles.unbind(dim=1):
        pair = torch.stack([torch.cos(angle / 2), torch.sin(angle / 2)], dim=1)
        states = (states[:, :, None] * pair[:, None, :]).flatten(1)
    return states


def rms(values: Tensor) -> float:
    """Root of the mean of squares; 0 of nothing."""
    return float(values.double().square().mean().sqrt()) if values.numel() else 0.0
