"""Another encoding takes one class, as here, and runs on every backend with its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.config.recipe import load_config
from qbackend import LayerSpec, QuantumLayer
from qbackend.layers.encodings import ENCODINGS, AngleEncoding
from qbackend.layers.inputs import Array

from ..support.cases import MACHINE, features, weights
from ..support.dense import dense_gradients, dense_values


class HalfTurns(AngleEncoding):
    """RY(pi times feature q) on wire q: features that run from -1 to 1 go once around."""

    name = "half_turns"

    def loaded(self, features: Tensor) -> Tensor:
        return torch.pi * features

    def angles(self, features: Array) -> Array:
        return np.pi * features

    def states(self, features: Array) -> Array:
        return super().states(np.pi * features)

    def states_of_angles(self, angles: Array) -> Array:
        return super().states(angles)

    def shifted(self, features: Array) -> tuple[Array, Array]:
        rows, directions = super().shifted(np.pi * features)
        return rows / np.pi, np.pi * directions


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODINGS, "half_turns", HalfTurns())


def answers(layer: QuantumLayer, rows: Tensor, cotangent: Tensor) -> tuple[Tensor, ...]:
    """Values, and the gradients by features and weights."""
    rows = rows.detach().requires_grad_()
    values = layer(rows)
    return (values.detach(), *torch.autograd.grad(values, (rows, layer.weight), cotangent))


@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize(("n_wires", "n_rows"), [(1, 3), (3, 3), (3, 2000), (7, 3)])
def test_values_and_derivatives_follow_the_definition(
    backend: str, n_wires: int, n_rows: int
) -> None:
    """Both sides of every width and number of rows from which an engine does it another way."""
    spec = LayerSpec(n_wires, "half_turns", "strongly_entangling", n_layers=2)
    rows, angles = features(spec, n_rows, seed=1), weights(spec, seed=2)
    cotangent = np.random.default_rng(0).normal(size=(n_rows, spec.n_outputs))
    layer = QuantumLayer(spec, backend).double()
    layer.weight.data.copy_(torch.tensor(angles))
    found = answers(layer, torch.tensor(rows), torch.tensor(cotangent))
    wanted = dense_values(spec, rows, angles), *dense_gradients(spec, rows, angles, cotangent)
    # A sum over so many rows rounds with each of them.
    atol = MACHINE * max(1, n_rows / 100)
    torch.testing.assert_close(found, tuple(map(torch.tensor, wanted)), atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("backend", "n_wires"),
    [("aer", 11), ("native", 11), ("aer:fake_manila", 2), ("native:fake_manila", 2)],
)
def test_it_is_angle_encoding_of_half_turns(backend: str, n_wires: int) -> None:
    """Under noise too, where derivatives are taken between the preparation's gates."""
    half_turns, plain = (
        QuantumLayer(LayerSpec(n_wires, name, "strongly_entangling"), backend, seed=3).double()
        for name in ("half_turns", "angle")
    )
    rows = torch.tensor(features(half_turns.spec, 3, seed=1))
    cotangent = torch.tensor(np.random.default_rng(0).normal(size=(3, n_wires)))
    values, of_rows, of_weights = answers(plain, torch.pi * rows, cotangent)
    expected = values, torch.pi * of_rows, of_weights
    torch.testing.assert_close(answers(half_turns, rows, cotangent), expected, atol=MACHINE, rtol=0)


@pytest.mark.parametrize("gradient", ["vjp", "parameter-shift"])
def test_derivatives_are_those_of_autograd(gradient: str) -> None:
    layer = QuantumLayer(LayerSpec(2, "half_turns"), "native", seed=0, gradient=gradient).double()
    rows = torch.tensor(features(layer.spec, 2, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(layer, (rows,))
    assert torch.autograd.gradgradcheck(layer, (rows,))


def test_samples_are_of_its_circuit() -> None:
    layer = QuantumLayer(LayerSpec(2, "half_turns"), "native", seed=0).double()
    rows = torch.tensor(features(layer.spec, 4, seed=1))
    exact = layer(rows).detach()
    sampled = layer.to_backend("aer", shots=4096, seed=0)(rows).detach()
    assert 0 < (sampled - exact).abs().max() < 5 / np.sqrt(4096)


def test_a_recipe_may_name_it() -> None:
    assert load_config("digits", ["layer.encoding=half_turns"]).layer.encoding == "half_turns"
