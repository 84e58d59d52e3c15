"""`aer:DEVICE`: what its noise does to a layer, and what it must never do."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from qbackend import LayerSpec, QuantumLayer, get_backend, list_backends
from qbackend.aer import noisy as aer_noisy
from qbackend.aer.noisy import AerNoisy
from qbackend.devices.noise import NoisyLayer, add_noise
from qbackend.devices.noise_spec import NoiseSpec, SavedNoise, save_noise
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import OptionError, UnknownNameError
from qbackend.gradients.plans import plan_circuit_shift
from qbackend.layers.inputs import Array
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.device import Device
from qbackend.seam.requests import Request

from ..support.cases import ANSATZE, ENCODINGS, MACHINE, features, weights

SPEC = LayerSpec(4)


@pytest.fixture(scope="module")
def brisbane() -> Device:
    return load_snapshot("fake_brisbane")


def evaluate(backend: QuantumBackend, spec: LayerSpec = SPEC, n_rows: int = 8) -> Array:
    compiled = backend.compile(spec)
    rows = compiled.rows(features(spec, n_rows, 0), weights(spec, 0))
    return backend.evaluate(Request(compiled, rows)).values


def distance(device: Device, noise: NoiseSpec) -> float:
    """Root mean square over rows and outputs, from the ideal values."""
    difference = evaluate(AerNoisy(device, noise)) - evaluate(get_backend("aer"))
    return float(np.sqrt(np.mean(difference**2)))


@pytest.mark.parametrize("preparation", ["textbook", "compact"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [2, 3, pytest.param(5, marks=pytest.mark.slow)])
def test_without_noise_it_is_aer(
    brisbane: Device, n_wires: int, ansatz: str, encoding: str, preparation: str
) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz)
    quiet = AerNoisy(brisbane, NoiseSpec.only(), preparation)
    np.testing.assert_allclose(
        evaluate(quiet, spec, 3), evaluate(get_backend("aer"), spec, 3), atol=MACHINE, rtol=0
    )


@pytest.mark.parametrize("part", NoiseSpec.parts())
def test_every_part_moves_the_outputs_away_from_ideal(brisbane: Device, part: str) -> None:
    """Each part alone does something, and no strength brings the outputs nearer than none."""
    none = distance(brisbane, NoiseSpec.only())
    assert none < MACHINE
    distances = [distance(brisbane, NoiseSpec.only(**{part: s})) for s in (0.25, 1.0, 4.0)]
    assert min(distances) > none + 1e-6
    # Up to the device's own strength the effect is that of its first order, which grows.
    assert distances[0] < distances[1]


def test_noise_is_on_by_default_and_waiting_is_not(brisbane: Device) -> None:
    assert distance(brisbane, NoiseSpec()) > 1e-3
    compiled = AerNoisy(brisbane).compile(SPEC)
    assert not any(item.operation.label for item in compiled.circuit.data)
    np.testing.assert_array_equal(
        evaluate(AerNoisy(brisbane)), evaluate(AerNoisy(brisbane, NoiseSpec()))
    )


def test_rows_do_not_depend_on_their_number(
    brisbane: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row, a full run of Aer in two threads, and the rest in another."""
    backend = AerNoisy(brisbane)
    compiled = backend.compile(LayerSpec(2, "angle"))
    monkeypatch.setattr(aer_noisy, "BINDINGS", 4)
    torch.set_num_threads(2)
    n_rows = 4 * 2 + 3
    rows = np.random.default_rng(0).uniform(-3, 3, (n_rows, len(compiled.parameters)))
    values = backend.evaluate(Request(compiled, rows)).values
    for index in range(n_rows):
        alone = backend.evaluate(Request(compiled, rows[index : index + 1])).values[0]
        np.testing.assert_allclose(values[index], alone, atol=1e-14)


def test_misreads_shrink_and_move_a_mean(brisbane: Device) -> None:
    """With p the probability to read 0 as 1 and q the reverse: <Z> -> (1 - p - q) <Z> + q - p."""
    spec = LayerSpec(1, "angle")
    compiled = AerNoisy(brisbane, NoiseSpec.only(readout=1.0)).compile(spec)
    assert isinstance(compiled, NoisyLayer)
    (qubit,) = compiled.properties.qubits
    p, q = qubit.prob_meas1_prep0, qubit.prob_meas0_prep1
    assert p is not None
    assert q is not None
    skewed = replace(
        compiled.properties, qubits=(replace(qubit, prob_meas1_prep0=3 * p, prob_meas0_prep1=q),)
    )
    layer = add_noise(compiled, skewed, compiled.noise)
    rows = layer.rows(features(spec, 4, 0), weights(spec, 0))
    read = AerNoisy(brisbane).evaluate(Request(layer, rows)).values
    ideal = evaluate(get_backend("aer"), spec, 4)
    np.testing.assert_allclose(read, (1 - 3 * p - q) * ideal + q - 3 * p, atol=MACHINE)


def test_samples_of_products_and_sums(brisbane: Device) -> None:
    """Observables on several qubits, and sums, whose outcomes are not plus and minus one."""
    spec = LayerSpec(2, observables=("ZZ", "ZI"))
    backend = get_backend("aer:fake_brisbane", shots=4096)
    compiled = backend.compile(spec)
    total = sum(compiled.observables[1:], compiled.observables[0])
    compiled = replace(compiled, observables=(compiled.observables[0], total))
    rows = compiled.rows(features(spec, 40, 1), weights(spec, 1))
    sampled = backend.evaluate(Request(compiled, rows, shots=4096, seed=0))
    exact = AerNoisy(brisbane).evaluate(Request(compiled, rows)).values
    assert (np.abs(sampled.values - exact) <= 5 * sampled.stderr + MACHINE).all()
    spread = np.mean(((sampled.values - exact) / sampled.stderr) ** 2)
    assert abs(spread - 1) < 5 * np.sqrt(2 / 40)


def test_a_seed_of_zero_is_a_seed() -> None:
    backend = get_backend("aer:fake_brisbane", shots=100, seed=0)
    compiled = backend.compile(LayerSpec(2))
    rows = compiled.rows(features(LayerSpec(2), 20, 0), weights(LayerSpec(2), 0))
    first, second = (backend.evaluate(Request(compiled, rows, shots=100)).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = backend.evaluate(Request(compiled, rows, shots=100, seed=1)).values
    assert (first != other).any()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_shift_rule_holds_under_noise(brisbane: Device, encoding: str) -> None:
    """An output is a + b cos t + c sin t in every angle t, whatever the noise.

    Hence f(t + x) - f(t - x) = 2 sin(x) f'(t) for every x, not only a quarter turn.
    """
    spec = LayerSpec(2, encoding, "strongly_entangling")
    backend = AerNoisy(brisbane, NoiseSpec(idle=1.0).scaled(3))
    compiled = backend.compile(spec)
    rows = compiled.rows(features(spec, 2, 0), weights(spec, 0))
    plan = plan_circuit_shift(compiled, rows)
    derivatives = plan.derivatives(backend.evaluate(Request(compiled, plan.rows)).values)
    third = np.repeat(rows, 2 * rows.shape[1], axis=0)
    third = third + (plan.rows - third) * 4 / 3
    other = plan.derivatives(backend.evaluate(Request(compiled, third)).values)
    np.testing.assert_allclose(other / np.sin(2 * np.pi / 3), derivatives, atol=2 * MACHINE)
    assert np.abs(derivatives).max() > 0.1


def test_the_result_says_device_and_calibration(brisbane: Device) -> None:
    backend = get_backend("aer:ibm_brisbane")
    compiled = backend.compile(SPEC)
    result = backend.evaluate(Request(compiled, np.zeros((1, len(compiled.parameters)))))
    assert result.device == "ibm_brisbane"
    assert result.calibrated_at == brisbane.calibrated_at
    assert compiled.record["calibration"] == "snapshot"
    assert compiled.record["noise"]["readout"] == 1.0
    assert len(compiled.record["physical_qubits"]) == 4
    np.testing.assert_array_equal(evaluate(backend), evaluate(AerNoisy(brisbane)))


def test_a_noise_file_stands_for_its_device(brisbane: Device, tmp_path: Path) -> None:
    spec = LayerSpec(2)
    noise = NoiseSpec(two_qubit=2.0, idle=0.5)
    compiled = AerNoisy(brisbane, noise).compile(spec)
    assert isinstance(compiled, NoisyLayer)
    path = tmp_path / "noise.json"
    save_noise(path, SavedNoise(compiled.noise, compiled.properties))
    again = get_backend(f"aer:{path}")
    np.testing.assert_allclose(
        evaluate(again, spec), evaluate(AerNoisy(brisbane, noise), spec), atol=MACHINE
    )
    result = again.compile(spec).record
    assert result["device"] == "fake_brisbane"
    assert result["calibration"] == "file"


def test_a_layer_moves_there_with_its_weights() -> None:
    layer = QuantumLayer(LayerSpec(2), "aer", seed=3).double()
    x = torch.tensor(features(LayerSpec(2), 3, 0), requires_grad=True)
    ideal = layer(x).detach()
    layer.to_backend("aer:fake_brisbane")
    noisy = layer(x)
    assert 1e-3 < (noisy - ideal).abs().max() < 0.3
    noisy.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    torch.testing.assert_close(copy.deepcopy(layer)(x), noisy)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aer:fake_brisbone", "did you mean 'fake_brisbane'"),
        ("aer:ibm_brisbone", "did you mean 'ibm_brisbane'"),
        ("aer:brisbane", "brisbane"),
    ],
)
def test_unknown_devices(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        get_backend(name)


def test_options_that_cannot_be_honoured(brisbane: Device) -> None:
    with pytest.raises(OptionError, match="name a device"):
        get_backend("aer", noise=NoiseSpec())
    with pytest.raises(OptionError, match="takes no 'noise'"):
        get_backend("qiskit:qiskit:x", noise=NoiseSpec())
    with pytest.raises(OptionError, match="at most 1"):
        get_backend("aer:fake_armonk").compile(LayerSpec(2))
    with pytest.raises(OptionError, match="cannot read noise file"):
        get_backend("aer:nowhere.json")
    exact = AerNoisy(brisbane)
    compiled = exact.compile(LayerSpec(1))
    rows = np.zeros((1, len(compiled.parameters)))
    with pytest.raises(OptionError, match="takes no shots"):
        exact.submit(Request(compiled, rows, shots=5))
    with pytest.raises(OptionError, match="needs shots"):
        get_backend("aer:fake_brisbane", shots=5).submit(Request(compiled, rows))
    ideal = get_backend("aer").compile(LayerSpec(1))
    with pytest.raises(OptionError, match="compiled by another backend"):
        exact.submit(Request(ideal, rows))


def test_it_is_listed() -> None:
    assert "aer:DEVICE" in [info.name for info in list_backends()]
