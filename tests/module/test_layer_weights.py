"""The layer's weights: where they come from, and what torch and Qiskit do with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit_machine_learning.connectors import TorchConnector
from torch import nn
from torch.nn.utils import prune

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.errors import OptionError

from .test_layer import backend, rows

__all__ = ["backend"]


@pytest.mark.parametrize("make", [lambda: QuantumLayer(LayerSpec(3)), lambda: nn.Linear(3, 2)])
def test_torchs_seed_decides_the_weights_where_none_is_given(make) -> None:
    torch.manual_seed(5)
    first, second = make().weight, make().weight
    torch.manual_seed(5)
    assert torch.equal(first, make().weight)
    assert not torch.equal(first, second)
    torch.manual_seed(6)
    assert not torch.equal(first, make().weight)


def test_torchs_seed_decides_the_samples_too() -> None:
    def values() -> torch.Tensor:
        torch.manual_seed(5)
        return QuantumLayer(LayerSpec(2), get_backend("aer", shots=50))(rows(LayerSpec(2)))

    assert torch.equal(values(), values())


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True])
def test_a_seed_that_is_none(seed: object) -> None:
    with pytest.raises(OptionError, match="seed must be"):
        QuantumLayer(LayerSpec(2), seed=seed)


def test_weights_can_be_pruned(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    full = layer.weight.detach().clone()
    prune.l1_unstructured(layer, "weight", amount=2)
    pruned = layer.weight
    assert (pruned == 0).sum() == 2
    assert set(layer.state_dict()) == {"weight_orig", "weight_mask"}
    values = layer(rows(spec))
    values.sum().backward()
    assert ((layer.weight_orig.grad == 0) == (pruned == 0)).all()
    with torch.no_grad():
        layer.weight_orig.copy_(full + 0.3)
    assert not torch.allclose(layer(rows(spec)), values)
    prune.remove(layer, "weight")
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(rows(spec)).requires_grad


def test_weights_can_be_parametrized(backend: str) -> None:
    class Halved(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight / 2

    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    full = layer.weight.detach().clone()
    nn.utils.parametrize.register_parametrization(layer, "weight", Halved())
    assert torch.equal(layer.weight, full / 2)
    plain = QuantumLayer(spec, backend, seed=0).double()
    plain.weight.data = full / 2
    assert torch.equal(layer(rows(spec)), plain(rows(spec)))


def test_weights_can_be_exchanged_and_are_missed() -> None:
    layer = QuantumLayer(LayerSpec(2), seed=0)
    layer.weight = nn.Parameter(torch.zeros(4))
    assert (layer.state_dict()["weight"] == 0).all()
    del layer.weight
    with pytest.raises(AttributeError, match="weight"):
        layer.weight  # noqa: B018


@pytest.mark.parametrize("nested", [False, True])
def test_the_stock_connectors_state_loads(backend: str, nested: bool) -> None:
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    stock = TorchConnector(layer.neural_network, initial_weights=np.arange(4.0))
    ours, theirs = (nn.Sequential(m) if nested else m for m in (layer, stock))
    state = theirs.state_dict()
    assert len(state) == 2
    assert not ours.load_state_dict(state).missing_keys
    assert layer.weight.tolist() == [0, 1, 2, 3]
    assert len(state) == 2
    layer.weight.data.zero_()
    prefix = "0." if nested else ""
    ours.load_state_dict({f"{prefix}_weights": state[f"{prefix}_weights"]})
    assert layer.weight.tolist() == [0, 1, 2, 3]
