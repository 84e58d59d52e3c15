"""Inputs are counted by what the network gets of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.rows.count import rows_per_image
from qbackend import LayerSpec, QuantumLayer


class AboveHalf(nn.Module):
    """Only features above 0.5 go through its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(2, "angle"), "aer")

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs[inputs[:, 0] > 0.5])


@pytest.mark.parametrize(("mean", "rows"), [((), 1), ((0.5,), 0)])
def test_inputs_without_a_mean_are_taken_as_they_are(mean: tuple[float, ...], rows: int) -> None:
    data: Any = SimpleNamespace(test=SimpleNamespace(images=torch.ones(3, 2)), mean=mean)
    assert rows_per_image(AboveHalf(), data) == [rows]
