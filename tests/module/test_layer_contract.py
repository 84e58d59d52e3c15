"""The contract that a layer keeps on every backend: what it refuses, and what it never gets wrong.

A new backend joins by its line in `test_backends.BACKENDS`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from qbackend import LayerSpec, QuantumLayer, errors, get_backend
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import CompiledLayer, Request

from ..seam.test_backends import Case, ask, backend, case, environment, service
from ..support.cases import MACHINE, features

__all__ = ["backend", "case", "environment", "service"]


def trainable(backend: QuantumBackend, **options: str) -> tuple[QuantumLayer, Tensor]:
    """A layer in float64 with features that want a gradient; one of them encodes nothing."""
    spec = LayerSpec(2, n_layers=1)
    x = torch.tensor(features(spec, 3, 0))
    x[1] = 0
    return QuantumLayer(spec, backend, seed=0, **options).double(), x.requires_grad_()


@pytest.fixture
def counted(backend: QuantumBackend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every request to the backend, whichever way it comes."""
    rows: list[int] = []
    submit, forward = backend.submit, getattr(backend, "forward", None)

    def submitted(request: Request) -> object:
        rows.append(len(request.parameters))
        return submit(request)

    def forwarded(compiled: CompiledLayer, x: Tensor, w: Tensor, **options: bool) -> object:
        done = forward(compiled, x, w, **options)
        rows.append(len(x))
        return done

    monkeypatch.setattr(backend, "submit", submitted)
    if forward is not None:
        monkeypatch.setattr(backend, "forward", forwarded)
    return rows


def test_second_derivatives_are_right_or_refused(backend: QuantumBackend) -> None:
    layer, x = trainable(backend)
    (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    assert (first[1] == 0).all()
    if not backend.capabilities.exact or backend.capabilities.noisy:
        for inputs in (x, layer.weight):
            with pytest.raises(errors.OptionError, match=r"second derivatives.*'native'"):
                torch.autograd.grad(first.sum(), inputs, retain_graph=True)
        return
    second = torch.autograd.grad(first.sum(), (x, layer.weight), create_graph=True)
    step = 1e-4
    for moved, derivative in ((x, second[0]), (layer.weight, second[1])):
        assert (derivative != 0).any()
        slopes = []
        for sign in (1, -1):
            with torch.no_grad():
                moved.flatten()[0] += sign * step
            (slope,) = torch.autograd.grad(layer(x).square().sum(), x)
            slopes.append(slope.sum().item())
            with torch.no_grad():
                moved.flatten()[0] -= sign * step
        difference = (slopes[0] - slopes[1]) / (2 * step)
        # The error of a central difference: a third derivative, below 10^4 here, times step^2/6.
        assert derivative.flatten()[0].item() == pytest.approx(difference, abs=1e4 * step**2 / 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changed", ["features", "weights"])
def test_inputs_that_changed_since_are_noticed(
    backend: QuantumBackend, changed: str, dtype: torch.dtype
) -> None:
    layer, x = trainable(backend)
    layer, x = layer.to(dtype), x.detach().to(dtype).requires_grad_()
    values = layer(x)
    with torch.no_grad():
        (x if changed == "features" else layer.weight).mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        values.sum().backward()


NO_NUMBERS = [torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128]


@pytest.mark.parametrize("dtype", NO_NUMBERS, ids=str)
def test_other_numbers_are_refused(
    backend: QuantumBackend, counted: list[int], dtype: torch.dtype
) -> None:
    layer, x = trainable(backend)
    network, x, w = layer.neural_network, x.detach(), layer.weight.detach()
    odd_x, odd_w = x.abs().mul(3).to(dtype), w.mul(3).to(dtype)
    kind = str(dtype).removeprefix("torch.")
    calls = {
        "features": [
            lambda: layer(odd_x),
            lambda: layer(odd_x[0]),
            lambda: network.evaluate(odd_x, w, differentiate=False),
            lambda: network.forward(odd_x.numpy(), w.numpy()),
            lambda: network.backward(odd_x.numpy(), w.numpy()),
            lambda: network.execute(odd_x.numpy(), w.numpy()),
        ],
        "weights": [
            lambda: torch.func.functional_call(layer, {"weight": odd_w}, (x,)),
            lambda: network.evaluate(x, odd_w, differentiate=False),
            lambda: network.forward(x.numpy(), odd_w.numpy()),
            lambda: network.backward(x.numpy(), odd_w.numpy()),
            lambda: network.execute(x.numpy()[:1], odd_w.numpy()),
        ],
        "parameters": [
            lambda: Request(network.compiled, np.zeros((1, 5)).astype(kind), backend.shots)
        ],
    }
    for what, attempts in calls.items():
        for attempt in attempts:
            with pytest.raises(errors.InputError, match=rf"{what} are .*{kind}.*float"):
                attempt()
    assert counted == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(case: Case, dtype: torch.dtype) -> None:
    results = []
    for given in (dtype, torch.float32):
        layer, x = trainable(case.make())
        x = x.detach().to(dtype).to(given).requires_grad_()
        values = layer.float()(x)
        values.sum().backward()
        assert values.dtype == x.grad.dtype == given
        results.append((values.to(dtype), x.grad.to(dtype)))
    for half, single in zip(*results, strict=True):
        # Where every call draws anew there are no two of one value.
        assert torch.equal(half, single) or not case.seeded
    layer, x = trainable(case.make())
    halved = layer.to(dtype)
    values = halved(x.detach().float())
    values.sum().backward()
    assert values.dtype == torch.float32
    assert halved.weight.grad.dtype == dtype


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_named(
    backend: QuantumBackend, counted: list[int], bad: float
) -> None:
    layer, x = trainable(backend)
    network, x, w = layer.neural_network, x.detach(), layer.weight.detach()
    bad_x, bad_w = x.clone(), w.clone()
    bad_x[2, 1] = bad_w[1] = bad
    for what, given in (("features row 2", (bad_x, w)), ("weights", (x, bad_w))):
        arrays = [tensor.numpy() for tensor in given]
        trained = [tensor.clone().requires_grad_() for tensor in given]
        attempts = [
            lambda g=given: torch.func.functional_call(layer, {"weight": g[1]}, (g[0],)),
            lambda t=trained: torch.func.functional_call(layer, {"weight": t[1]}, (t[0],)),
            lambda a=arrays: network.forward(*a),
            lambda a=arrays: network.backward(*a),
            lambda a=arrays: network.execute(*a),
        ]
        for attempt in attempts:
            with pytest.raises(errors.InputError, match=f"{what}.* not finite"):
                attempt()
    assert counted == []


@pytest.mark.parametrize("gradient", ["auto", "parameter-shift", "spsa"])
def test_no_row_is_too_long(case: Case, gradient: str) -> None:
    """Squares of its entries overflow, it does not; nor does the square of a step along it."""
    scale = 2.0**1000
    layer, x = trainable(case.make(), gradient=gradient)
    long = (x.detach() * scale).requires_grad_()
    rows = layer.neural_network.compiled.rows
    live, w = x.detach().numpy()[::2], layer.weight.detach().numpy()
    assert np.array_equal(rows(live * scale, w), rows(live, w))
    if not case.seeded:
        return
    found = []
    for given in (x, long):
        layer.reseed(0)
        values = layer(given)
        found.append((values, *torch.autograd.grad(values.sum(), (given, layer.weight))))
    (plain, of_x, of_w), (values, of_long, of_w_too) = found
    torch.testing.assert_close(values, plain, atol=MACHINE, rtol=0)
    torch.testing.assert_close(of_long * scale, of_x, atol=MACHINE, rtol=0)
    torch.testing.assert_close(of_w_too, of_w, atol=MACHINE, rtol=0)


@pytest.mark.parametrize("shape", [(1,), (3,), (), (0,), (2, 1), (3, 2)])
def test_another_number_of_weights_is_refused(
    backend: QuantumBackend, counted: list[int], shape: tuple[int, ...]
) -> None:
    layer, x = trainable(backend)
    network, w = layer.neural_network, torch.ones(shape, dtype=torch.float64)
    with torch.no_grad():
        attempts = [lambda: torch.func.functional_call(layer, {"weight": w}, (x,))]
        if w.numel() != network.num_weights:
            arrays = x.numpy(), w.numpy()
            attempts += [lambda: network.forward(*arrays), lambda: network.backward(*arrays)]
        for attempt in attempts:
            with pytest.raises(errors.InputError, match=r"takes 2 weights.*got shape"):
                attempt()
    assert counted == []


def test_a_row_that_encodes_nothing_has_no_circuit(
    backend: QuantumBackend, counted: list[int]
) -> None:
    layer, x = trainable(backend)
    with pytest.raises(errors.InputError, match="row 1 encodes nothing"):
        layer.neural_network.execute(x.detach().numpy(), layer.weight.detach().numpy())
    assert counted == []


@pytest.mark.parametrize("gradient", ["auto", "parameter-shift", "spsa"])
def test_gradients_that_nobody_wants_take_no_rows(
    backend: QuantumBackend, counted: list[int], gradient: str
) -> None:
    layer, x = trainable(backend, gradient=gradient)

    def rows_of(x: Tensor, layer: QuantumLayer) -> int:
        counted.clear()
        layer(x).sum().backward()
        return sum(counted)

    everything = rows_of(x, layer)
    alone = rows_of(x.detach(), layer)
    weights_alone = layer.weight.grad
    layer.requires_grad_(False)
    frozen = rows_of(x, layer)
    assert weights_alone is not None
    assert x.grad is not None
    # Two of three rows encode something.
    n_weights = layer.spec.n_weights
    if layer.neural_network.gradient == "parameter-shift":
        assert alone == 2 * (1 + 2 * n_weights)
        assert frozen == everything - 2 * 2 * n_weights
        assert alone < everything
    elif gradient == "spsa":
        assert everything == alone == frozen == 2 * (1 + 2)
    else:
        done = backend.forward(layer.neural_network.compiled, x, layer.weight, differentiate=True)
        g = torch.ones(3, 2).double()
        both = done.pullback(g)
        of_features, nothing = done.pullback(g, True, False)
        assert nothing is None
        assert torch.equal(of_features, both[0])
        nothing, of_weights = done.pullback(g, False, True)
        assert nothing is None
        assert torch.equal(of_weights, both[1])


def test_numpys_whole_numbers_are_whole_numbers(case: Case) -> None:
    shots = None if case.shots is None else np.int64(case.shots)
    backend = get_backend(case.name, shots=shots, seed=np.uint8(3), **case.execution)
    assert backend.shots is None or type(backend.shots) is int
    spec = LayerSpec(np.int32(2), n_layers=np.int64(1))
    layer = QuantumLayer(spec, backend, seed=np.int64(7))
    assert layer.spec.to_json() == LayerSpec(2, n_layers=1).to_json()
    assert torch.equal(layer.weight, QuantumLayer(LayerSpec(2, n_layers=1), seed=7).weight)
    request = ask(backend, spec)
    given = Request(request.compiled, request.parameters, shots=shots, seed=np.int64(1))
    assert backend.evaluate(given).shots == backend.shots
