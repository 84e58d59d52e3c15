"""The service through the unmodified client: what it shows and what it executes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from qbackend import errors, get_backend
from qbackend.ibm.credentials import find_credentials
from qbackend.ibm.results import decode
from qbackend.ibm.service import RuntimeService, connect
from qbackend.ibm.vendor import IBM
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call, Workload
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import Request
from tests.loopback import (
    FAILED,
    PAID_PLAN,
    RAN_TOO_LONG,
    Instance,
    LoopbackServer,
    MachineStatus,
    State,
)
from tests.loopback.client import served
from tests.support.cases import features, weights

from .calls import NAME, SHOTS, SPEC, call, layer, small_machine


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
        ExecutionOptions(rep_delay=0.0001),
        ExecutionOptions(generation="client", rep_delay=0.0),
        ExecutionOptions("estimator", rep_delay=0.0005),
        ExecutionOptions("estimator", "client", rep_delay=0.0001),
    ],
    ids=lambda o: f"{o.primitive}-{o.generation}-{o.readout_mitigation}-{len(o.zne)}-{o.rep_delay}",
)
@pytest.mark.parametrize("batch", [False, True], ids=["job", "batch"])
def test_the_service_receives_what_was_planned(
    server: LoopbackServer, options: ExecutionOptions, batch: bool
) -> None:
    service, asked = connect(), call(options)
    planned = IBM.estimate(layer(), 4, SHOTS, options, plan=service.plan())
    workload: Workload | None = None
    if batch:
        workload = service.open_workload(NAME, session=False)
    job_id = service.start(NAME, asked, "mine", workload)
    if workload is not None:
        service.close_workload(workload.id, session=False)
    ended(service, job_id)
    values, stderr = decode(service.fetch(job_id), asked)
    np.testing.assert_array_less(np.abs(values - ideal(asked)), 5 * stderr + 1e-9)
    (job,) = server.jobs
    assert (job.id, job.tags, len(server.sessions)) == (job_id, ["mine"], int(batch))
    assert (job.pubs, job.executions) == (planned.pubs, planned.executions)
    assert service.usage(job_id) == pytest.approx(planned.qpu_seconds)
    assert job.program.rep_delay == options.rep_delay
    assert not server.key_exposed


def ideal(asked: Call) -> np.ndarray:
    """Exact values (N, M)."""
    aer = get_backend("aer")
    compiled = aer.compile(SPEC)
    rows = compiled.rows(features(SPEC, len(asked.parameters), 0), weights(SPEC, 0))
    return aer.evaluate(Request(compiled, rows)).values


def test_options_arrive(server: LoopbackServer) -> None:
    options = ExecutionOptions(
        dynamical_decoupling="XpXm", gate_twirling=True, max_execution_time=120, rep_delay=0.0001
    )
    connect().start(NAME, call(options), "mine", None)
    (job,) = server.jobs
    assert job.program.rep_delay == 0.0001
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


def test_a_job_with_a_result_is_not_taken_for_cancelled(server: LoopbackServer) -> None:
    service = connect()
    job = service.start(NAME, call(), "a", None)
    server.wait(lambda: service.state(job).status is JobStatus.DONE)
    with pytest.raises(errors.BackendError, match="had ended before it could be cancelled"):
        service.cancel(job)


def test_a_queued_job_tells_its_place_and_a_paused_machine(server: LoopbackServer) -> None:
    service, machine = connect(), server.machines[NAME]
    server.workload.hold(State.QUEUED)
    machine.others_waiting = 7
    job_id = service.start(NAME, call(), "mine", None)
    assert service.state(job_id).queue_position == 8
    machine.others_waiting = 9
    assert service.state(job_id).queue_position == 8
    machine.others_waiting = 2
    assert (service.state(job_id).queue_position, service.state(job_id).words) == (3, "queued")
    machine.status = MachineStatus.PAUSED
    assert service.state(job_id).words == "queued, and the machine is paused"


def test_a_new_connection_goes_on_with_a_batch(server: LoopbackServer) -> None:
    service = connect()
    workload = service.open_workload(NAME, session=False)
    server.identity.refuse_issued_tokens()
    with pytest.raises(errors.TokenRefusedError):
        service.start(NAME, call(), "mine", workload)
    later = service.reconnect()
    later.start(NAME, call(), "mine", workload)
    (job,) = server.jobs
    assert job.session_id == workload.id
    later.close_workload(workload.id, session=False)
    assert not server.sessions[0].accepting


def test_usage_is_none_until_it_is_settled() -> None:
    with served([small_machine()], usage_seconds=0.5) as server:
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


def test_without_an_instance_the_first_that_has_the_machine_is_taken(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    service = connect()
    job_id = service.start(NAME, call(), "mine", None)
    assert service.instance == server.instance.crn
    assert service.find("mine") == [job_id]


def test_of_several_instances_one_pays_and_all_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paid, free = Instance("paid", PAID_PLAN), Instance("free")
    with served([small_machine()], [paid, free]) as server:
        monkeypatch.delenv("QISKIT_IBM_INSTANCE")
        service = connect()
        job_id = service.start(NAME, call(), "mine", None)
        assert service.instance == server.jobs[0].instance == free.crn
        assert service.plan().name == "open"

        later = connect()
        assert later.find("mine") == [job_id]
        later.start(NAME, call(), "mine", None)
        assert len(later.find("mine")) == 2
        assert later.reconnect().instance == server.jobs[1].instance == free.crn


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


def test_a_session_on_a_plan_that_has_them() -> None:
    with served([small_machine()], [Instance("paid", PAID_PLAN)]) as server:
        service = connect()
        assert service.plan().seconds_left is None
        workload = service.open_workload(NAME, session=True)
        service.start(NAME, call(), "mine", workload)
        service.close_workload(workload.id, session=True)
        assert not server.sessions[0].accepting
        server.wait_for(State.COMPLETED)
        assert service.session_seconds(workload.id) >= 0
        assert [s.mode for s in server.sessions] == ["dedicated"]
