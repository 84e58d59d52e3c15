"""The contract that every backend keeps: one suite, run over all of them.

Sampled values may differ from exact ones by five standard errors, computed from the exact
expectation and the number of shots. A new backend joins by a line in `BACKENDS`. A machine is one
of IBM's service, which runs on the loopback.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from scipy.stats import binom

from qbackend import LayerSpec, errors, get_backend
from qbackend.circuits.device_form import drop_idle_qubits
from qbackend.devices.noise import NoisyLayer, add_noise
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.properties import read_properties
from qbackend.devices.snapshots import load_snapshot
from qbackend.layers.inputs import Array
from qbackend.machines.consent import approve_all
from qbackend.machines.options import ExecutionOptions
from qbackend.module.network import LayerNetwork
from qbackend.seam.backend import DifferentiableBackend, QuantumBackend
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.uncertainty import standard_error

from ..loopback import PAID_PLAN, Instance, LoopbackServer, Machine
from ..support.cases import ANSATZE, ENCODINGS, MACHINE, features, weights
from ..support.reference import noisy_values
from ..support.structured import structured_rows


@dataclass(frozen=True)
class Case:
    """`options` of a machine's execution; `seeded` tells whether equal seeds give equal values."""

    name: str
    shots: int | None = None
    options: ExecutionOptions | None = None
    seeded: bool = True

    def make(self) -> QuantumBackend:
        return get_backend(self.name, shots=self.shots, seed=0, **self.execution)

    @property
    def execution(self) -> dict[str, Any]:
        """What a machine takes besides: nobody is there to be asked."""
        return {"machine": self.options, "approve": approve_all} if self.options else {}


HASTE = ExecutionOptions(copies=1, poll=(0.01, 0.05), max_qpu_seconds=10_000.0)
SIDE_BY_SIDE = replace(HASTE, copies=3, fidelity_within=0.5)


BACKENDS = {
    "aer": Case("aer"),
    "native": Case("native"),
    "aer-noisy": Case("aer:fake_brisbane"),
    "native-noisy": Case("native:fake_brisbane"),
    "aer-shots": Case("aer", shots=4096),
    "aer-noisy-shots": Case("aer:fake_brisbane", shots=4096),
    "basic-simulator": Case("qiskit:qiskit.providers.basic_provider:BasicSimulator", shots=4096),
    "aer-simulator": Case("qiskit:qiskit_aer:AerSimulator", shots=4096),
    "fake-device": Case("fake_brisbane", shots=4096, options=HASTE),
    "fake-device-copies": Case("fake_brisbane", shots=4096, options=SIDE_BY_SIDE),
    "machine": Case("ibm_loopback", shots=4096, options=HASTE, seeded=False),
}


@pytest.fixture(scope="module")
def service() -> Iterator[LoopbackServer]:
    """IBM's service with one machine, without noise: its shots are all that is uncertain."""
    machine = Machine.load("ibm_loopback", n_qubits=6, noisy=False)
    with LoopbackServer([machine], [Instance(plan=PAID_PLAN)]) as running:
        yield running


@pytest.fixture
def environment(service: LoopbackServer) -> Iterator[None]:
    """Credentials and addresses that lead to the service."""
    with mock.patch.dict(os.environ, service.environment):
        yield


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS.keys())
def case(request: pytest.FixtureRequest, environment: None) -> Case:
    return request.param


@pytest.fixture
def backend(case: Case) -> QuantumBackend:
    return case.make()


@pytest.fixture(params=[name for name, case in BACKENDS.items() if case.shots is not None])
def sampled(request: pytest.FixtureRequest, environment: None) -> QuantumBackend:
    return BACKENDS[request.param].make()


def ask(backend: QuantumBackend, spec: LayerSpec, n_rows: int = 3, seed: int = 0) -> Request:
    compiled = backend.compile(spec)
    rows = compiled.rows(features(spec, n_rows, seed), weights(spec, seed))
    return Request(compiled, rows, shots=backend.shots, seed=seed)


def expected_values(request: Request, n_rows: int = 3) -> Array:
    """What the request made by `ask` gives without shot noise, each row on its copy."""
    copies = request.compiled.copies
    if copies:
        by_copy = [noisy_values(under_noise(copy), request.parameters) for copy in copies]
        return np.stack([by_copy[row % len(copies)][row] for row in range(n_rows)])
    layer = under_noise(request.compiled)
    if isinstance(layer, NoisyLayer):
        return noisy_values(layer, request.parameters)
    return exact_values(layer.spec, n_rows)


def under_noise(compiled: CompiledLayer) -> CompiledLayer:
    """A layer that was compiled for a fake device, with the noise that it will meet there."""
    device = compiled.record.get("device", "")
    if isinstance(compiled, NoisyLayer) or not device.startswith("fake_"):
        return compiled
    small = drop_idle_qubits(compiled)
    properties = read_properties(
        load_snapshot(device).target,
        device=device,
        source="snapshot",
        calibrated_at=None,
        qubits=small.record["physical_qubits"],
    )
    return add_noise(small, properties, NoiseSpec())


def exact_values(spec: LayerSpec, n_rows: int = 3, seed: int = 0) -> Array:
    """By dense matrices, written from the definitions alone."""
    state = spec.encoding_rule.states(features(spec, n_rows, seed)).T.astype(complex)
    paulis = {
        "x": np.array([[0, 1], [1, 0]]),
        "y": np.array([[0, -1j], [1j, 0]]),
        "z": np.diag([1, -1]),
    }
    angles = weights(spec, seed)

    def on(wire: int, gate: np.ndarray) -> np.ndarray:
        after = np.eye(2 ** (spec.n_wires - wire - 1))
        return np.kron(np.kron(np.eye(2**wire), gate), after)

    for operation in spec.operations:
        if hasattr(operation, "axis"):
            for wire, index in enumerate(operation.weights):
                half = angles[index] / 2
                gate = np.cos(half) * np.eye(2) - 1j * np.sin(half) * paulis[operation.axis]
                state = on(wire, gate) @ state
        else:
            for control, target in operation.pairs:
                off, set_ = on(control, np.diag([1, 0])), on(control, np.diag([0, 1]))
                state = (off + set_ @ on(target, paulis["x"])) @ state
    return (np.abs(state) ** 2).T @ spec.signs().T


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [1, 2, 4])
def test_values(backend: QuantumBackend, encoding: str, ansatz: str, n_wires: int) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz)
    request = ask(backend, spec)
    result, expected = backend.evaluate(request), expected_values(request)
    assert result.values.shape == result.stderr.shape == expected.shape
    assert result.values.dtype == np.float64
    assert result.shots == backend.shots
    assert len(result.job_ids) == 1
    assert result.device
    if backend.capabilities.exact:
        np.testing.assert_allclose(result.values, expected, atol=MACHINE, rtol=0)
        assert (result.stderr == 0).all()
    else:
        stderr = np.sqrt(np.maximum(1 - expected**2, 0) / backend.shots)
        assert (np.abs(result.values - expected) <= 5 * stderr + MACHINE).all()


def test_standard_errors_are_right(sampled: QuantumBackend) -> None:
    """Deviations in units of the reported errors have the mean square that the counts' binomial
    distributions say, within five standard deviations; it is one unless a value is near 1."""
    backend = sampled
    spec, n_rows = LayerSpec(2), 300
    request = ask(backend, spec, n_rows)
    result, expected = backend.evaluate(request), expected_values(request, n_rows)
    squares = ((result.values - expected) / result.stderr) ** 2
    mean, variance = squared_deviations(expected.ravel(), backend.shots)
    # The two outputs of a row are correlated: their sum's variance is at most twice the variances'.
    assert abs(squares.sum() - mean.sum()) < 5 * np.sqrt(2 * variance.sum())
    assert abs(mean.mean() - 1) < 0.1


def squared_deviations(expected: Array, shots: int) -> tuple[Array, Array]:
    """Mean and variance, (N,), of a sampled value's squared deviation in units of its error."""
    ones = np.arange(shots + 1)
    values = 1 - 2 * ones / shots
    squares = (values - expected[:, None]) ** 2 / standard_error(1 - values**2, shots) ** 2
    weights = binom.pmf(ones, shots, np.clip((1 - expected[:, None]) / 2, 0, 1))
    mean = (weights * squares).sum(axis=1)
    return mean, (weights * squares**2).sum(axis=1) - mean**2


@pytest.mark.parametrize("shots", [1, 16])
def test_shots_that_all_agree_leave_an_error(sampled: QuantumBackend, shots: int) -> None:
    """Angles of zero leave every wire 0, so that noise alone can tell two shots apart."""
    compiled = sampled.compile(LayerSpec(2, "angle"))
    request = Request(compiled, np.zeros((20, len(compiled.parameters))), shots=shots, seed=0)
    result = sampled.evaluate(request)
    agree = np.abs(result.values) == 1
    assert agree.any()
    np.testing.assert_allclose(
        result.stderr[agree], np.sqrt(8 / ((shots + 2) * (shots + 3))), rtol=1e-9
    )


def test_seeds_repeat(backend: QuantumBackend) -> None:
    request = ask(backend, LayerSpec(2), seed=0)
    first, second = backend.evaluate(request), backend.evaluate(request)
    np.testing.assert_array_equal(first.values, second.values)
    if not backend.capabilities.exact:
        other = Request(request.compiled, request.parameters, shots=request.shots, seed=1)
        assert (backend.evaluate(other).values != first.values).any()


def test_a_job_lives_its_life(backend: QuantumBackend) -> None:
    job = backend.submit(ask(backend, LayerSpec(2)))
    result = job.result(timeout=60)
    assert job.status() is JobStatus.DONE
    assert result.job_ids == (job.id,)
    assert job.result() is result
    assert not job.cancel()
    assert job.usage() >= 0


def test_estimate_executes_nothing(backend: QuantumBackend) -> None:
    cost = backend.estimate(ask(backend, LayerSpec(2)))
    assert cost.rows == 3
    assert cost.shots == 3 * (backend.shots or 0)
    assert cost.basis


def test_derivatives_are_declared(backend: QuantumBackend) -> None:
    capabilities = backend.capabilities
    assert capabilities.vjp == isinstance(backend, DifferentiableBackend)
    assert capabilities.vjp == ("vjp" in capabilities.gradient_methods)
    assert {"parameter-shift", "spsa"} <= set(capabilities.gradient_methods)


def test_too_many_wires(backend: QuantumBackend) -> None:
    limit = backend.capabilities.max_wires
    with pytest.raises(errors.OptionError, match=str(limit)):
        backend.compile(LayerSpec(limit + 1, "angle"))


def test_a_row_that_is_not_finite_is_named(backend: QuantumBackend) -> None:
    request = ask(backend, LayerSpec(2))
    rows = request.parameters.copy()
    rows[1, 0] = np.nan
    with pytest.raises(errors.InputError, match="row 1"):
        Request(request.compiled, rows, shots=backend.shots)


def test_a_pickled_backend_gives_the_same(backend: QuantumBackend, case: Case) -> None:
    copied = pickle.loads(pickle.dumps(backend))
    request = ask(backend, LayerSpec(2))
    values, again = backend.evaluate(request).values, copied.evaluate(request).values
    if case.seeded:
        np.testing.assert_array_equal(values, again)
    else:
        expected = expected_values(request)
        stderr = np.sqrt(np.maximum(1 - expected**2, 0) / case.shots)
        assert (np.abs(again - values) <= 5 * np.sqrt(2) * stderr + MACHINE).all()


def test_zero_rows_are_never_executed(backend: QuantumBackend, monkeypatch) -> None:
    sent: list[int] = []
    submit = backend.submit
    monkeypatch.setattr(
        backend, "submit", lambda request: sent.append(len(request.parameters)) or submit(request)
    )
    spec = LayerSpec(2)
    network = LayerNetwork(spec, backend, gradient="parameter-shift", seed=0)
    rows = features(spec, 3, 0)
    rows[1] = 1e-13
    values = network.forward(rows, weights(spec, 0))
    of_features, of_weights = network.backward(rows, weights(spec, 0))
    assert (values[1] == 0).all()
    assert (of_features[1] == 0).all()
    assert (of_weights[1] == 0).all()
    assert (values[[0, 2]] != 0).any()
    assert sent == [2, len(network._plan(rows[[0, 2]], weights(spec, 0)).rows(network.compiled))]


def test_rows_are_prepared_one_by_one(backend: QuantumBackend) -> None:
    """Whatever stands beside a row of features, and at whatever scale."""
    compiled = backend.compile(LayerSpec(4))
    angles = weights(compiled.spec, 0)
    given = np.concatenate(list(structured_rows(4, 2).values())[:-1])
    rows = compiled.rows(given, angles)
    others = {
        "alone": np.concatenate([compiled.rows(row[None], angles) for row in given]),
        "scaled": compiled.rows(1.7 * given, angles),
        "in reverse": compiled.rows(given[::-1], angles)[::-1],
    }
    for name, other in others.items():
        moved = np.abs(np.exp(1j * other) - np.exp(1j * rows))
        np.testing.assert_allclose(moved, 0, atol=MACHINE, err_msg=name)
    if backend.capabilities.exact:
        together = backend.evaluate(Request(compiled, rows)).values
        alone = [backend.evaluate(Request(compiled, row[None])).values for row in rows[::5]]
        np.testing.assert_allclose(np.concatenate(alone), together[::5], atol=MACHINE, rtol=0)
