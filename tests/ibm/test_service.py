"""The service through the unmodified client: what it shows, and errors that a user can act on."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from qbackend import LayerSpec, errors
from qbackend.base import CompiledLayer
from qbackend.device_form import compile_for_target
from qbackend.ibm.cost import estimate
from qbackend.ibm.credentials import find_credentials
from qbackend.ibm.options import ExecutionOptions
from qbackend.ibm.primitives import decode
from qbackend.ibm.remote import Call, Workload
from qbackend.ibm.service import RuntimeService, connect
from qbackend.jobs import JobStatus
from tests.cases import features, weights
from tests.loopback import (
    FAILED,
    PAID_PLAN,
    RAN_TOO_LONG,
    Cut,
    Empty,
    Fault,
    Instance,
    LoopbackServer,
    Machine,
    MachineStatus,
    Page,
    Plan,
    Reset,
    State,
    Status,
    instant_retries,
)
from tests.loopback.client import served

NAME = "ibm_loopback"
SHOTS = 1024
SPEC = LayerSpec(2)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    machine = Machine.load(NAME, n_qubits=5, noisy=False)
    with served([machine]) as running, instant_retries():
        yield running


@cache
def layer() -> CompiledLayer:
    target = Machine.load(NAME, n_qubits=5, noisy=False).target
    return compile_for_target(SPEC, target, device=NAME)


def call(options: ExecutionOptions | None = None, n_rows: int = 4) -> Call:
    chosen = options or ExecutionOptions()
    parameters = layer().rows(features(SPEC, n_rows, 0), weights(SPEC, 0))
    return Call(layer(), parameters, SHOTS, None, chosen, calibration=chosen.calibrates)


def ended(service: RuntimeService, job_id: str) -> None:
    until = time.monotonic() + 60
    while not service.state(job_id).status.is_final:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_account_is_shown(server: LoopbackServer) -> None:
    server.instance.consumed = 100
    service = connect()
    assert not service.is_local
    assert service.instance == server.instance.crn
    (machine,) = service.machines()
    assert (machine.name, machine.n_qubits, machine.two_qubit_gate) == (NAME, 5, "cz")
    assert (machine.pending_jobs, machine.operational, machine.status) == (0, True, "active")
    plan = service.plan()
    assert (plan.name, plan.has_sessions, plan.seconds_left) == ("open", False, 500.0)
    device = service.device(NAME)
    assert (device.source, device.target.num_qubits) == ("live", 5)
    assert device.calibrated_at is not None


def test_a_paused_machine_is_shown_as_such(server: LoopbackServer) -> None:
    server.machines[NAME].status = MachineStatus.PAUSED
    (machine,) = connect().machines()
    assert (machine.operational, machine.status) == (False, "paused")


@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(),
        ExecutionOptions(generation="client"),
        ExecutionOptions("estimator"),
        ExecutionOptions("estimator", "client"),
        ExecutionOptions("estimator", precision=1 / 32),
        ExecutionOptions(readout_mitigation="m3"),
        ExecutionOptions(
            generation="client",
            readout_mitigation="tensored",
            gate_twirling=True,
            measurement_twirling=True,
            dynamical_decoupling="XY4",
        ),
        ExecutionOptions("estimator", "client", readout_mitigation="trex"),
        ExecutionOptions("estimator", "client", zne=(1, 3)),
    ],
    ids=lambda o: f"{o.primitive}-{o.generation}-{o.readout_mitigation}-{len(o.zne)}",
)
@pytest.mark.parametrize("batch", [False, True], ids=["job", "batch"])
def test_the_service_receives_what_was_planned(
    server: LoopbackServer, options: ExecutionOptions, batch: bool
) -> None:
    if options.readout_mitigation == "m3":
        pytest.importorskip("mthree")
    service, asked = connect(), call(options)
    planned = estimate(layer(), 4, SHOTS, options, plan=service.plan())
    workload: Workload | None = None
    if batch:
        workload = service.open_workload(NAME, session=False, max_seconds=None)
    job_id = service.start(NAME, asked, "mine", workload)
    if workload is not None:
        workload.close()
    ended(service, job_id)
    values, stderr = decode(service.fetch(job_id), asked)
    np.testing.assert_array_less(np.abs(values - ideal(asked)), 5 * stderr + 1e-9)
    (job,) = server.jobs
    assert (job.id, job.tags, len(server.sessions)) == (job_id, ["mine"], int(batch))
    assert (job.pubs, job.executions) == (planned.pubs, planned.executions)
    assert service.usage(job_id) == pytest.approx(planned.qpu_seconds)
    assert not server.key_exposed


def ideal(asked: Call) -> np.ndarray:
    """Exact values (N, M)."""
    spec = asked.compiled.spec
    from qbackend import get_backend
    from qbackend.base import Request

    aer = get_backend("aer")
    compiled = aer.compile(spec)
    rows = compiled.rows(features(spec, len(asked.parameters), 0), weights(spec, 0))
    return aer.evaluate(Request(compiled, rows)).values


def test_options_arrive(server: LoopbackServer) -> None:
    options = ExecutionOptions(
        dynamical_decoupling="XpXm", gate_twirling=True, max_execution_time=120
    )
    connect().start(NAME, call(options), "mine", None)
    (job,) = server.jobs
    sent = job.program.options
    assert sent["dynamical_decoupling"]["sequence_type"] == "XpXm"
    assert sent["twirling"]["enable_gates"] is True
    assert sent["twirling"]["enable_measure"] is False
    assert job.max_seconds == 120


def test_jobs_are_found_by_their_tag_oldest_first_without_the_cancelled(
    server: LoopbackServer,
) -> None:
    service = connect()
    server.workload.hold(State.QUEUED)
    jobs = [service.start(NAME, call(), tag, None) for tag in ("a", "b", "b", "b")]
    service.cancel(jobs[2])
    assert connect().find("b") == [jobs[1], jobs[3]]
    assert service.state(jobs[1]).status is JobStatus.SUBMITTED
    assert service.state(jobs[2]).status is JobStatus.CANCELLED
    service.cancel(jobs[2])
    with pytest.raises(errors.JobCancelledError):
        service.fetch(jobs[2])


def test_a_new_connection_goes_on_with_a_batch(server: LoopbackServer) -> None:
    service = connect()
    workload = service.open_workload(NAME, session=False, max_seconds=None)
    server.identity.refuse_issued_tokens()
    with pytest.raises(errors.TokenRefusedError):
        service.start(NAME, call(), "mine", workload)
    later = service.reconnect()
    later.start(NAME, call(), "mine", workload)
    (job,) = server.jobs
    assert job.session_id == workload.id
    workload.close()
    assert not server.sessions[0].accepting


def test_closing_a_batch_never_raises(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    workload = connect().open_workload(NAME, session=False, max_seconds=None)
    server.faults.add(Fault("PATCH", "/sessions/{id}", Reset(), count=None))
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        workload.close()
    assert "could not be closed" in caplog.text


def test_usage_is_none_until_it_is_settled() -> None:
    machine = Machine.load(NAME, n_qubits=5, noisy=False)
    with served([machine], usage_seconds=0.5) as server:
        service = connect()
        job_id = service.start(NAME, call(), "mine", None)
        server.wait_for(State.COMPLETED)
        assert service.usage(job_id) is None
        server.wait(lambda: service.usage(job_id) is not None)


@pytest.mark.parametrize(
    ("ending", "words"), [(FAILED, "9701.*internal error"), (RAN_TOO_LONG, "longer than")]
)
def test_a_job_that_fails_says_why(server: LoopbackServer, ending, words: str) -> None:
    service = connect()
    server.workload.hold(State.QUEUED)
    job_id = service.start(NAME, call(), "mine", None)
    server.workload.end(server.jobs[0], ending)
    state = service.state(job_id)
    assert state.status is JobStatus.FAILED
    with pytest.raises(errors.JobFailedError, match=words) as caught:
        service.fetch(job_id)
    assert caught.value.job_id == job_id


def test_without_credentials() -> None:
    with pytest.raises(errors.CredentialsError, match=r"credentials\.example\.toml.*fake_brisbane"):
        connect()


def test_a_bad_token_is_told_from_a_dead_network(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "wrong-key")
    with pytest.raises(errors.CredentialsError, match="does not know the token") as caught:
        connect()
    assert "wrong-key" not in str(caught.value)
    assert "QISKIT_IBM_TOKEN" in str(caught.value)


@pytest.mark.parametrize("effect", [Reset(), Status(503)])
def test_a_dead_identity_service_does_not_blame_the_token(server: LoopbackServer, effect) -> None:
    server.faults.add(Fault("POST", "/identity/token", effect, count=None))
    with pytest.raises(errors.TransientError, match="was not judged"):
        connect()


def test_a_server_that_is_not_there(server: LoopbackServer) -> None:
    with (
        mock.patch.dict(os.environ, IAM_URL="http://127.0.0.1:9"),
        pytest.raises(errors.TransientError, match="cannot be reached"),
    ):
        connect()


def test_an_unknown_instance_lists_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    instances = [Instance("first"), Instance("second", PAID_PLAN)]
    with served(instances=instances) as server:
        for wrong in ("frist", "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"):
            monkeypatch.setenv("QISKIT_IBM_INSTANCE", wrong)
            with pytest.raises(errors.CredentialsError, match="first"):
                connect()
        monkeypatch.setenv("QISKIT_IBM_INSTANCE", "second")
        service = connect()
        assert service.instance == server.workload.instances[instances[1].crn].crn
        assert service.plan().has_sessions


def test_without_an_instance_the_first_that_has_the_machine_is_taken(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    service = connect()
    job_id = service.start(NAME, call(), "mine", None)
    assert service.instance == server.instance.crn
    assert service.find("mine") == [job_id]


def test_a_file_reaches_the_address_of_the_environment(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text(
        f'[profiles.mine]\ntoken = "{os.environ["QISKIT_IBM_TOKEN"]}"\n'
        f'instance = "{server.instance.name}"\n'
    )
    file.chmod(0o600)
    monkeypatch.delenv("QISKIT_IBM_TOKEN")
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    assert connect(find_credentials(file)).instance == server.instance.crn


def test_a_saved_account_is_the_last_resort(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = server.environment
    saved = {
        "work": {
            "channel": "ibm_quantum_platform",
            "token": environment["QISKIT_IBM_TOKEN"],
            "url": environment["QISKIT_IBM_URL"],
            "instance": environment["QISKIT_IBM_INSTANCE"],
            "verify": True,
            "private_endpoint": False,
        }
    }
    for name in ("TOKEN", "URL", "INSTANCE"):
        monkeypatch.delenv(f"QISKIT_IBM_{name}")
    monkeypatch.setattr("qiskit_ibm_runtime.QiskitRuntimeService.saved_accounts", lambda: saved)
    monkeypatch.setattr(
        "qiskit_ibm_runtime.accounts.management.read_config",
        lambda filename, name=None: saved[name],
    )
    assert connect().instance == server.instance.crn


def test_an_unknown_machine_names_those_that_there_are(server: LoopbackServer) -> None:
    service = connect()
    with pytest.raises(
        errors.MachineError, match=f"no machine 'ibm_brisbane'.*it has {NAME}.*fake_brisbane"
    ):
        service.device("ibm_brisbane")
    with pytest.raises(errors.MachineError) as caught:
        service.device("ibm_nowhere")
    assert "fake_" not in str(caught.value)


def test_a_machine_that_is_retired_after_it_was_looked_at(server: LoopbackServer) -> None:
    service = connect()
    service.device(NAME)
    server.machines["ibm_other"] = Machine.load("ibm_other", n_qubits=4, noisy=False)
    server.machines[NAME].status = MachineStatus.RETIRED
    with pytest.raises(errors.MachineError, match="it has ibm_other"):
        service.start(NAME, call(), "mine", None)
    assert not server.jobs


@pytest.mark.parametrize("effect", [Status(503), Reset(), Page(), Empty()])
@pytest.mark.parametrize("route", ["/backends", "/backends/{name}/configuration"])
def test_a_dead_network_does_not_retire_a_machine(
    server: LoopbackServer, effect, route: str
) -> None:
    service = connect()
    server.faults.add(Fault("GET", route, effect, count=None))
    with pytest.raises(errors.TransientError):
        service.device(NAME)


def test_a_refused_token_does_not_retire_a_machine(server: LoopbackServer) -> None:
    service = connect()
    server.identity.refuse_issued_tokens()
    with pytest.raises(errors.TokenRefusedError):
        service.device(NAME)
    assert service.reconnect().device(NAME).name == NAME


def test_the_raw_key_is_never_sent() -> None:
    machine = Machine.load(NAME, n_qubits=5, noisy=False)
    with served([machine], token_seconds=11.0) as server:
        service = connect()
        server.faults.add(Fault("POST", "/identity/token", Status(503), count=None))
        refused = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            until = time.monotonic() + 30
            while not refused and time.monotonic() < until:
                try:
                    service.plan()
                    time.sleep(0.1)
                except errors.TokenRefusedError as error:
                    refused.append(error)
        assert "did not renew" in str(refused[0])
        assert not server.key_exposed


def test_sessions_need_a_plan_that_has_them(server: LoopbackServer) -> None:
    with pytest.raises(errors.PlanError, match="--session"):
        connect().open_workload(NAME, session=True, max_seconds=None)
    assert not server.sessions


def test_a_session_on_a_plan_that_has_them() -> None:
    machine = Machine.load(NAME, n_qubits=5, noisy=False)
    with served([machine], [Instance("paid", PAID_PLAN)]) as server:
        service = connect()
        assert service.plan().seconds_left is None
        workload = service.open_workload(NAME, session=True, max_seconds=600)
        service.start(NAME, call(), "mine", workload)
        workload.close()
        assert [s.mode for s in server.sessions] == ["dedicated"]


def test_a_plan_that_is_used_up() -> None:
    instance = Instance(consumed=600.0)
    with served([Machine.load(NAME, n_qubits=5, noisy=False)], [instance]):
        service = connect()
        assert service.plan().seconds_left == 0
        with pytest.raises(errors.PlanError, match="used up"):
            service.start(NAME, call(), "mine", None)


@pytest.mark.parametrize("retry_after", [None, 7.0])
def test_too_many_submissions_may_be_tried_later(retry_after: float | None) -> None:
    plan = Plan(posts_per_minute=1, retry_after=retry_after)
    with served([Machine.load(NAME, n_qubits=5, noisy=False)], [Instance(plan=plan)]):
        service = connect()
        service.start(NAME, call(), "mine", None)
        with pytest.raises(errors.TransientError) as caught:
            service.start(NAME, call(), "mine", None)
        assert (caught.value.status_code, caught.value.retry_after) == (429, retry_after)


def test_too_many_pending_jobs_may_be_tried_later() -> None:
    plan = Plan(pending_jobs=1)
    with served([Machine.load(NAME, n_qubits=5, noisy=False)], [Instance(plan=plan)]) as server:
        server.workload.hold(State.QUEUED)
        service = connect()
        service.start(NAME, call(), "mine", None)
        with pytest.raises(errors.TransientError, match="3458"):
            service.start(NAME, call(), "mine", None)


@pytest.mark.parametrize("generation", ["server", "client"])
@pytest.mark.parametrize("effect", [Page(), Empty(), Reset(), Cut(), Cut(announced=True)])
def test_a_damaged_result_is_worth_another_try(server: LoopbackServer, effect, generation) -> None:
    service, asked = connect(), call(ExecutionOptions(generation=generation))
    job_id = service.start(NAME, asked, "mine", None)
    server.wait_for(State.COMPLETED)
    fault = server.faults.add(Fault("GET", "/jobs/{id}/results", effect, count=None))
    with pytest.raises(errors.TransientError):
        service.fetch(job_id)
    server.faults.remove(fault)
    decode(service.fetch(job_id), asked)


def test_a_job_of_another_account_is_not_found(server: LoopbackServer) -> None:
    with pytest.raises(errors.BackendError, match="no job d0000"):
        connect().state("d0000")
