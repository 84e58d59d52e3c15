"""An undisturbed client finds the service as IBM's is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import PrimitiveResult
from qiskit_ibm_runtime import Batch, IBMBackend, QiskitRuntimeService, SamplerV2
from qiskit_ibm_runtime.exceptions import (
    IBMInputValueError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobNotFound,
)
from qiskit_ibm_runtime.executor_sampler import Sampler

from .. import PAID_PLAN, Fault, Hang, Instance, LoopbackServer, State
from ..client import SHOTS, coin, connect, fetch, finished, served, submit, tiny
from ..jobs import new_id

pytestmark = pytest.mark.filterwarnings("ignore:The (Sampler|Estimator)V2 class is deprecated")


def test_the_service_shows_its_machines(service: QiskitRuntimeService) -> None:
    assert [each.name for each in service.backends()] == ["ibm_loopback"]
    backend = service.backend("ibm_loopback")
    assert backend.num_qubits == 4
    assert "cz" in backend.target.operation_names
    status = backend.status()
    assert (status.operational, status.status_msg, status.pending_jobs) == (True, "active", 0)


def test_instances_are_chosen_by_name_and_keep_their_jobs_apart() -> None:
    both = [Instance("first"), Instance("second", PAID_PLAN)]
    with served(instances=both) as server:
        second = QiskitRuntimeService(instance="second")
        assert second.active_instance() == both[1].crn
        assert [i["plan"] for i in second.instances()] == ["open", "pay-as-you-go"]
        job = finished(server, second.backend("ibm_loopback"))
        assert server.jobs[0].instance == both[1].crn
        with pytest.raises(RuntimeJobNotFound):
            QiskitRuntimeService().job(job.job_id())


@pytest.mark.parametrize(("sampler", "extra"), [(SamplerV2, 0), (Sampler, 1)])
def test_one_submission_is_three_requests_and_a_listing_for_the_client_side(
    server: LoopbackServer, backend: IBMBackend, sampler: type[SamplerV2 | Sampler], extra: int
) -> None:
    assert backend.target is not None  # asks for the properties, once
    before = len(server.requests)
    submit(backend, sampler=sampler, tag="mine")
    routes = [request.route for request in server.requests[before:]]
    assert routes == ["/backends"] * extra + [
        "/instances/usage",
        "/backends/{name}/status",
        "/jobs",
    ]
    assert server.jobs[0].tags == ["mine"]
    assert server.requests[-1].headers["authorization"] == "Bearer"
    assert not server.key_exposed


def test_jobs_are_found_by_tag_and_by_filters(server: LoopbackServer, backend: IBMBackend) -> None:
    jobs = [submit(backend, tag=tag) for tag in ("a", "b", "b")]
    server.wait_for(State.COMPLETED, n_jobs=3)
    service = QiskitRuntimeService()
    assert [j.job_id() for j in service.jobs(job_tags=["a"])] == [jobs[0].job_id()]
    newest_first = [j.job_id() for j in service.jobs(limit=None)]
    assert newest_first == [j.job_id() for j in reversed(jobs)]
    assert len(service.jobs(job_tags=["b"], limit=1)) == 1
    assert service.jobs(job_tags=["a", "b"]) == []
    assert service.jobs(pending=True) == []
    assert service.jobs(created_after=datetime.now(UTC) + timedelta(minutes=1)) == []
    jobs[0].update_tags(["renamed"])
    assert server.jobs[0].tags == ["renamed"]


def test_more_jobs_than_a_page_are_all_listed(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    submit(backend, tag="many")
    for _ in range(20):
        server.workload.submit(replace(server.jobs[0], id=new_id()))
    assert len(QiskitRuntimeService().jobs(job_tags=["many"], limit=None)) == 21


def test_another_service_object_reads_an_old_job(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    job = finished(server, backend)
    first = job.result()[0].data.c.get_counts()
    again = QiskitRuntimeService().job(job.job_id())
    assert again.result()[0].data.c.get_counts() == first
    assert server.deliveries(server.jobs[0]) == 2
    assert again.inputs["pubs"][0][0] == coin()


def test_a_deleted_job_is_not_shown_any_more(server: LoopbackServer, backend: IBMBackend) -> None:
    job = finished(server, backend)
    backend.service.delete_job(job.job_id())
    assert backend.service.jobs() == []
    with pytest.raises(RuntimeJobNotFound):
        backend.service.job(job.job_id())
    assert len(server.jobs) == 1


def test_usage_is_charged_by_ibms_formula(server: LoopbackServer, backend: IBMBackend) -> None:
    job = finished(server, backend)
    seconds = 2 + 0.00035 * SHOTS
    assert job.usage_estimation["quantum_seconds"] == pytest.approx(seconds)
    assert job.usage() == pytest.approx(seconds)
    usage = backend.service.usage()
    assert usage["usage_consumed_seconds"] == pytest.approx(seconds)
    assert usage["usage_remaining_seconds"] == pytest.approx(600 - seconds)


def test_usage_is_pending_for_a_while() -> None:
    with served(usage_seconds=0.3) as server:
        job = finished(server, connect())
        assert (job.usage(), job.metrics()["usage"]["status"]) == (0, "pending")
        server.wait(lambda: job.usage() > 0)
        assert job.metrics()["timestamps"]["finished"] is not None


def test_a_job_lives_as_long_as_it_is_held(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    assert (job.status(), backend.status().pending_jobs) == ("QUEUED", 1)
    server.workload.release()
    server.workload.hold(State.RUNNING)
    server.wait_for(State.RUNNING)
    assert (job.status(), backend.status().pending_jobs) == ("RUNNING", 0)
    server.workload.release()
    assert fetch(job)[0].data.c.num_shots == SHOTS


def test_queue_and_run_last_as_long_as_the_machine_says() -> None:
    machine = tiny()
    machine.queue_seconds, machine.run_seconds, machine.others_waiting = 0.2, 0.3, 7
    with served([machine]) as server:
        backend = connect()
        assert backend.status().pending_jobs == 7
        finished(server, backend)
        job = server.jobs[0]
        assert job.started is not None
        assert job.finished is not None
        assert (job.started - job.created).total_seconds() > 0.19
        assert (job.finished - job.started).total_seconds() > 0.29


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
def test_a_batch_runs_its_jobs_and_closes(
    server: LoopbackServer, backend: IBMBackend, sampler: type[SamplerV2 | Sampler]
) -> None:
    with Batch(backend=backend) as batch:
        jobs = [submit(batch, sampler=sampler) for _ in range(3)]
    assert all(isinstance(fetch(job), PrimitiveResult) for job in jobs)
    (session,) = server.sessions
    assert (session.mode, session.accepting) == ("batch", False)
    assert [job.session_id for job in server.jobs] == [session.id] * 3
    assert batch.status() == "Closed"


def test_a_job_is_cancelled(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    job.cancel()
    assert server.cancelled() == [job.job_id()]
    assert server.jobs[0].state is State.CANCELLED
    with pytest.raises(RuntimeInvalidStateError):
        fetch(job)
    assert server.instance.consumed == 0


def test_what_is_not_executable_fails_at_the_server(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    """The client-side classes do not check; the V2 ones refuse before anything is sent."""
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(IBMInputValueError):
        SamplerV2(mode=backend).run([(circuit,)])
    assert server.jobs == []
    job = Sampler(mode=backend).run([(circuit,)])
    with pytest.raises(RuntimeJobFailureError, match="Error code 1517; The instruction h"):
        fetch(job)


def test_a_client_process_that_is_killed_leaves_the_server_working(
    server: LoopbackServer, service: QiskitRuntimeService
) -> None:
    hanging = server.faults.add(Fault("POST", "/identity/token", Hang(5)))
    script = (
        "import os, urllib.request as u\n"
        "u.urlopen(os.environ['IAM_URL'] + '/identity/token', b'apikey=x')"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as client:
        server.wait(lambda: hanging.seen == 1)
        client.kill()
    job = finished(server, service.backend("ibm_loopback"))
    assert isinstance(fetch(job), PrimitiveResult)


def test_the_server_runs_by_hand() -> None:
    command = [sys.executable, "-m", "tests.loopback", "--qubits", "4", "--exact", "--minutes", "1"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exported = {}
        for line in process.stdout:
            if line.startswith("#"):
                break
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value.strip("'")
        try:
            with mock.patch.dict(os.environ, exported):
                backend = connect()
                assert isinstance(fetch(submit(backend)), PrimitiveResult)
        finally:
            process.terminate()
