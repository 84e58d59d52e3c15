"""Jobs and machines that end otherwise than hoped, on the loopback server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qbackend import get_backend
from qbackend.errors import (
    BackendError,
    BudgetError,
    JobCancelledError,
    JobFailedError,
    JobsPendingError,
    JobTimeoutError,
    MachineError,
    PlanError,
)
from qbackend.ibm.service import connect
from qbackend.machines.consent import approve_all
from qbackend.machines.gateway import Progress, cancel_all
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import (
    CANCELLED_ELSEWHERE,
    FAILED,
    PAID_PLAN,
    RAN_TOO_LONG,
    Ending,
    Instance,
    LoopbackServer,
    MachineStatus,
    Plan,
    State,
)
from tests.loopback.client import served, tiny
from tests.loopback.execution import programs

from ..fakes import placing
from ..machine_room import NAME, asked, check_whole, evaluated, expected, loopback_backend, ready


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    expected()
    with served([tiny(), tiny("ibm_other")]) as running:
        yield running


@pytest.mark.parametrize(
    ("ending", "error", "words"),
    [
        (FAILED, JobFailedError, "9701.*internal error"),
        (CANCELLED_ELSEWHERE, JobCancelledError, "cancelled"),
        (RAN_TOO_LONG, JobFailedError, "an estimate of 2 s, now it is taken to need 10 s"),
    ],
    ids=["failed", "cancelled", "too long"],
)
def test_a_job_that_ends_without_a_result(
    server: LoopbackServer, path: Path, ending: Ending, error: type[BackendError], words: str
) -> None:
    server.workload.end_jobs(ending)
    run = path.parent
    with pytest.raises(error, match=rf"{NAME}.*{words}.*qhc resume {run}.*qhc jobs") as caught:
        evaluated(loopback_backend(path))
    assert caught.value.job_id == server.jobs[0].id
    assert len(server.jobs) == 1
    values = evaluated(loopback_backend(path))
    assert values.shape == expected().shape
    assert [server.deliveries(job) for job in server.jobs] == [0, 1]


def test_the_service_stops_what_takes_longer_than_the_budget_allows(
    server: LoopbackServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine on which an execution takes far longer than by the rule of thumb."""
    monkeypatch.setattr(programs, "SECONDS_PER_EXECUTION", 0.1)
    with pytest.raises(
        JobFailedError, match=r"failed: ran longer .* need 20 s; .*--max-qpu-seconds 30 "
    ):
        evaluated(loopback_backend(path, max_qpu_seconds=25.0))
    (job,) = server.jobs
    assert (job.max_seconds, job.charged) == (10, 10.0)
    with pytest.raises(BudgetError, match="--max-qpu-seconds 30"):
        evaluated(loopback_backend(path, max_qpu_seconds=25.0))
    assert len(server.jobs) == 1
    evaluated(loopback_backend(path))
    later = server.jobs[1]
    assert later.max_seconds == 40
    assert 10 < later.charged == later.program.estimated_seconds


def test_other_jobs_are_kept_when_one_fails(
    server: LoopbackServer, path: Path, three_jobs: None
) -> None:
    server.workload.end_jobs(FAILED, first=2)
    with pytest.raises(JobFailedError):
        evaluated(loopback_backend(path), 5)
    evaluated(loopback_backend(path), 5)
    # Of five rows, or of three that two copies make of them.
    sizes = [1, 1, 1, 1] if placing else [1, 2, 2, 2]
    assert [job.rows for job in server.jobs] == sizes
    assert [server.deliveries(job) for job in server.jobs] == [1, 0, 1, 1]


def test_rows_that_a_batch_left_over_are_sent_once_more(path: Path, three_jobs: None) -> None:
    machine = tiny()
    machine.run_seconds = 0.3
    with served([machine], [Instance(plan=Plan(batch_seconds=0.15))]) as server:
        backend = loopback_backend(path)
        server.workload.hold(State.QUEUED)
        job = backend.submit(ready(4))
        server.workload.release()
        assert job.result().values.shape == (4, 2)
        assert [job.state for job in server.jobs] == [
            State.COMPLETED,
            State.FAILED,
            State.COMPLETED,
        ]
        assert [server.deliveries(job) for job in server.jobs] == [1, 0, 1]


def test_a_batch_that_never_lasts_is_given_up(path: Path, three_jobs: None) -> None:
    machine = tiny()
    machine.run_seconds = 0.3
    with served([machine], [Instance(plan=Plan(batch_seconds=0.15))]) as server:
        backend = loopback_backend(path)
        server.workload.hold(State.QUEUED)
        job = backend.submit(ready(8))
        server.workload.release()
        with pytest.raises(JobFailedError, match=r"1217.*qhc resume"):
            job.result()
        assert len(server.jobs) == 4 + 3


def test_a_machine_that_retires_with_jobs_in_its_queue(server: LoopbackServer, path: Path) -> None:
    server.workload.hold(State.QUEUED)
    backend = loopback_backend(path)
    job = backend.submit(ready())
    server.workload.retire(NAME)
    with pytest.raises(JobFailedError, match=r"1004.*has no 'ibm_loopback' any more.*qhc backends"):
        job.result()
    later = loopback_backend(path)
    with pytest.raises(MachineError, match=rf"'{NAME}'.*it has ibm_other"):
        later.evaluate(ready())
    assert len(server.jobs) == 1


def test_a_machine_that_retires_after_it_was_compiled_for(
    server: LoopbackServer, path: Path
) -> None:
    backend = loopback_backend(path)
    request = asked(backend)
    server.workload.retire(NAME)
    with pytest.raises(MachineError, match=rf"'{NAME}'.*it has ibm_other"):
        backend.submit(request)
    assert server.jobs == []


@pytest.mark.parametrize("status", [MachineStatus.RETIRED, MachineStatus.HIDDEN])
def test_a_machine_that_is_gone_after_it_executed(
    server: LoopbackServer, path: Path, status: MachineStatus
) -> None:
    backend = loopback_backend(path, wait=False)
    with pytest.raises(JobsPendingError, match=rf"qhc resume {path.parent}"):
        backend.submit(ready())
    server.wait_for(State.COMPLETED)
    server.machines[NAME].status = status
    check_whole(server, evaluated(loopback_backend(path)))
    assert len(server.jobs) == 1


def test_a_machine_that_is_hidden_still_executes_its_queue(
    server: LoopbackServer, path: Path
) -> None:
    server.workload.hold(State.QUEUED)
    backend = loopback_backend(path)
    job = backend.submit(ready())
    server.machines[NAME].status = MachineStatus.HIDDEN
    server.workload.release()
    check_whole(server, job.result().values)


@pytest.mark.filterwarnings("ignore:The backend ibm_loopback currently has a status of paused")
def test_a_machine_that_is_paused(server: LoopbackServer, path: Path) -> None:
    machine = server.machines[NAME]
    machine.status = MachineStatus.PAUSED
    heard: list[Progress] = []
    backend = loopback_backend(path, deadline=3.0, progress=heard.append)
    with pytest.raises(JobTimeoutError, match=r"3 s.*unharmed.*qhc resume"):
        backend.evaluate(ready())
    assert heard[-1].job_id == server.jobs[0].id
    machine.status = MachineStatus.ACTIVE
    check_whole(server, evaluated(loopback_backend(path)))
    assert len(server.jobs) == 1


def test_no_more_pending_jobs_than_the_plan_allows(path: Path, three_jobs: None) -> None:
    with served(instances=[Instance(plan=Plan(pending_jobs=1))]) as server:
        values = evaluated(loopback_backend(path), 5)
        check_whole(server, values, n_jobs=3, n_rows=5)
        assert len(server.jobs) == 3


def test_no_more_submissions_than_the_plan_allows(path: Path, three_jobs: None) -> None:
    plan = Plan(posts_per_minute=2, retry_after=30)
    with served(instances=[Instance(plan=plan)]) as server:
        slept: list[float] = []
        backend = loopback_backend(path)
        clock = backend.gateway.clock

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if seconds >= 30:
                server.workload.wait(lambda: len(server.jobs) == 2)
                object.__setattr__(server.instance.plan, "posts_per_minute", None)
            clock.sleep(seconds)

        backend.gateway.clock = type(clock)(now=clock.now, sleep=sleep, jitter=clock.jitter)
        server.workload.hold(State.QUEUED)
        job = backend.submit(ready(5))
        server.workload.release()
        check_whole(server, job.result().values, n_jobs=3, n_rows=5)
        assert max(slept) == 30


def test_the_plan_has_too_few_seconds(server: LoopbackServer) -> None:
    server.instance.consumed = 599.0
    backend = loopback_backend()
    with pytest.raises(BudgetError, match=r"has 1 s left; nothing was sent"):
        backend.submit(ready())
    assert server.jobs == []


@pytest.mark.filterwarnings("ignore:.*usage limit")
def test_the_plan_is_used_up_while_jobs_are_sent(server: LoopbackServer) -> None:
    backend = loopback_backend()
    request = asked(backend)
    approve = backend._approve
    backend._approve = lambda cost: approve(cost) and not setattr(server.instance, "consumed", 600)
    with pytest.raises(PlanError, match="used up"):
        backend.submit(request)
    assert server.jobs == []


def test_sessions_are_for_plans_that_have_them(server: LoopbackServer) -> None:
    backend = loopback_backend(mode="session")
    with pytest.raises(PlanError, match="no sessions"):
        backend.submit(ready())
    assert (server.jobs, server.sessions) == ([], [])


def test_a_session_is_closed_with_the_backend() -> None:
    with served(instances=[Instance(plan=PAID_PLAN)]) as server:
        backend = loopback_backend(mode="session")
        check_whole(server, evaluated(backend))
        assert [(s.mode, s.accepting) for s in server.sessions] == [("dedicated", True)]
        backend.close()
        assert [s.accepting for s in server.sessions] == [False]


def test_a_batch_is_closed_and_waited_for_outside(server: LoopbackServer, three_jobs: None) -> None:
    server.workload.hold(State.QUEUED)
    backend = loopback_backend()
    job = backend.submit(ready(5))
    assert [(s.mode, s.accepting) for s in server.sessions] == [("batch", False)]
    server.workload.release()
    check_whole(server, job.result().values, n_jobs=3, n_rows=5)


def test_a_hundred_images_are_one_job_as_planned(server: LoopbackServer) -> None:
    backend = loopback_backend()
    request = ready(100)
    plan = backend.estimate(request)
    backend.evaluate(request)
    (job,) = server.jobs
    assert (plan.jobs, plan.pubs, plan.rows) == (1, job.pubs, 100)
    circuits = 100 // plan.copies
    assert (plan.circuits, plan.circuits, plan.executions) == (
        job.rows,
        job.executed,
        job.executions,
    )
    assert (circuits, 64 * circuits) == (job.executed, job.executions)
    assert plan.qpu_seconds == pytest.approx(job.charged)
    assert server.sessions == []


def test_cancelling_from_another_process(server: LoopbackServer, path: Path) -> None:
    server.workload.hold(State.QUEUED)
    backend = loopback_backend(path)
    job = backend.submit(ready())
    cancelled = cancel_all(connect(), Ledger(path))
    assert [entry.job_id for entry in cancelled] == [server.jobs[0].id] == server.cancelled()
    with pytest.raises(JobCancelledError):
        job.result()


def test_another_connection_finds_a_job_by_its_id(server: LoopbackServer, path: Path) -> None:
    server.workload.hold(State.QUEUED)
    backend = get_backend(NAME, shots=64, ledger=path, wait=False, approve=approve_all)
    with pytest.raises(JobsPendingError):
        backend.submit(ready())
    server.workload.release()
    np.testing.assert_array_equal(evaluated(loopback_backend(path)), expected())
    assert len(server.jobs) == 1


def test_of_several_instances_a_run_goes_on_with_the_one_that_pays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected()
    paid, free = Instance("paid", PAID_PLAN), Instance("free")
    with served([tiny()], [paid, free]) as server:
        monkeypatch.delenv("QISKIT_IBM_INSTANCE")
        server.workload.hold(State.QUEUED)
        with pytest.raises(JobsPendingError):
            loopback_backend(path, wait=False).submit(ready())
        (entry,), (job,) = Ledger(path).entries(), server.jobs
        assert entry.instance == job.instance == free.crn
        assert cancel_all(connect(), Ledger(path))
        with pytest.raises(JobsPendingError):
            loopback_backend(path, wait=False).submit(ready())
        server.workload.release()
        np.testing.assert_array_equal(evaluated(loopback_backend(path)), expected())
        assert [job.instance for job in server.jobs] == [free.crn, free.crn]
        assert [entry.instance for entry in Ledger(path).entries()] == [free.crn, free.crn]
