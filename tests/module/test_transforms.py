"""The layer under the transforms of torch.func, and under vectorised Jacobians."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vjp, vmap

from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.errors import InputError, OptionError
from qbackend.module.network import LayerNetwork

from ..support.awkward_circuit import own_circuit
from ..support.cases import MACHINE

LAYERS = {
    "amplitude": LayerSpec(2),
    "angle": LayerSpec(3, "angle", "strongly_entangling", 1),
    "circuit": own_circuit(),
}


@pytest.fixture(params=["aer", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest, backend: str) -> QuantumLayer:
    return QuantumLayer(LAYERS[request.param], backend, seed=0).double()


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(0))


def rows(layer: QuantumLayer, *shape: int) -> Tensor:
    return drawn(*shape, layer.spec.n_features)


def weights(layer: QuantumLayer, *shape: int) -> Tensor:
    return drawn(*shape, layer.spec.n_weights)


def call(layer: QuantumLayer, w: Tensor, x: Tensor) -> Tensor:
    return functional_call(layer, {"weight": w}, (x,))


def loss(layer: QuantumLayer, w: Tensor, x: Tensor) -> Tensor:
    return call(layer, w, x).square().sum()


def plain_gradients(layer: QuantumLayer, w: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    leaves = [tensor.clone().requires_grad_() for tensor in (w, x)]
    return torch.autograd.grad(loss(layer, *leaves), leaves)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=MACHINE, rtol=0)


def same_for_each(found: tuple[Tensor, ...], expected: list[tuple[Tensor, ...]]) -> None:
    for ours, theirs in zip(found, zip(*expected, strict=True), strict=True):
        same(ours, torch.stack(theirs))


def test_batched_features(layer: QuantumLayer) -> None:
    x = rows(layer, 3, 4)
    same(vmap(layer)(x), layer(x))
    same(vmap(layer)(x[:, 0]), layer(x[:, 0]))
    same(vmap(layer, in_dims=1, out_dims=1)(x), layer(x))
    same(vmap(vmap(layer))(x), layer(x))


def test_an_ensemble(layer: QuantumLayer) -> None:
    w, x = weights(layer, 3), rows(layer, 3, 4)
    shared = vmap(lambda v: call(layer, v, x[0]))(w)
    same(shared, torch.stack([call(layer, v, x[0]) for v in w]))
    own = vmap(lambda v, y: call(layer, v, y))(w, x)
    same(own, torch.stack([call(layer, v, y) for v, y in zip(w, x, strict=True)]))


def test_gradients(layer: QuantumLayer) -> None:
    w, x = weights(layer), rows(layer, 4)
    found = grad(lambda w, x: loss(layer, w, x), argnums=(0, 1))(w, x)
    same_for_each(tuple(g[None] for g in found), [plain_gradients(layer, w, x)])
    # Nothing of the layer is transformed here, and yet it stands within a transform.
    scaled = grad(lambda scale: (scale * layer(x)).sum())(torch.tensor(2.0).double())
    same(scaled, layer(x).sum())


def test_gradients_of_every_row(layer: QuantumLayer) -> None:
    w, x = weights(layer), rows(layer, 4)
    each = grad(lambda w, x: loss(layer, w, x), argnums=(0, 1))
    expected = [plain_gradients(layer, w, row) for row in x]
    same_for_each(vmap(each, in_dims=(None, 0))(w, x), expected)
    by_features = vmap(grad(lambda x: loss(layer, w, x)))(x)
    same(by_features, torch.stack([of_x for _, of_x in expected]))


def test_gradients_of_an_ensemble(layer: QuantumLayer) -> None:
    w, x = weights(layer, 3), rows(layer, 4)
    each = grad(lambda w, x: loss(layer, w, x), argnums=(0, 1))
    found = vmap(each, in_dims=(0, None))(w, x)
    same_for_each(found, [plain_gradients(layer, v, x) for v in w])


def test_jacobians(layer: QuantumLayer) -> None:
    given = weights(layer), rows(layer, 3)

    def values(w: Tensor, x: Tensor) -> Tensor:
        return call(layer, w, x)

    expected = torch.autograd.functional.jacobian(values, given)
    for found in (
        jacrev(values, argnums=(0, 1))(*given),
        torch.autograd.functional.jacobian(values, given, vectorize=True),
    ):
        for ours, theirs in zip(found, expected, strict=True):
            same(ours, theirs)
    direction = drawn(3, layer.spec.n_outputs)
    _, pull = vjp(values, *given)
    for ours, jacobian in zip(pull(direction), expected, strict=True):
        same(ours, torch.tensordot(direction, jacobian, 2))


def test_second_derivatives(layer: QuantumLayer) -> None:
    given = weights(layer), rows(layer)

    def value(w: Tensor, x: Tensor) -> Tensor:
        return loss(layer, w, x)

    expected = torch.autograd.functional.hessian(value, given)
    for found in (
        jacrev(jacrev(value, argnums=(0, 1)), argnums=(0, 1))(*given),
        torch.autograd.functional.hessian(value, given, vectorize=True),
    ):
        for ours, theirs in zip(found, expected, strict=True):
            same_for_each(tuple(g[None] for g in ours), [theirs])
    penalty = grad(lambda w: grad(value, argnums=1)(w, given[1]).square().sum())(given[0])
    w = given[0].clone().requires_grad_()
    x = given[1].clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(w, x), x, create_graph=True)
    same(penalty, torch.autograd.grad(slope.square().sum(), w)[0])


def test_training_through_vmap(layer: QuantumLayer) -> None:
    x = rows(layer, 3, 4).requires_grad_()
    found, expected = (
        torch.autograd.grad(values.square().sum(), (layer.weight, x))
        for values in (vmap(layer)(x), layer(x))
    )
    same_for_each(tuple(g[None] for g in found), [expected])


def test_rows_of_one_layer_are_one_call(layer: QuantumLayer) -> None:
    calls = []
    evaluate, pullback = LayerNetwork.evaluate, LayerNetwork.pullback

    def counted(kind: str, function):
        def count(network: LayerNetwork, features: Tensor, *rest, **options):
            calls.append((kind, len(features)))
            return function(network, features, *rest, **options)

        return mock.patch.object(LayerNetwork, kind, count)

    x, w = rows(layer, 3, 4), weights(layer, 3)
    with counted("evaluate", evaluate), counted("pullback", pullback):
        vmap(vmap(layer))(x)
        assert calls == [("evaluate", 12)]
        calls.clear()
        vmap(grad(lambda x: layer(x).sum()))(x)
        assert calls == [("evaluate", 12), ("pullback", 12)]
        calls.clear()
        vmap(lambda v: call(layer, v, x[0]))(w)
        assert calls == 3 * [("evaluate", 4)]


def test_single_precision_features_and_a_row_that_encodes_nothing(backend: str) -> None:
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    x = rows(layer, 3).float()
    x[1] = 0
    values = vmap(layer)(x)
    assert values.dtype == torch.float32
    assert not values[1].any()
    of_weights, of_features = vmap(
        grad(lambda w, x: loss(layer, w, x), argnums=(0, 1)), in_dims=(None, 0)
    )(layer.weight.detach(), x)
    assert of_weights.dtype == of_features.dtype == torch.float32
    assert not of_weights[1].any()
    assert not of_features[1].any()
    assert of_weights[0].any()
    assert vmap(layer)(x.bfloat16()).dtype == torch.bfloat16


def test_mistakes_are_told_as_always(layer: QuantumLayer) -> None:
    x = rows(layer, 3)
    with pytest.raises(InputError, match=f"{layer.spec.n_features} features"):
        vmap(layer)(x[:, 1:])
    x[2, 0] = torch.nan
    with pytest.raises(InputError, match="row 2"):
        vmap(layer)(x)


@pytest.mark.parametrize("spec", [LayerSpec(2), own_circuit()], ids=["catalogue", "circuit"])
def test_shifts_and_samples(spec: LayerSpec | CircuitLayer) -> None:
    """Where a backend has no derivatives of its own; second ones are refused where it samples."""
    exact = QuantumLayer(spec, "aer", seed=0).double()
    shifted = QuantumLayer(spec, "aer", seed=0, gradient="parameter-shift").double()
    x = rows(exact, 3)
    found, expected = (
        vmap(grad(lambda w, x, of=of: loss(of, w, x), argnums=(0, 1)), (None, 0))(of.weight, x)
        for of in (shifted, exact)
    )
    # By the project's convention derivatives of different ways agree to 1e-8.
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=0)
    sampled = QuantumLayer(spec, "aer", shots=100, seed=0).double()
    assert vmap(sampled)(x).shape == (3, spec.n_outputs)
    with pytest.raises(OptionError, match="second derivatives"):
        jacrev(jacrev(lambda x: sampled(x).sum()))(x)
