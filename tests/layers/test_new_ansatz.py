"""Another ansatz takes one entry, as here, and runs on every backend with its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.config.recipe import load_config
from qbackend import LayerSpec, QuantumLayer
from qbackend.layers.ansatze import ANSATZE, Ansatz, Cnots, Operation, Rotations

from ..support.cases import ENCODINGS, MACHINE, features, weights
from ..support.dense import dense_gradients, dense_values


def ladder(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    """RZ and RY on every wire, then CNOTs down the line, and up it in every other layer."""
    z, y = (tuple(range(start, start + n_wires)) for start in (first, first + n_wires))
    down = tuple((wire, wire + 1) for wire in range(n_wires - 1))
    cnots = down if index % 2 == 0 else tuple((b, a) for a, b in reversed(down))
    return (Rotations("z", z), Rotations("y", y), Cnots(cnots))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSATZE, "ladder", Ansatz("ladder", 2, ladder))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize("n_wires", [1, 3, 8])
def test_values_and_derivatives_follow_the_definition(
    backend: str, n_wires: int, encoding: str
) -> None:
    spec = LayerSpec(n_wires, encoding, "ladder", n_layers=3)
    assert spec.n_weights == 2 * n_wires * 3
    rows, angles = features(spec, 3, seed=1), weights(spec, seed=2)
    cotangent = np.random.default_rng(0).normal(size=(3, spec.n_outputs))
    layer = QuantumLayer(spec, backend).double()
    layer.weight.data.copy_(torch.tensor(angles))
    given = torch.tensor(rows, requires_grad=True)
    values = layer(given)
    found = torch.autograd.grad(values, (given, layer.weight), torch.tensor(cotangent))
    wanted = dense_gradients(spec, rows, angles, cotangent)
    answers = values.detach(), *found
    expected = dense_values(spec, rows, angles), *wanted
    torch.testing.assert_close(answers, tuple(map(torch.tensor, expected)), atol=MACHINE, rtol=0)


def test_a_device_executes_it() -> None:
    """Without noise its compiled circuit is the same function."""
    spec = LayerSpec(3, "amplitude", "ladder")
    rows = torch.tensor(features(spec, 2, seed=1))
    silent = QuantumLayer(spec, "native:fake_manila", seed=0).double()
    noisy = silent(rows)
    exact = silent.to_backend("native")(rows)
    assert 1e-3 < (noisy - exact).abs().max() < 0.5


def test_a_recipe_may_name_it() -> None:
    assert load_config("digits", ["layer.ansatz=ladder"]).layer.ansatz == "ladder"
