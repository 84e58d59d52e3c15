"""Second and higher derivatives of exact layers; `test_backends` has who refuses them."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from qbackend import LayerSpec, QuantumLayer
from qbackend.errors import OptionError
from qbackend.gradients import torch_circuit

from ..support.cases import ANSATZE, ENCODINGS, MACHINE, features

STEP = 1e-3
"""Of central differences, whose error is a third derivative (below 10 here) times STEP^2 / 6."""
DIFFERENCES = 10 * STEP**2


@pytest.fixture(params=["aer", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def double(spec: LayerSpec, backend: str, **options: str) -> QuantumLayer:
    return QuantumLayer(spec, backend, seed=1, **options).double()


def rows(spec: LayerSpec, n_rows: int = 2) -> Tensor:
    return torch.tensor(features(spec, n_rows, 0), requires_grad=True)


def call(layer: QuantumLayer, x: Tensor, w: Tensor) -> Tensor:
    return torch.func.functional_call(layer, {"weight": w}, (x,))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [1, 3])
def test_torch_gives_the_backends_values(
    backend: str, encoding: str, ansatz: str, n_wires: int
) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz, 2)
    layer, x = double(spec, backend), rows(spec, 3)
    values = torch_circuit.outputs(spec, x, layer.weight)
    torch.testing.assert_close(values, layer(x), atol=MACHINE, rtol=0)


@pytest.mark.parametrize("gradient", ["auto", "parameter-shift"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", [1, 2])
def test_gradgradcheck(backend: str, encoding: str, n_wires: int, gradient: str) -> None:
    spec = LayerSpec(n_wires, encoding, "strongly_entangling", 1)
    layer = double(spec, backend, gradient=gradient)
    weights = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x, w: call(layer, x, w), (rows(spec), weights))


@pytest.mark.parametrize("n_wires", [5, 7])
@pytest.mark.parametrize("n_rows", [2, 300])
def test_wide_layers_and_large_batches(backend: str, n_wires: int, n_rows: int) -> None:
    """Every way in which a backend computes: forms, unitaries, states, whole passes."""
    spec = LayerSpec(n_wires, "angle", n_layers=3)
    layer, x = double(spec, backend), rows(spec, n_rows)
    direction = torch.randn_like(x)

    def slope(x: Tensor) -> Tensor:
        values = layer(x)
        return torch.autograd.grad(values.square().sum(), x, create_graph=True)[0]

    found = torch.autograd.grad(slope(x), (x, layer.weight), direction)
    ahead, behind = (slope((x + s * STEP * direction).detach().requires_grad_()) for s in (1, -1))
    differences = (ahead - behind) / (2 * STEP)
    # |d|^3 of a row is up to about (2 n)^1.5, for direction entries of a normal distribution.
    limit = DIFFERENCES * (4 * n_wires) ** 1.5
    torch.testing.assert_close(found[0], differences, atol=limit, rtol=0)
    expected = torch.autograd.grad(
        torch.sum(_slope_in_torch(spec, x, layer.weight) * direction), layer.weight
    )[0]
    torch.testing.assert_close(found[1], expected, atol=MACHINE * n_rows, rtol=0)


def _slope_in_torch(spec: LayerSpec, x: Tensor, w: Tensor) -> Tensor:
    values = torch_circuit.outputs(spec, x, w)
    return torch.autograd.grad(values.square().sum(), x, create_graph=True)[0]


def test_hessian_of_a_single_wire(backend: str) -> None:
    """⟨Z⟩ of RX(w) RY(x) |0⟩ is cos x cos w."""
    layer = double(LayerSpec(1, "angle", n_layers=1), backend)
    x, w = torch.tensor([0.7], dtype=torch.float64), torch.tensor([0.4], dtype=torch.float64)
    found = torch.autograd.functional.hessian(lambda x, w: call(layer, x, w).sum(), (x, w))
    diagonal, mixed = -np.cos(0.7) * np.cos(0.4), np.sin(0.7) * np.sin(0.4)
    expected = np.array([[diagonal, mixed], [mixed, diagonal]])
    np.testing.assert_allclose(np.array(found).reshape(2, 2), expected, atol=MACHINE)


def test_the_fifth_derivative(backend: str) -> None:
    layer = double(LayerSpec(1, "angle", n_layers=1), backend)
    x = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        layer.weight.fill_(0.4)
    derivative = layer(x)
    for _ in range(5):
        (derivative,) = torch.autograd.grad(derivative, x, create_graph=True)
    assert derivative.item() == pytest.approx(-np.sin(0.7) * np.cos(0.4), abs=MACHINE)
    (mixed,) = torch.autograd.grad(derivative, layer.weight)
    assert mixed.item() == pytest.approx(np.sin(0.7) * np.sin(0.4), abs=MACHINE)


def test_a_gradient_penalty_trains(backend: str) -> None:
    """WGAN-GP (arXiv 1704.00028): the penalty's gradient by the weights, against differences."""
    spec = LayerSpec(2)
    layer, x = double(spec, backend), rows(spec)

    def penalty(w: Tensor) -> Tensor:
        values = call(layer, x, w)
        (slope,) = torch.autograd.grad(values.sum(), x, create_graph=True)
        return torch.sum((torch.linalg.vector_norm(slope, dim=1) - 1) ** 2)

    layer.weight.grad = None
    penalty(layer.weight).backward()
    for index in range(spec.n_weights):
        moved = torch.zeros(spec.n_weights, dtype=torch.float64)
        moved[index] = STEP
        ahead, behind = (penalty(layer.weight.detach() + s * moved) for s in (1, -1))
        difference = (ahead - behind).item() / (2 * STEP)
        assert layer.weight.grad[index].item() == pytest.approx(difference, abs=10 * DIFFERENCES)


def test_features_that_come_from_the_weights(backend: str) -> None:
    """Neither of two inputs may be taken for a constant where it depends on the other."""
    layer = double(LayerSpec(1, "angle", n_layers=1), backend)
    w = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    value = call(layer, torch.sin(w), w)
    (first,) = torch.autograd.grad(value, w, create_graph=True)
    (second,) = torch.autograd.grad(first, w)
    # Of cos(sin w) cos w.
    s, c = np.sin(0.4), np.cos(0.4)
    outer, inner = np.sin(s), np.cos(s)
    assert first.item() == pytest.approx(-outer * c * c - inner * s, abs=MACHINE)
    expected = -inner * c**3 + 3 * outer * c * s - inner * c
    assert second.item() == pytest.approx(expected, abs=MACHINE)


@pytest.mark.parametrize("value", [0.0, 1e-13])
def test_a_row_that_encodes_nothing(backend: str, value: float) -> None:
    spec = LayerSpec(2)
    layer = double(spec, backend)
    x = rows(spec).detach()
    x[1] = value
    x.requires_grad_()
    (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    second = torch.autograd.grad(first.square().sum(), (x, layer.weight), create_graph=True)
    (third,) = torch.autograd.grad(second[0].square().sum(), x)
    for derivative in (first, second[0], third):
        assert (derivative[1] == 0).all()
        assert (derivative[0] != 0).all()
    assert second[1].isfinite().all()


def test_frozen_weights_and_constant_features(backend: str) -> None:
    spec = LayerSpec(2)
    layer, x = double(spec, backend), rows(spec)
    (by_features,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad(by_features.sum(), x)
    layer.requires_grad_(False)
    (by_features,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    torch.testing.assert_close(torch.autograd.grad(by_features.sum(), x)[0], expected)
    layer.requires_grad_(True)
    values = layer(x.detach())
    (by_weights,) = torch.autograd.grad(values.sum(), layer.weight, create_graph=True)
    assert (torch.autograd.grad(by_weights.sum(), layer.weight)[0] != 0).any()


def test_scale_of_a_row(backend: str) -> None:
    """Second derivatives grow as one over the square of a row's length."""
    spec = LayerSpec(2)
    layer = double(spec, backend)

    def curvature(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        (first,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
        return torch.autograd.grad(first.sum(), x)[0]

    plain = curvature(rows(spec))
    scaled = curvature(rows(spec) * 1e100) * 1e200
    torch.testing.assert_close(scaled, plain, atol=MACHINE, rtol=MACHINE)


def test_single_precision_and_autocast(backend: str) -> None:
    spec = LayerSpec(2)
    layer, x = double(spec, backend), rows(spec)

    def curvature(layer: QuantumLayer, x: Tensor) -> Tensor:
        (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.autograd.grad(first.square().sum(), x)[0]

    expected = curvature(layer, x)
    found = curvature(layer.float(), x.detach().float().requires_grad_())
    assert found.dtype == torch.float32
    # Some hundred operations on numbers of the size of the curvature.
    limit = 2**8 * torch.finfo(torch.float32).eps * float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected, atol=limit, rtol=0)


def test_nothing_is_computed_that_nobody_asks_for(backend: str) -> None:
    spec = LayerSpec(2)
    layer, x = double(spec, backend), rows(spec)
    with mock.patch("qbackend.module.network.outputs", side_effect=AssertionError("computed")):
        layer(x).sum().backward()
        plain = x.grad
        (first,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
        assert torch.equal(first, plain)
        with pytest.raises(AssertionError, match="computed"):
            first.sum().backward()


def test_an_estimate_has_no_derivative(backend: str) -> None:
    spec = LayerSpec(2)
    layer, x = QuantumLayer(spec, backend, seed=0, gradient="spsa").double(), rows(spec)
    (first,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises(OptionError, match="gradient='auto'"):
        first.sum().backward()
