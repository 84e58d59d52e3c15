"""Models that are no plain chain of layers, and those that cannot be validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qbackend import LayerSpec, QuantumLayer, QuantumPointwiseConv2d, validate
from qbackend.errors import InputError, OptionError

from .nets import CLOSE, N_ITEMS, TwoLayers, batches, own_circuit, plain_outputs


class Pixels(nn.Module):
    """Convolutions by circuits, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.one = QuantumPointwiseConv2d(2, 2, depth=1, seed=1)
        self.two = QuantumPointwiseConv2d(2, 3, depth=1, seed=2, length=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(self.one(images)).mean(dim=(2, 3))


def test_layers_on_every_pixel() -> None:
    images = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    data, model = [(images, torch.tensor([0, 1]))], Pixels()
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    assert torch.allclose(found.outputs("aer"), plain_outputs(model, data), atol=CLOSE)
    assert {layer.rows for layer in found.stages[1].layers} == {18}


class Twice(nn.Module):
    """One layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(own_circuit(), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(self.layer(features[:, :2]))


def test_a_layer_that_is_called_twice() -> None:
    model, data = Twice(), batches(torch.zeros(N_ITEMS, 2) + 0.5)
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    assert torch.allclose(found.outputs("aer"), plain_outputs(model, data), atol=CLOSE)
    assert found.stages[0].layers[0].rows == 2 * N_ITEMS


class Lent(nn.Module):
    """A layer that is called with weights of the model's in the place of its own."""

    def __init__(self, *, by_batch: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        spec = LayerSpec(n_wires=2, encoding="angle", ansatz="basic_entangler", n_layers=1)
        self.layer = QuantumLayer(spec, backend="aer", seed=1)
        self.lent = nn.Parameter(6 * torch.rand(2, spec.n_weights))
        self.by_batch = by_batch

    def forward(self, features: Tensor) -> Tensor:
        found = features[:, :2]
        for weights in self.lent:
            moved = weights + found[0, 0] if self.by_batch else weights
            found = torch.func.functional_call(self.layer, {"weight": moved}, (found,))
        return found


def test_weights_are_those_that_the_model_computes_with() -> None:
    model, data = Lent(), batches(torch.zeros(N_ITEMS, 2) + 0.5)
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    for stage, name in zip(found.stages, ("aer", "aer:fake_manila"), strict=True):
        model.layer.to_backend(name)
        assert torch.allclose(found.outputs(name), plain_outputs(model, data), atol=CLOSE)
        assert stage.layers[0].rows == 2 * N_ITEMS
    with pytest.raises(InputError, match="differ from batch to batch"):
        validate(Lent(by_batch=True), data, run="b")


class Drifting(nn.Module):
    """Its features change from call to call."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2, encoding="angle"), backend="aer", seed=1)
        self.calls, self.size = 0, size

    def forward(self, features: Tensor) -> Tensor:
        self.calls += 1
        noise = 0.1 * torch.rand_like(features[:, :2])
        return self.layer(features[:, :2] + noise + self.size * self.calls)


def test_what_is_random_is_the_same_each_time_and_what_drifts_is_refused() -> None:
    data = batches(torch.zeros(N_ITEMS, 2) + 0.5)
    one = validate(Drifting(0.0), data, run="a").outputs("aer")
    assert torch.equal(one, validate(Drifting(0.0), data, run="b").outputs("aer"))
    with pytest.raises(InputError, match="not the same from call to call"):
        validate(Drifting(0.1), data, run="c")


class Unused(nn.Module):
    """Has a layer, and never calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        return features


class Catching(nn.Module):
    """Catches whatever goes past it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2, encoding="angle"), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        try:
            return self.layer(features[:, :2])
        except:  # noqa: E722
            return features[:, :2]


@pytest.mark.parametrize(
    ("model", "backends", "words"),
    [
        (nn.Linear(5, 3), ["aer"], "no quantum layer"),
        (Unused(), ["aer"], "never calls its quantum layers"),
        (Catching(), ["aer"], "an `except` without a name"),
        (TwoLayers(), "aer", "a list of names"),
        (TwoLayers(), [], "a list of names"),
        (TwoLayers(), ["aer", "aer"], "more than once"),
        (TwoLayers(), ["fake_manila", "ibm_fez"], "different services"),
        (len, ["aer"], "torch.nn.Module"),
    ],
    ids=["classical", "unused", "catching", "text", "none", "twice", "services", "function"],
)
def test_what_cannot_be_validated_is_told(model: Any, backends: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        validate(model, batches(), backends, run="a")
    assert not Path("a").exists()


def test_a_lazy_model_is_called_once_before() -> None:
    model = TwoLayers()
    model.head = nn.LazyLinear(3)
    with pytest.raises(OptionError, match=r"without a shape \(head\.weight, head\.bias\)"):
        validate(model, batches(), run="a")
    model(batches()[0][0])
    assert validate(model, batches(), run="a").task == "classification"
