"""Copies side by side on a machine: values, plan, jobs, ledger, derivatives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.circuits.device_form import drop_idle_qubits
from qbackend.devices.noise import add_noise
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.properties import read_properties
from qbackend.devices.snapshots import load_snapshot
from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.machines.ledger.identity import content_key, layer_key
from qbackend.machines.ledger.layers import from_text, to_text
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.side_by_side import side_by_side
from tests.loopback import Machine
from tests.loopback.client import served
from tests.loopback.retries import instant_retries
from tests.support.any_circuit import FEATURES, WEIGHTS, exact, own_layer
from tests.support.cases import features, weights

from .fakes import FakeService, backend_of
from .machine_room import loopback_backend

SHOTS = 1024
FAKE = "fake_fez"
ALL = NoiseSpec()
PUBLISHED = LayerSpec(4, encoding="amplitude", ansatz="basic_entangler", n_layers=2)
WIDE = {"border": 0, "fidelity_within": 0.5}
OPTIONS: list[dict[str, Any]] = [
    *(
        {"primitive": primitive, "generation": generation}
        for primitive in ("sampler", "estimator")
        for generation in ("server", "client")
    ),
    {"readout_mitigation": "tensored"},
    {"readout_mitigation": "m3"},
]


@cache
def room() -> Machine:
    """For three copies of three wires."""
    return Machine.load(n_qubits=12, noisy=False)


def request(backend: MachineBackend, n_repeats: int = 1, shots: int = SHOTS) -> Request:
    compiled = backend.compile(own_layer())
    rows = compiled.rows(np.tile(FEATURES, (n_repeats, 1)), WEIGHTS)
    return Request(compiled, rows, shots=shots, seed=3)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_copies_give_the_circuits_values_as_planned(options: dict[str, Any]) -> None:
    """Seven rows on two or three copies, the last ones not all in use."""
    with served([room()]) as server, instant_retries():
        backend = loopback_backend(**WIDE, **options)
        compiled = backend.compile(own_layer())
        rows = compiled.rows(np.tile(FEATURES, (3, 1))[:7], WEIGHTS)
        asked = Request(compiled, rows, shots=SHOTS, seed=3)
        plan = backend.estimate(asked)
        result = backend.evaluate(asked)
        (job,) = server.jobs
    n_copies = len(compiled.copies)
    assert n_copies >= 2
    expected = np.tile(exact(own_layer()), (3, 1))[:7]
    assert (np.abs(result.values - expected) <= 5 * result.stderr + 1e-12).all()
    np.testing.assert_array_equal(result.copies, np.arange(7) % n_copies)
    calibrating = 2 if "readout_mitigation" in options else 0
    assert plan.circuits == job.executed == -(-7 // n_copies) * 3 + calibrating
    assert (plan.rows, plan.copies, plan.jobs) == (7, n_copies, 1)
    assert (plan.pubs, plan.executions) == (job.pubs, job.executions)
    assert plan.qpu_seconds == pytest.approx(job.charged)


@pytest.mark.parametrize("mode", ["job", "batch"])
def test_rows_in_several_jobs_come_back_in_their_order(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qbackend.ibm.limits.EXECUTIONS_PER_SAMPLER_JOB", 2 * 3 * SHOTS)
    with served([room()]) as server, instant_retries():
        backend = loopback_backend(**WIDE, mode=mode, copies=2)
        asked = request(backend, 5)
        plan = backend.estimate(asked)
        result = backend.evaluate(asked)
        assert plan.jobs == len(server.jobs) == 4
    expected = np.tile(exact(own_layer()), (5, 1))
    assert (np.abs(result.values - expected) <= 5 * result.stderr + 1e-12).all()


def test_a_later_process_goes_on_with_the_same_copies(path: Path) -> None:
    with served([room()]) as server, instant_retries():
        first = loopback_backend(path, **WIDE)
        values = first.evaluate(request(first, 2)).values
        first.close()
        later = loopback_backend(path, **WIDE)
        np.testing.assert_array_equal(later.evaluate(request(later, 2)).values, values)
        assert len(server.jobs) == 1


def test_copies_come_back_from_text() -> None:
    """Their circuits, qubits and readouts, and what they are known by."""
    compiled = get_backend("fake_brisbane", shots=SHOTS).compile(own_layer())
    back = from_text(to_text(compiled))
    assert len(back.copies) == len(compiled.copies) > 2
    for one, other in zip(compiled.copies, back.copies, strict=True):
        assert one.circuit == other.circuit
        assert one.observables == other.observables
        assert one.readouts == other.readouts
        for key in ("physical_qubits", "gate_fidelity", "readout_fidelity"):
            assert one.record[key] == other.record[key]
    keys = [
        content_key(side_by_side(each), FAKE, SHOTS, 1, ExecutionOptions())
        for each in (compiled, back)
    ]
    assert keys[0] == keys[1]


def test_ledgers_from_before_copies_know_their_layers() -> None:
    """A layer that stands alone in a ledger goes on to: its jobs are not paid for once more."""
    spec = LayerSpec(2)
    content = {"spec": spec.to_dict(), "machine": "ibm_fake", "encoder": "auto"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert layer_key(spec, "ibm_fake", "auto", ExecutionOptions()) == digest
    assert layer_key(spec, "ibm_fake", "auto", ExecutionOptions(copies=2)) != digest
    service = FakeService()
    before = backend_of(service, copies=1, border=0)
    alone = before.compile(spec)
    later = backend_of(service)
    later.ledger.keep_layer(digest, "ibm_fake", to_text(alone))
    assert later.compile(spec).copies == ()


def test_options_of_copies_are_none_of_a_results_meaning() -> None:
    """They are in what was compiled: a result's identity has its circuit."""
    assert ExecutionOptions(copies=7, border=0).physical() == ExecutionOptions().physical()


EIGHT = ExecutionOptions(copies=8)


@cache
def on_fez() -> CompiledLayer:
    return get_backend(FAKE, shots=SHOTS, machine=EIGHT).compile(PUBLISHED)


def under_own_noise(copy: CompiledLayer, rows: Array, noise: NoiseSpec = ALL) -> Array:
    """Exact values (N, M) of one copy under the noise of its own qubits."""
    device, small = load_snapshot(FAKE), drop_idle_qubits(copy)
    properties = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=small.record["physical_qubits"],
    )
    noisy = add_noise(small, properties, noise)
    return get_backend(f"native:{FAKE}").evaluate(Request(noisy, rows)).values


@pytest.mark.slow
@pytest.mark.parametrize("mitigation", ["none", "tensored"])
def test_every_copys_outputs_are_those_of_its_own_noise(mitigation: str) -> None:
    """Within five standard errors each, and their mean deviation within five of the mean's."""
    compiled = on_fez()
    n_copies = len(compiled.copies)
    rows = compiled.rows(features(PUBLISHED, 3 * n_copies, 0), weights(PUBLISHED, 0))
    options = replace(EIGHT, readout_mitigation=mitigation)
    backend = get_backend(FAKE, shots=4096, seed=1, machine=options)
    backend.compile(PUBLISHED)
    result = backend.evaluate(Request(compiled, rows, shots=4096, seed=1))
    assert result.copies is not None
    noise = ALL if mitigation == "none" else NoiseSpec(readout=0)
    for index, copy in enumerate(compiled.copies):
        mine = result.copies == index
        assert mine.sum() == 3
        expected = under_own_noise(copy, rows[mine], noise)
        off = (result.values[mine] - expected) / result.stderr[mine]
        assert np.abs(off).max() < 5
        assert abs(off.mean()) < 5 / np.sqrt(len(off))


@pytest.mark.slow
def test_gradients_are_differences_on_one_copy() -> None:
    """What sets one copy's errors apart from another's is in both values, and goes away."""
    backend = get_backend(FAKE, shots=SHOTS, seed=2, machine=EIGHT)
    layer = QuantumLayer(PUBLISHED, backend, seed=4)
    asked: list[Request] = []
    evaluate = backend.evaluate

    def kept(request: Request) -> Any:
        asked.append(request)
        return evaluate(request)

    backend.evaluate = kept  # type: ignore[method-assign]
    images = torch.tensor(features(PUBLISHED, 16, 0))
    layer(images).sum().backward()
    weights_now = layer.weight.detach().double().numpy()
    (shifted,) = [request for request in asked if request.derivatives]
    result = evaluate(shifted)
    pairs = result.copies.reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(set(pairs[:, 0])) == len(on_fez().copies)
    expected = np.zeros(len(weights_now))
    variance = np.zeros(len(weights_now))
    for index, copy in enumerate(on_fez().copies):
        mine = result.copies == index
        values = under_own_noise(copy, shifted.parameters[mine])
        turned = np.flatnonzero(mine)[::2] // 2 % len(weights_now)
        np.add.at(expected, turned, (values[::2] - values[1::2]).sum(axis=1) / 2)
        errors = (result.stderr[mine] ** 2).sum(axis=1)
        # Outputs of one row share their shots, and may vary together.
        spread = result.stderr.shape[1] * (errors[::2] + errors[1::2]) / 4
        np.add.at(variance, turned, spread)
    found = layer.weight.grad.double().numpy()
    assert (np.abs(found - expected) < 5 * np.sqrt(variance)).all()


def test_a_training_step_takes_eight_seconds() -> None:
    """Sixteen images and eight weights by parameter shift at 1,024 shots: 97 s on one copy."""
    seconds = []
    for options in (ExecutionOptions(), ExecutionOptions(copies=1)):
        backend = get_backend(FAKE, shots=SHOTS, machine=options)
        compiled = backend.compile(PUBLISHED)
        rows = np.zeros((16 * 17, len(compiled.parameters)))
        step = Request(compiled, rows, shots=SHOTS, derivatives=16 * 16)
        cost = backend.estimate(step)
        assert (cost.rows, cost.jobs, cost.derivatives) == (272, 1, 256)
        seconds.append(cost.machine_seconds)
    assert seconds[0] <= 8
    assert seconds[1] == pytest.approx(2 + 0.00035 * 272 * SHOTS)


def test_what_a_request_is_for_does_not_depend_on_copies(path: Path) -> None:
    """Rows that every copy takes are one each: a lost ledger's jobs are known by that."""
    whats = []
    for copies in (2, 3):
        service = FakeService()
        service.target = room().target
        backend = backend_of(service, run_tag="run", **{**WIDE, "copies": copies})
        compiled = backend.compile(own_layer())
        each_copy = np.repeat(FEATURES[:1], copies, axis=0)
        rows = compiled.rows(np.concatenate([FEATURES, each_copy]), WEIGHTS)
        backend.evaluate(Request(compiled, rows, shots=64, seed=3, distinct=4))
        (job,) = service.jobs
        whats.append(job.call.tags[1].split("-")[2])
    assert whats[0] == whats[1]


def test_every_job_says_how_many_rows_it_answers(path: Path) -> None:
    """In wide rows, as the ledger has them."""
    with served([room()]), instant_retries():
        backend = loopback_backend(path, **WIDE, copies=2)
        backend.evaluate(request(backend, 3))
    (entry,) = Ledger(path).entries()
    assert entry.n_rows == 5
