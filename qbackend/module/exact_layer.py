"""The exact layer as a torch module that needs no backend: to be exported, or to be given away.

Letters: F features, M observables, W weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..layers.inputs import in_float32_or_float64


class ExactLayer(nn.Module):
    """Features (..., F) to exact values (..., M), in torch operations on real numbers.

    Features that are not finite are not looked for: their values are not finite either.

    Args:
        values: from features (B, F) and weights (W,) to values (B, M).
        weight: (W,), radians; copied.
        n_features: F.
    """

    def __init__(self, values: nn.Module, weight: Tensor, n_features: int) -> None:
        super().__init__()
        self.values = values
        self.weight = nn.Parameter(weight.detach().clone())
        self.n_features = n_features
        self.to(weight.device)

    def forward(self, features: Tensor) -> Tensor:
        """Values in the features' dtype; half precision is computed in float32.

        Raises:
            InputError: wrong number of features, integers, booleans or complex numbers.
        """
        if features.ndim == 0 or features.shape[-1] != self.n_features:
            raise InputError(
                f"the layer takes {self.n_features} features, got shape {tuple(features.shape)}"
            )
        rows = in_float32_or_float64("features", features)
        if features.ndim != 2:
            rows = rows.reshape(math.prod(features.shape[:-1]), self.n_features)
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = self.values(rows, self.weight)
        if features.ndim != 2:
            values = values.reshape(*features.shape[:-1], values.shape[-1])
        return values.to(features.dtype)
