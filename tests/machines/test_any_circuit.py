"""A circuit of the user's own on the loopback service: values, plan, jobs, ledger, derivatives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.quantum_info import SparsePauliOp

from qbackend import QuantumLayer
from qbackend.errors import ApprovalError, JobsPendingError
from qbackend.ibm import limits
from qbackend.machines.backend import MachineBackend
from qbackend.machines.ledger.ledger import Ledger
from qbackend.seam.requests import Request
from tests.loopback import LoopbackServer, State
from tests.support.any_circuit import BASES, FEATURES, MIXED, WEIGHTS, exact, own_layer

from .fakes import FakeService, backend_of
from .machine_room import loopback_backend
from .processes import ROOT

ROUNDING = 1e-12
SHOTS = 1024
PRIMITIVES: list[dict[str, Any]] = [
    {"primitive": primitive, "generation": generation}
    for primitive in ("sampler", "estimator")
    for generation in ("server", "client")
]

ASK_AGAIN = """
import json, sys
from pathlib import Path
from tests.machines.machine_room import loopback_backend
from tests.machines.test_any_circuit import request
backend = loopback_backend(Path(sys.argv[1]))
result = backend.evaluate(request(backend))
print(json.dumps([result.values.tolist(), result.job_ids]))
"""


def request(backend: MachineBackend, n_repeats: int = 1) -> Request:
    compiled = backend.compile(own_layer())
    rows = compiled.rows(np.tile(FEATURES, (n_repeats, 1)), WEIGHTS)
    return Request(compiled, rows, shots=SHOTS, seed=3)


@pytest.mark.parametrize(
    "options",
    [*PRIMITIVES, {"readout_mitigation": "tensored"}, {"readout_mitigation": "m3"}],
    ids=str,
)
def test_the_machine_gives_the_circuits_values_as_planned(
    server: LoopbackServer, options: dict[str, Any]
) -> None:
    backend = loopback_backend(**options)
    asked = request(backend)
    plan = backend.estimate(asked)
    result = backend.evaluate(asked)
    assert (np.abs(result.values - exact(own_layer())) <= 5 * result.stderr + ROUNDING).all()
    assert (result.stderr[:, [0, 1, 4]] > 0).all()
    (job,) = server.jobs
    calibrating = 2 if "readout_mitigation" in options else 0
    assert plan.circuits == job.executed == 3 * BASES + calibrating
    assert (plan.jobs, plan.pubs, plan.executions) == (1, job.pubs, job.executions)
    assert plan.qpu_seconds == pytest.approx(job.charged)


@pytest.mark.parametrize("options", PRIMITIVES, ids=str)
def test_constants_and_nothing_are_no_trouble(
    server: LoopbackServer, options: dict[str, Any]
) -> None:
    backend = loopback_backend(**options)
    compiled = backend.compile(own_layer(MIXED[2:4]))
    asked = Request(compiled, compiled.rows(FEATURES, WEIGHTS), shots=SHOTS)
    result = backend.evaluate(asked)
    assert (result.values == [-2.0, 0.0]).all()
    assert (result.stderr == 0).all()


def test_rows_are_divided_with_all_their_bases(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 2 * BASES * SHOTS)
    backend = loopback_backend()
    asked = request(backend, 2)
    assert backend.estimate(asked).jobs == 3
    result = backend.evaluate(asked)
    assert [job.executed for job in server.jobs] == [2 * BASES] * 3
    expected = np.tile(exact(own_layer()), (2, 1))
    assert (np.abs(result.values - expected) <= 5 * result.stderr + ROUNDING).all()


def test_another_process_finds_what_was_sent(server: LoopbackServer, path: Path) -> None:
    """For a layer that it makes anew."""
    server.workload.hold(State.QUEUED)
    backend = loopback_backend(path, wait=False)
    asked = request(backend)
    with pytest.raises(JobsPendingError):
        backend.submit(asked)
    server.workload.release()
    command = [sys.executable, "-c", ASK_AGAIN, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    values, job_ids = json.loads(found.stdout)
    (entry,) = Ledger(path).entries()
    assert job_ids == [entry.job_id] == [job.id for job in server.jobs]
    here = loopback_backend(path)
    np.testing.assert_array_equal(here.evaluate(request(here)).values, values)
    assert len(server.jobs) == 1


def test_other_observables_are_another_request(server: LoopbackServer, path: Path) -> None:
    for observables in (MIXED, MIXED[:2], (SparsePauliOp("XII"),), (SparsePauliOp("YII"),)):
        backend = loopback_backend(path)
        compiled = backend.compile(own_layer(observables))
        backend.evaluate(Request(compiled, compiled.rows(FEATURES, WEIGHTS), shots=SHOTS))
    assert len(server.jobs) == 4


def test_the_question_says_in_how_many_bases() -> None:
    backend = backend_of(FakeService(), approve=None)
    words = r"3 rows at 1024 shots in each of 3 bases in 1 job on .* 5\.2 s of QPU time"
    with pytest.raises(ApprovalError, match=words):
        backend.submit(request(backend))


def test_derivatives_come_from_the_machine(server: LoopbackServer) -> None:
    """Each is half the difference of two values for every angle, with the errors of these."""
    machine, pulled = loopback_backend(max_qpu_seconds=1000.0), []
    machine.shots = 16 * SHOTS
    for backend in ("aer", machine):
        layer = QuantumLayer(own_layer(MIXED[:2]), backend).double()
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(WEIGHTS))
        features = torch.tensor(FEATURES, requires_grad=True)
        layer(features).sum().backward()
        pulled.append((features.grad.numpy(), layer.weight.grad.numpy()))
    # Of values of sizes 3.1 and 1; with the first feature two angles move, by 1 and by -1.3, and
    # with no other input as much.
    error = (3.1 + 1.0) / np.sqrt(machine.shots) * np.sqrt((1 + 1.3**2) / 2)
    for exactly, found, n_rows in zip(*pulled, (1, len(FEATURES)), strict=True):
        most = 5 * error * np.sqrt(n_rows)
        assert (np.abs(found - exactly) < most).all()
        assert np.abs(exactly).max() > most
