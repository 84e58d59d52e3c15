"""QuantumLayer as a torch module and as a TorchConnector."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import NeuralNetwork

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.errors import InputError, OptionError

from ..support.cases import MACHINE, features
from ..support.distant import Distant

EXACT = ["aer", "native"]


@pytest.fixture(params=EXACT)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def rows(spec: LayerSpec, n_rows: int = 3) -> torch.Tensor:
    return torch.tensor(features(spec, n_rows, 0))


def test_it_is_a_torch_connector(backend: str) -> None:
    layer = QuantumLayer(LayerSpec(4), backend, seed=7)
    assert isinstance(layer, TorchConnector)
    assert isinstance(layer.neural_network, NeuralNetwork)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert list(layer.state_dict()) == ["weight"]
    assert layer.weight.shape == (8,)
    assert "basic_entangler" in repr(layer)


def test_weights_start_uniform_and_repeat_by_seed() -> None:
    spec = LayerSpec(10, "angle", "strongly_entangling", 40)
    weight = QuantumLayer(spec, seed=0).weight.detach()
    assert torch.equal(weight, QuantumLayer(spec, seed=0).weight)
    assert not torch.equal(weight, QuantumLayer(spec, seed=1).weight)
    assert 0 <= weight.min() < weight.max() < 2 * np.pi
    # The mean of 1200 uniform draws has a standard error of 2 pi / sqrt(12 * 1200).
    assert abs(weight.mean() - np.pi) < 5 * 2 * np.pi / np.sqrt(12 * len(weight))


def test_the_network_works_by_itself(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    x = rows(spec).requires_grad_()
    w = layer.weight.detach().numpy()
    values = layer.neural_network.forward(x.detach().numpy(), w)
    of_features, of_weights = layer.neural_network.backward(x.detach().numpy(), w)
    assert values.shape == (3, 2)
    assert of_features.shape == (3, 2, 4)
    assert of_weights.shape == (3, 2, 4)
    np.testing.assert_allclose(layer(x).detach().numpy(), values, atol=MACHINE, rtol=0)
    for output in range(2):
        gradients = torch.autograd.grad(layer(x)[:, output].sum(), (x, layer.weight))
        np.testing.assert_allclose(gradients[0], of_features[:, output], atol=1e-8)
        np.testing.assert_allclose(gradients[1], of_weights[:, output].sum(axis=0), atol=1e-8)


def test_the_stock_connector_takes_the_network(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0)
    stock = TorchConnector(layer.neural_network, initial_weights=layer.weight.detach().numpy())
    x = rows(spec).float().requires_grad_()
    (ours,) = torch.autograd.grad(layer(x).sum(), x)
    (theirs,) = torch.autograd.grad(stock(x).sum(), x)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
def test_gradcheck(backend: str, encoding: str) -> None:
    spec = LayerSpec(2, encoding, "strongly_entangling")
    layer = QuantumLayer(spec, backend, seed=1).double()
    x = torch.randn(2, spec.n_features, dtype=torch.float64, generator=torch.manual_seed(0))

    def call(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weight": w}, (x,))

    inputs = (x.requires_grad_(), layer.weight.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(call, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape(backend: str, dtype: torch.dtype) -> None:
    spec = LayerSpec(3)
    layer = QuantumLayer(spec, backend, seed=0)
    x = torch.randn(2, 5, 8, dtype=dtype, requires_grad=True)
    values = layer(x)
    assert values.shape == (2, 5, 3)
    assert values.dtype == dtype
    values.sum().backward()
    assert x.grad.dtype == dtype
    assert layer.weight.grad.dtype == torch.float32
    assert layer(x[0, 0]).shape == (3,)
    torch.testing.assert_close(layer(x[0, 0]), values[0, 0])
    assert layer(x[:, :0]).shape == (2, 0, 3)


def test_half_precision_is_computed_in_single(backend: str) -> None:
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    x = torch.randn(3, 4, dtype=torch.bfloat16)
    assert layer(x).dtype == torch.bfloat16
    torch.testing.assert_close(layer(x), layer(x.float()).bfloat16())


def test_no_grad_keeps_nothing(backend: str) -> None:
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    x = torch.randn(3, 4, requires_grad=True)
    with torch.no_grad():
        assert not layer(x).requires_grad
    layer.requires_grad_(False)
    values = layer(x)
    values.sum().backward()
    assert layer.weight.grad is None
    assert x.grad.abs().sum() > 0


def test_a_graph_may_be_walked_twice(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    x = rows(spec).requires_grad_()
    values = layer(x).sum()
    (first,) = torch.autograd.grad(values, x, retain_graph=True)
    layer(torch.randn(7, 4).double()).sum().backward()
    (second,) = torch.autograd.grad(values, x)
    assert torch.equal(first, second)


def test_changed_weights_are_noticed(backend: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0).double()
    before = layer(rows(spec))
    with torch.no_grad():
        layer.weight[0] += 0.5
    after = layer(rows(spec))
    assert not torch.allclose(before, after)
    with torch.no_grad():
        layer.weight[0] -= 0.5
    torch.testing.assert_close(layer(rows(spec)), before, atol=MACHINE, rtol=0)


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
def test_a_zero_row(backend: str, encoding: str) -> None:
    spec = LayerSpec(2, encoding)
    layer = QuantumLayer(spec, backend, seed=0).double()
    x = rows(spec)
    x[1] = 0
    x.requires_grad_()
    values = layer(x)
    values.sum().backward()
    if encoding == "amplitude":
        assert (values[1] == 0).all()
        assert (x.grad[1] == 0).all()
    assert x.grad.isfinite().all()
    assert (values[0] != 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("gradient", ["auto", "parameter-shift"])
def test_a_row_that_is_not_finite_is_named(backend: str, bad: float, gradient: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, backend, seed=0, gradient=gradient)
    x = rows(spec)
    x[2, 1] = bad
    with pytest.raises(InputError, match="row 2"):
        layer(x)
    with torch.no_grad():
        layer.weight[0] = bad
    with pytest.raises(InputError, match="weights"):
        layer(rows(spec))


@pytest.mark.parametrize("shape", [(3,), (2, 5), (4, 0), ()])
def test_the_wrong_number_of_features(backend: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="4 features"):
        QuantumLayer(LayerSpec(2), backend)(torch.zeros(shape))


def test_to_backend_keeps_the_weights() -> None:
    spec = LayerSpec(3)
    layer = QuantumLayer(spec, "aer", seed=0).double()
    before = layer(rows(spec))
    weight = layer.weight
    assert layer.to_backend("native") is layer
    assert layer.weight is weight
    torch.testing.assert_close(layer(rows(spec)), before, atol=MACHINE, rtol=0)
    layer.to_backend("aer", shots=64, seed=0)
    assert layer.backend.shots == 64


def test_state_dict_travels_between_backends(tmp_path: Path) -> None:
    spec = LayerSpec(3)
    source, target = QuantumLayer(spec, "aer", seed=0), QuantumLayer(spec, "native", seed=1)
    torch.save(source.state_dict(), tmp_path / "layer.pt")
    target.load_state_dict(torch.load(tmp_path / "layer.pt"))
    assert torch.equal(source.weight, target.weight)
    target.load_state_dict(source.state_dict(), assign=True)
    torch.testing.assert_close(source(rows(spec)), target(rows(spec)), atol=MACHINE, rtol=0)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("shots", [None, 100])
def test_copies(how, shots: int | None) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, "aer", shots=shots, seed=0)
    layer(rows(spec)).sum().backward()
    copied = how(layer)
    assert torch.equal(copied(rows(spec)), layer(rows(spec)))
    copied.weight.data += 1
    assert not torch.equal(copied.weight, layer.weight)


def test_samples_repeat_by_seed() -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, "aer", shots=50, seed=0)
    first, second = layer(rows(spec)), layer(rows(spec))
    assert not torch.equal(first, second)
    layer.reseed(0)
    assert torch.equal(layer(rows(spec)), first)
    assert torch.equal(QuantumLayer(spec, "aer", shots=50, seed=0)(rows(spec)), first)


def test_training_on_samples_follows_the_exact_gradient() -> None:
    """Each derivative is a sum of differences of two values with known standard errors."""
    spec, shots = LayerSpec(2, "angle"), 10_000
    x = rows(spec, 1).requires_grad_()
    exact = QuantumLayer(spec, "aer", seed=0).double()
    sampled = QuantumLayer(spec, "aer", shots=shots, seed=0).double()
    expected = torch.autograd.grad(exact(x).sum(), (x, exact.weight))
    drawn = torch.autograd.grad(sampled(x).sum(), (x, sampled.weight))
    # Half the difference of two sums of M = 2 values, each with a variance of at most 1/shots.
    bound = 5 * np.sqrt(2 * 4 / shots) / 2
    for one, other in zip(expected, drawn, strict=True):
        assert (one - other).abs().max() < bound
        assert (one - other).abs().max() > 0


@pytest.mark.parametrize("gradient", ["parameter-shift", "spsa"])
def test_a_machine_is_asked_once_for_outputs_and_derivatives(gradient: str) -> None:
    spec, backend = LayerSpec(2, "amplitude", n_layers=1), Distant(10_000)
    layer = QuantumLayer(spec, backend, seed=0, gradient=gradient).double()
    exact = QuantumLayer(spec, "aer", seed=0).double()
    x = torch.cat([rows(spec), torch.zeros(1, 4)])
    values = layer(x)
    values.sum().backward()
    per_image = 1 + 2 * (spec.n_weights if gradient == "parameter-shift" else 1)
    assert backend.asked == [3 * per_image]
    # An output has a variance of at most 1 / shots.
    assert (values - exact(x)).abs().max() < 5 / np.sqrt(10_000)
    assert not values[-1].any()
    if gradient == "parameter-shift":
        exact(x).sum().backward()
        # The sum of 3 images times 2 outputs of half differences of two values.
        bound = 5 * np.sqrt(3 * 2 * 2 * 2 / 10_000) / 2
        assert (layer.weight.grad - exact.weight.grad).abs().max() < bound
    with torch.no_grad():
        layer(x)
    assert backend.asked[1:] == [3]
    moved = x.clone().requires_grad_()
    layer(moved).sum().backward()
    of_features = 2 * 3 if gradient == "parameter-shift" else 0
    assert backend.asked[2:] == [3 * (per_image + of_features)]
    assert moved.grad[:3].any(dim=1).all()
    assert not moved.grad[3].any()


def test_gradients_that_a_backend_has_not() -> None:
    with pytest.raises(OptionError, match="did you mean 'parameter-shift'"):
        QuantumLayer(LayerSpec(2), "aer", gradient="parameter-shif")
    with pytest.raises(OptionError, match="vjp"):
        QuantumLayer(LayerSpec(2), "aer", shots=10, gradient="vjp")
    with pytest.raises(OptionError, match="where it is made"):
        QuantumLayer(LayerSpec(2), get_backend("aer"), shots=10)
