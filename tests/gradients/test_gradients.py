"""Gradient plans: exact where they claim to be, unbiased in the limit where they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.circuits.logical import compile_layer
from qbackend.errors import OptionError
from qbackend.gradients.plans import plan_circuit_shift, plan_parameter_shift, plan_spsa
from qbackend.layers.inputs import Array
from qbackend.module.network import LayerNetwork
from qbackend.seam.requests import Request

from ..support.cases import ANSATZE, ENCODINGS, features, weights

SHIFT = 1e-8
"""How near a backend's own derivative must be to parameter shift: the seam's promise."""


@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize("ansatz", ANSATZE)
@given(n_wires=st.integers(1, 4), seed=st.integers(0, 999), encoding=st.sampled_from(ENCODINGS))
def test_own_derivative_equals_parameter_shift(
    backend: str, ansatz: str, n_wires: int, seed: int, encoding: str
) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz)
    x = torch.tensor(features(spec, 3, seed), requires_grad=True)
    own = QuantumLayer(spec, backend, seed=seed).double()
    shifted = QuantumLayer(spec, backend, seed=seed, gradient="parameter-shift").double()
    cotangent = torch.tensor(np.random.default_rng(seed).normal(size=(3, n_wires)))
    of_own = torch.autograd.grad(own(x), (x, own.weight), cotangent)
    of_shifted = torch.autograd.grad(shifted(x), (x, shifted.weight), cotangent)
    for one, other in zip(of_own, of_shifted, strict=True):
        torch.testing.assert_close(one, other, atol=SHIFT, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_wide_layers_on_aer_equal_parameter_shift(encoding: str) -> None:
    """Beyond the unitary's width Aer propagates states: a path of its own."""
    spec = LayerSpec(9, encoding, "strongly_entangling", 1)
    x = torch.tensor(features(spec, 2, 0), requires_grad=True)
    own = QuantumLayer(spec, "aer", seed=0).double()
    shifted = QuantumLayer(spec, "aer", seed=0, gradient="parameter-shift").double()
    cotangent = torch.ones(2, 9).double()
    of_own = torch.autograd.grad(own(x), (x, own.weight), cotangent)
    of_shifted = torch.autograd.grad(shifted(x), (x, shifted.weight), cotangent)
    for one, other in zip(of_own, of_shifted, strict=True):
        torch.testing.assert_close(one, other, atol=SHIFT, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_vjp_of_a_plan_contracts_its_jacobians(encoding: str) -> None:
    spec = LayerSpec(2, encoding)
    x, w = features(spec, 3, 5), weights(spec, 5)
    cotangent = np.random.default_rng(5).normal(size=(3, 2))
    rng = np.random.default_rng(5)
    for plan in (
        plan_parameter_shift(spec, x, w),
        plan_spsa(spec, x, w, rng=rng, perturbation=0.1, draws=3),
    ):
        values = network(spec).execute(plan.features, plan.weights).values
        of_features, of_weights = plan.jacobians(values)
        vjp = plan.vjp(values, cotangent)
        np.testing.assert_allclose(
            vjp[0], np.einsum("bmf,bm->bf", of_features, cotangent), atol=1e-12
        )
        np.testing.assert_allclose(
            vjp[1], np.einsum("bmw,bm->w", of_weights, cotangent), atol=1e-12
        )


def test_number_of_rows() -> None:
    spec = LayerSpec(4)
    plan = plan_parameter_shift(spec, features(spec, 8, 0), weights(spec, 0))
    assert len(plan.features) == len(plan.weights) == 8 * 2 * (15 + 8)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_features_that_stand_still_cost_no_rows(encoding: str) -> None:
    spec = LayerSpec(2, encoding)
    x, w = features(spec, 3, 5), weights(spec, 5)
    shift = plan_parameter_shift(spec, x, w, of_features=False)
    assert len(shift.features) == 3 * 2 * len(w)
    spsa = plan_spsa(spec, x, w, rng=np.random.default_rng(5), of_features=False)
    np.testing.assert_array_equal(spsa.features, np.repeat(x, 2, axis=0))
    _, expected = jacobians_by_shift(spec, x, w)
    for plan in (shift, spsa):
        values = network(spec).execute(plan.features, plan.weights).values
        of_features, of_weights = plan.jacobians(values)
        assert not of_features.any()
        assert of_weights.any()
        if plan is shift:
            np.testing.assert_allclose(of_weights, expected, atol=SHIFT, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_spsa_tends_to_parameter_shift(encoding: str) -> None:
    """The mean of n draws is off by its standard error and a bias of order perturbation squared.

    A third derivative of an output along a move of one radian in each of P parameters is at most
    P^3, which bounds the bias by perturbation^2 P^3 / 6.
    """
    spec = LayerSpec(2, encoding, n_layers=1)
    x, w = features(spec, 1, 3), weights(spec, 3)
    exact = np.concatenate(jacobians_by_shift(spec, x, w), axis=2)[0]
    n_draws = 20_000
    for perturbation in (0.1, 0.01):
        plan = plan_spsa(
            spec,
            np.repeat(x, n_draws, axis=0),
            w,
            rng=np.random.default_rng(0),
            perturbation=perturbation,
        )
        values = network(spec).execute(plan.features, plan.weights).values
        draws = np.concatenate(plan.jacobians(values), axis=2)
        error = np.abs(draws.mean(axis=0) - exact)
        stderr = draws.std(axis=0) / np.sqrt(n_draws)
        bias = perturbation**2 * exact.shape[1] ** 3 / 6
        scale = 1 / np.sqrt(np.mean(x**2)) if encoding == "amplitude" else 1.0
        assert (error <= 5 * stderr + bias * max(scale, 1.0)).all()
        assert stderr.max() < 0.05 * max(np.abs(exact).max(), 0.1)


@pytest.mark.parametrize("ansatz", ANSATZE)
@given(n_wires=st.integers(1, 3), seed=st.integers(0, 999), encoding=st.sampled_from(ENCODINGS))
def test_circuit_shift_gives_the_weights_derivatives(
    ansatz: str, n_wires: int, seed: int, encoding: str
) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz)
    x, w = features(spec, 3, seed), weights(spec, seed)
    backend = get_backend("aer")
    compiled = backend.compile(spec)
    plan = plan_circuit_shift(compiled, compiled.rows(x, w))
    derivatives = plan.derivatives(backend.evaluate(Request(compiled, plan.rows)).values)
    n_angles = spec.encoding_rule.n_angles(n_wires)
    of_features, of_weights = jacobians_by_shift(spec, x, w)
    np.testing.assert_allclose(derivatives[..., n_angles:], of_weights, atol=SHIFT)
    if encoding == "angle":
        np.testing.assert_allclose(derivatives[..., :n_angles], of_features, atol=SHIFT)


@pytest.mark.parametrize("spoil", ["twice", "slower", "another gate", "an axis"])
def test_circuit_shift_refuses_what_has_no_rule(spoil: str) -> None:
    compiled = compile_layer(LayerSpec(1, "angle", n_layers=1))
    parameter = compiled.parameters[0]
    circuit = QuantumCircuit(2)
    if spoil == "twice":
        circuit.rx(parameter, 0)
        circuit.rz(parameter, 0)
    elif spoil == "slower":
        circuit.rx(parameter / 2, 0)
    elif spoil == "an axis":
        circuit.r(0.3, parameter, 0)
    else:
        circuit.crx(parameter, 0, 1)
    with pytest.raises(OptionError, match="no shift rule for parameter 'angle"):
        plan_circuit_shift(replace(compiled, circuit=circuit), np.zeros((1, 2)))


def network(spec: LayerSpec) -> LayerNetwork:
    return LayerNetwork(spec, get_backend("aer"))


def jacobians_by_shift(spec: LayerSpec, x: Array, w: Array) -> tuple[Array, Array]:
    plan = plan_parameter_shift(spec, x, w)
    return plan.jacobians(network(spec).execute(plan.features, plan.weights).values)
