"""Layers in torch's operations: shared by equal ones, as a forward pass, from rows, to give away.

Letters: B batch, F features, W weights, P angles, M observables, N rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from ...layers.expressions import ExpressionInputs
from ...layers.inputs import Array
from ...layers.program import Layer
from ...layers.spec import LayerSpec
from ...seam.backend import Forward, Gradients
from .plain import TorchEncodedLayer, TorchLayer
from .turned import turned_ansatz, turned_circuit


@lru_cache(maxsize=64)
def torch_layer(layer: Layer, device: torch.device) -> TorchLayer:
    """The layer in torch, on a device; layers of one definition share it there."""
    return _of_angles(layer).to(device)


def plain_module(layer: Layer) -> nn.Module:
    """The layer in torch, from features (B, F) and weights (W,) to values (B, M); nobody's else.

    Real numbers only, and nothing that needs Qiskit.
    """
    if not isinstance(layer, LayerSpec):
        return _of_angles(layer)
    return TorchEncodedLayer(layer.encoding_rule, turned_ansatz(layer))


def _of_angles(layer: Layer) -> TorchLayer:
    program = layer.program()
    assert isinstance(program.inputs, ExpressionInputs)
    return TorchLayer(program.inputs, turned_circuit(program))


def forward(layer: Layer, features: Tensor, weights: Tensor, *, differentiate: bool) -> Forward:
    """Values (B, M) of features (B, F) and weights (W,), with torch's own derivatives."""
    module = torch_layer(layer, features.device)
    with torch.set_grad_enabled(differentiate):
        leaves = [each.detach().requires_grad_(differentiate) for each in (features, weights)]
        values = module(*leaves)

    def pull(cotangent: Tensor, of_features: bool = True, of_weights: bool = True) -> Gradients:
        wanted = leaves[0 if of_features else 1 : 2 if of_weights else 1]
        found = iter(
            torch.autograd.grad(
                values, wanted, cotangent, retain_graph=True, materialize_grads=True
            )
        )
        return next(found) if of_features else None, next(found) if of_weights else None

    return Forward(values.detach(), pull if differentiate else None)


def values_of_angles(layer: Layer, rows: Array) -> Array:
    """Values (N, M) for rows of the circuit's angles (N, P)."""
    angles = torch.from_numpy(rows)
    columns = [angles[:, index : index + 1] for index in range(rows.shape[1])]
    module = torch_layer(layer, angles.device)
    values = module.circuit(columns, torch.zeros((len(rows), 1), dtype=torch.float64))
    return np.asarray(values.numpy())
