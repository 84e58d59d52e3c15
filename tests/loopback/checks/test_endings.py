"""Jobs, batches and machines that end badly, and what a plan does not allow."""

from __future__ import annotations

import time

import pytest
from qiskit.primitives import PrimitiveResult
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import Batch, IBMBackend, QiskitRuntimeService, SamplerV2, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobTimeoutError,
)
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.ibm_backend import IBMRetiredBackend

from .. import (
    CANCELLED_ELSEWHERE,
    FAILED,
    PAID_PLAN,
    RAN_TOO_LONG,
    Ending,
    Fault,
    Instance,
    LoopbackServer,
    MachineStatus,
    Plan,
    Reset,
    State,
    instant_retries,
)
from ..client import SHOTS, coin, connect, fetch, finished, served, submit, tiny

pytestmark = pytest.mark.filterwarnings("ignore:The (Sampler|Estimator)V2 class is deprecated")


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
@pytest.mark.parametrize(
    ("ending", "error", "words"),
    [
        (FAILED, RuntimeJobFailureError, "Error code 9701; the device"),
        (RAN_TOO_LONG, RuntimeJobMaxTimeoutError, "ran longer than"),
        (CANCELLED_ELSEWHERE, RuntimeInvalidStateError, "was cancelled"),
    ],
)
def test_jobs_that_end_badly(
    server: LoopbackServer,
    backend: IBMBackend,
    sampler: type[SamplerV2 | Sampler],
    ending: Ending,
    error: type[Exception],
    words: str,
) -> None:
    server.workload.end_jobs(ending, first=2)
    good, bad = submit(backend, sampler=sampler), submit(backend, sampler=sampler)
    assert isinstance(fetch(good), PrimitiveResult)
    with pytest.raises(error, match=words):
        fetch(bad)
    assert [server.deliveries(job) for job in server.jobs] == [1, 0]
    again = QiskitRuntimeService().job(bad.job_id())
    if error is not RuntimeInvalidStateError:
        assert words in str(again.error_message())
    with pytest.raises(RuntimeInvalidStateError):
        again.cancel()


def test_a_job_is_stopped_at_its_maximum_time(server: LoopbackServer, backend: IBMBackend) -> None:
    primitive = SamplerV2(mode=backend, options={"max_execution_time": 3})
    job = primitive.run([(coin(),)], shots=10_000)
    with pytest.raises(RuntimeJobMaxTimeoutError):
        fetch(job)
    assert server.jobs[0].charged == 3


def test_waiting_in_vain_leaves_the_job_unharmed(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    with pytest.raises(RuntimeJobTimeoutError):
        job.result(timeout=0.1)
    server.workload.release()
    assert isinstance(fetch(job), PrimitiveResult)


def test_a_private_result_is_readable_once(server: LoopbackServer, backend: IBMBackend) -> None:
    primitive = SamplerV2(mode=backend, options={"environment": {"private": True}})
    job = primitive.run([(coin(),)], shots=SHOTS)
    assert isinstance(fetch(job), PrimitiveResult)
    with pytest.raises(RequestsApiError, match="404"):
        fetch(job)


def test_an_unknown_machine_is_not_found(service: QiskitRuntimeService) -> None:
    with pytest.raises(QiskitBackendNotFoundError):
        service.backend("ibm_brisbane")


def test_a_retired_machine_fails_its_queue_and_keeps_its_results(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    done = finished(server, backend)
    server.workload.hold(State.QUEUED)
    queued = submit(backend)
    server.workload.retire("ibm_loopback")
    with pytest.raises(RuntimeJobFailureError, match="Error code 1004"):
        fetch(queued)
    with pytest.raises(RequestsApiError) as caught:
        submit(backend)
    assert caught.value.status_code == 404
    service = QiskitRuntimeService()
    with pytest.raises(QiskitBackendNotFoundError):
        service.backend("ibm_loopback")
    old = service.job(done.job_id())
    assert isinstance(old.backend(), IBMRetiredBackend)
    assert isinstance(old.result(), PrimitiveResult)


def test_a_machine_that_disappears_still_runs_what_is_queued(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    server.machines["ibm_loopback"].status = MachineStatus.HIDDEN
    server.workload.release()
    assert isinstance(fetch(QiskitRuntimeService().job(job.job_id())), PrimitiveResult)


def test_a_paused_machine_accepts_jobs_and_starts_none(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    machine = server.machines["ibm_loopback"]
    machine.status = MachineStatus.PAUSED
    with pytest.warns(UserWarning, match="status of paused"):
        job = submit(backend)
    time.sleep(0.1)
    assert job.status() == "QUEUED"
    machine.status = MachineStatus.ACTIVE
    assert isinstance(fetch(job), PrimitiveResult)


def test_the_open_plan_has_no_sessions(server: LoopbackServer, backend: IBMBackend) -> None:
    with pytest.raises(RequestsApiError, match="1352") as caught:
        Session(backend=backend)
    assert caught.value.status_code == 400
    assert server.sessions == []


def test_a_paid_plan_has_sessions() -> None:
    with served(instances=[Instance(plan=PAID_PLAN)]) as server:
        with Session(backend=connect()) as session:
            assert isinstance(fetch(submit(session)), PrimitiveResult)
        assert [s.mode for s in server.sessions] == ["dedicated"]
        assert "usage_remaining_seconds" not in QiskitRuntimeService().usage()


def test_no_seconds_left(server: LoopbackServer, backend: IBMBackend) -> None:
    server.instance.consumed = 600
    with (
        pytest.warns(UserWarning, match="usage limit"),
        pytest.raises(IBMRuntimeError, match="409"),
    ):
        submit(backend)
    assert server.jobs == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [(Plan(pending_jobs=2), "3458"), (Plan(posts_per_minute=2, retry_after=30), "429")],
    ids=["pending jobs", "posts per minute"],
)
def test_one_job_too_many(plan: Plan, words: str) -> None:
    with served(instances=[Instance(plan=plan)]) as server:
        server.workload.hold(State.QUEUED)
        backend = connect()
        for _ in range(2):
            submit(backend)
        with pytest.raises(IBMRuntimeError, match=words):
            submit(backend)
        assert len(server.jobs) == 2


def test_a_batch_whose_time_is_over_fails_what_is_queued() -> None:
    machine = tiny()
    machine.run_seconds = 0.6
    instance = Instance(plan=Plan(batch_seconds=0.3))
    with served([machine], [instance]) as server:
        batch = Batch(backend=connect())
        server.workload.hold(State.QUEUED)
        first, second = submit(batch), submit(batch)
        server.workload.release()
        assert isinstance(fetch(first), PrimitiveResult)
        with pytest.raises(RuntimeJobFailureError, match="Error code 1217"):
            fetch(second)
        with pytest.raises(IBMRuntimeError, match="1217"):
            submit(batch)


def test_a_closed_batch_takes_no_jobs(server: LoopbackServer, backend: IBMBackend) -> None:
    batch = Batch(backend=backend)
    server.workload.close(server.sessions[0])
    with pytest.raises(IBMRuntimeError, match="1217"):
        submit(batch)
    batch.close()
    with pytest.raises(IBMRuntimeError, match="The session is closed"):
        submit(batch)


def test_leaving_a_batch_without_a_network_hides_the_error_inside(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.faults.add(Fault("PATCH", "/sessions/{id}", Reset(), count=None))
    failing = pytest.raises(IBMRuntimeError, match="closing session")
    with instant_retries(), failing as caught, Batch(backend=backend):
        raise KeyError("lost")
    assert isinstance(caught.value.__context__, RequestsApiError)


def test_cancelling_a_batch_cancels_what_is_queued(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    batch = Batch(backend=backend)
    job = submit(batch)
    batch.cancel()
    assert job.status() == "CANCELLED"
