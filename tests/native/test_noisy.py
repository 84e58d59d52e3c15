"""`native:DEVICE`: beside `aer:DEVICE`, without noise, and as something to train under."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.aer.noisy import AerNoisy
from qbackend.devices.noise import NoisyLayer
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import load_snapshot
from qbackend.gradients.noisy_preparation import PreparationAverage, averaged_gradient
from qbackend.gradients.plans import plan_circuit_shift
from qbackend.layers.inputs import Array
from qbackend.native.noisy import NativeNoisy
from qbackend.seam.requests import CompiledLayer, Request

from ..support.cases import ANSATZE, MACHINE, features, weights

AGREEMENT = MACHINE
"""Of `native:DEVICE` and `aer:DEVICE`."""
PREPARATIONS = [("amplitude", "compact"), ("amplitude", "textbook"), ("angle", "auto")]


@cache
def native(noise: NoiseSpec | None = None, preparation: str = "auto") -> NativeNoisy:
    return NativeNoisy(load_snapshot("fake_brisbane"), noise, preparation)


@cache
def compiled_layer(spec: LayerSpec, preparation: str, noise: NoiseSpec | None = None) -> NoisyLayer:
    layer = native(noise, preparation).compile(spec)
    assert isinstance(layer, NoisyLayer)
    return layer


def by_aer(compiled: CompiledLayer, rows: Array) -> Array:
    return AerNoisy(load_snapshot("fake_brisbane")).evaluate(Request(compiled, rows)).values


def gradients(
    backend, compiled: CompiledLayer, x: Array, w: Array, cotangent: Array
) -> tuple[Array, Array]:
    """By features (B, F) and weights (W,), from the backend's own pullback."""
    forward = backend.forward(
        compiled, torch.from_numpy(x), torch.from_numpy(w), differentiate=True
    )
    return tuple(part.numpy() for part in forward.pullback(torch.from_numpy(cotangent)))


def chain_rule(compiled: CompiledLayer, x: Array, of_angles: Array) -> Array:
    """Gradient (B, F) from that by the angles (B, E), the angles by central differences."""
    step = 1e-3
    gradient = np.empty_like(x)
    for index, unit in enumerate(step * np.eye(x.shape[1])):
        moved = [
            compiled.rows(x + k * unit, np.zeros(compiled.spec.n_weights)) for k in (1, -1, 2, -2)
        ]
        # The error of the five-point formula is that of the fifth derivative times step^4 / 30.
        slope = (8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / (12 * step)
        gradient[:, index] = np.sum(slope[:, : of_angles.shape[1]] * of_angles, axis=1)
    return gradient


@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize(("encoding", "preparation"), PREPARATIONS)
@pytest.mark.parametrize("n_wires", [2, 3, 4, pytest.param(5, marks=pytest.mark.slow)])
def test_it_is_aer(n_wires: int, encoding: str, preparation: str, ansatz: str) -> None:
    """Values, and gradients against the shift rule in the circuit's own parameters."""
    spec = LayerSpec(n_wires, encoding, ansatz)
    compiled, backend = compiled_layer(spec, preparation), native(None, preparation)
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, spec.n_features)), weights(spec, 0)
    cotangent = rng.choice([-1.0, 1.0], size=(2, spec.n_outputs))
    rows = compiled.rows(x, w)
    values = backend.evaluate(Request(compiled, rows)).values
    np.testing.assert_allclose(values, by_aer(compiled, rows), atol=AGREEMENT, rtol=0)

    plan = plan_circuit_shift(compiled, rows)
    derivatives = plan.derivatives(by_aer(compiled, plan.rows))
    of_rows = np.einsum("bmp,bm->bp", derivatives, cotangent)
    n_angles = rows.shape[1] - spec.n_weights
    of_features, of_weights = gradients(backend, compiled, x, w, cotangent)
    np.testing.assert_allclose(
        of_weights, of_rows[:, n_angles:].sum(axis=0), atol=len(x) * spec.n_outputs * AGREEMENT
    )
    if preparation == "compact":
        return
    expected = chain_rule(compiled, x, of_rows[:, :n_angles])
    np.testing.assert_allclose(of_features, expected, atol=spec.n_outputs * AGREEMENT)


@pytest.mark.parametrize(("encoding", "preparation"), PREPARATIONS)
@pytest.mark.parametrize("n_wires", [2, 3])
def test_a_layers_gradient_is_the_same_on_aer(
    n_wires: int, encoding: str, preparation: str
) -> None:
    """By the parameter-shift plan of the layer, for features with zeros among them as well."""
    spec = LayerSpec(n_wires, encoding, "strongly_entangling")
    results = []
    for name in ("native:fake_brisbane", "aer:fake_brisbane"):
        layer = QuantumLayer(spec, get_backend(name, preparation=preparation), seed=0)
        x = torch.tensor(features(spec, 4, 0), requires_grad=True)
        layer(x).sum().backward()
        network = layer.neural_network
        of_features, of_weights = network.backward(
            x.detach().numpy(), layer.weight.detach().numpy()
        )
        torch.testing.assert_close(
            x.grad, torch.from_numpy(of_features.sum(axis=1)), atol=10 * AGREEMENT, rtol=0
        )
        torch.testing.assert_close(
            layer.weight.grad,
            torch.from_numpy(of_weights.sum(axis=(0, 1))).float(),
            atol=1e-5,
            rtol=0,
        )
        results.append(x.grad)
    torch.testing.assert_close(*results, atol=10 * AGREEMENT, rtol=0)


@pytest.mark.parametrize("n_wires", [2, 3])
def test_the_averaged_gradient_is_that_of_aers_values(n_wires: int) -> None:
    """The compact preparation's: quadratic forms through the values at the averaged states."""
    spec = LayerSpec(n_wires)
    compiled, w = compiled_layer(spec, "compact"), weights(spec, 0)
    x = np.random.default_rng(1).normal(size=(4, spec.n_features))
    cotangent = np.random.default_rng(2).normal(size=(4, spec.n_outputs))
    average = PreparationAverage.over(n_wires)
    forms = average.fit(by_aer(compiled, compiled.rows(average.states, w)))
    of_features, _ = gradients(native(), compiled, x, w, cotangent)
    np.testing.assert_allclose(
        of_features, averaged_gradient(x, forms, cotangent), atol=10 * AGREEMENT
    )


@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize(("encoding", "preparation"), PREPARATIONS)
@pytest.mark.parametrize("n_wires", [2, 4])
def test_without_noise_it_is_ideal(
    n_wires: int, encoding: str, preparation: str, ansatz: str
) -> None:
    """Values and both gradients, for features with zeros among them as well."""
    spec = LayerSpec(n_wires, encoding, ansatz)
    quiet, ideal = native(NoiseSpec.only(), preparation), get_backend("native")
    compiled = compiled_layer(spec, preparation, NoiseSpec.only())
    x, w = features(spec, 4, 0), weights(spec, 0)
    cotangent = np.random.default_rng(0).choice([-1.0, 1.0], size=(4, spec.n_outputs))
    values = quiet.evaluate(Request(compiled, compiled.rows(x, w))).values
    logical = ideal.compile(spec)
    expected = ideal.evaluate(Request(logical, logical.rows(x, w))).values
    np.testing.assert_allclose(values, expected, atol=MACHINE, rtol=0)
    pairs = zip(
        gradients(quiet, compiled, x, w, cotangent),
        gradients(ideal, logical, x, w, cotangent),
        strict=True,
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=10 * MACHINE)


def test_noise_is_on() -> None:
    spec = LayerSpec(4)
    x, w = torch.from_numpy(features(spec, 8, 0)), torch.from_numpy(weights(spec, 0))
    noisy = native().forward(compiled_layer(spec, "auto"), x, w, differentiate=False).values
    ideal = get_backend("native")
    exact = ideal.forward(ideal.compile(spec), x, w, differentiate=False).values
    assert (noisy - exact).square().mean().sqrt() > 1e-3


def test_waiting_qubits_relax_as_in_aer() -> None:
    spec, noise = LayerSpec(3), NoiseSpec(idle=2.0)
    compiled = compiled_layer(spec, "compact", noise)
    rows = compiled.rows(features(spec, 3, 0), weights(spec, 0))
    values = native(noise).evaluate(Request(compiled, rows)).values
    np.testing.assert_allclose(values, by_aer(compiled, rows), atol=AGREEMENT)
    awake = compiled_layer(spec, "compact")
    assert np.abs(values - native().evaluate(Request(awake, rows)).values).max() > 1e-4


def test_rows_may_bring_weights_of_their_own() -> None:
    spec = LayerSpec(2)
    compiled = compiled_layer(spec, "compact")
    rows = np.random.default_rng(0).uniform(-3, 3, (6, len(compiled.parameters)))
    rows[3:, -spec.n_weights :] = rows[:3, -spec.n_weights :]
    result = native().evaluate(Request(compiled, rows))
    np.testing.assert_allclose(result.values, by_aer(compiled, rows), atol=AGREEMENT)
    assert result.device == "fake_brisbane"
    assert result.calibrated_at == native().device.calibrated_at
    assert result.shots is None


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
def test_single_precision(preparation: str) -> None:
    spec = LayerSpec(4)
    compiled = compiled_layer(spec, preparation)
    x, w = np.random.default_rng(0).normal(size=(16, 16)), weights(spec, 0)
    # Noise contracts what rounding adds: sixteen roundings for each gate, at slopes below two.
    allowed = 2 * 16 * compiled.circuit.size() * 2.0**-24
    results = []
    for dtype in (torch.float32, torch.float64):
        given = torch.tensor(x, dtype=dtype)
        forward = native(None, preparation).forward(
            compiled, given, torch.from_numpy(w), differentiate=True
        )
        of_features, of_weights = forward.pullback(torch.ones_like(forward.values) / 4)
        assert forward.values.dtype == of_features.dtype == dtype
        results.append([part.double() for part in (forward.values, of_features, of_weights / 16)])
    for single, double in zip(*results, strict=True):
        torch.testing.assert_close(single, double, atol=allowed, rtol=0)
        assert (single != double).any()


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
@pytest.mark.parametrize("n_wires", [2, 4])
@pytest.mark.parametrize("kind", ["uniform", "basis state", "Bell pairs", "zero pairs"])
@pytest.mark.parametrize("distance", [0.0, 1e-14, 1e-9, 1e-5, 1e-3])
def test_gradients_are_useful_where_angles_jump(
    kind: str, distance: float, n_wires: int, preparation: str
) -> None:
    """A step of a twentieth of the features' norm gains at least half of what it promises."""
    spec = LayerSpec(n_wires)
    n_features = spec.n_features
    degenerate = {
        "uniform": np.ones(n_features),
        "basis state": np.eye(n_features)[1],
        "Bell pairs": np.eye(int(np.sqrt(n_features))).ravel(),
        "zero pairs": np.tile([0.0, 0.0, 1.0, -1.0], n_features // 4),
    }[kind]
    rng = np.random.default_rng(0)
    x = np.tile(degenerate / np.linalg.norm(degenerate), (8, 1))
    x += distance * rng.normal(size=x.shape) / np.sqrt(n_features)
    w = weights(spec, 3)
    cotangent = rng.normal(size=(8, spec.n_outputs))
    compiled, backend = compiled_layer(spec, preparation), native(None, preparation)
    gradient, _ = gradients(backend, compiled, x, w, cotangent)
    assert np.isfinite(gradient).all()
    steepness = np.linalg.norm(gradient, axis=1)
    step = 0.05 * gradient / steepness[:, None]

    def values(x: Array) -> Array:
        outputs = backend.evaluate(Request(compiled, compiled.rows(x, w))).values
        return np.sum(outputs * cotangent, axis=1)

    gain = values(x + step) - values(x - step)
    # Summed over the rows: the function is rough there, by the noise of the preparation's gates.
    assert gain.sum() >= 0.05 * steepness.sum()


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
def test_zero_rows_and_empty_batches(preparation: str) -> None:
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, native(None, preparation), seed=0)
    x = torch.randn(3, 4, dtype=torch.float64)
    x[1] = 1e-13
    x.requires_grad_()
    values = layer(x)
    values.sum().backward()
    assert (values[1] == 0).all()
    assert (x.grad[1] == 0).all()
    assert x.grad[[0, 2]].abs().min() > 0
    assert layer(torch.empty(0, 4)).shape == (0, 2)
