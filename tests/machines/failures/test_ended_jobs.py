"""Jobs, batches and sessions that end without a result, or that nobody knows any more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qbackend.errors import (
    BackendError,
    CredentialsError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    TransientError,
)
from qbackend.machines.cost import MachineCost
from qbackend.machines.gateway import cancel_all
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.service import RemoteState
from qbackend.seam.jobs import JobStatus

from ..fakes import LOST, MACHINE, NOT_FOUND, FakeService, Fault, ask, backend_of, undisturbed


@pytest.mark.parametrize(
    ("status", "words", "error", "expected"),
    [
        (JobStatus.FAILED, "Error code 9701; internal error", JobFailedError, "internal error"),
        (JobStatus.CANCELLED, "cancelled by the user", JobCancelledError, "by the user"),
        (JobStatus.FAILED, "Error code 1305; ran too long", JobFailedError, "max_execution_time"),
        (JobStatus.CANCELLED, "Error code 1305; too long", JobCancelledError, "max_execution_time"),
    ],
)
def test_a_job_that_ended_is_told_of_and_sent_again_when_asked(
    tmp_path: Path, status: JobStatus, words: str, error: type[BackendError], expected: str
) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    service.jobs[0].ending = RemoteState(status, words)
    with pytest.raises(error, match=rf"job-0 on {MACHINE}.*{expected}.*qhc resume") as caught:
        job.result()
    assert (caught.value.job_id, caught.value.backend) == ("job-0", MACHINE)
    assert job.status() is status
    approved: list[MachineCost] = []
    later = backend_of(service, ledger=path, approve=lambda c: approved.append(c) or True)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 2
    assert [plan.rows for plan in approved] == [3]


def test_other_results_are_kept_when_a_job_fails(three_jobs: None, tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend, 5))
    service.jobs[1].ending = RemoteState(JobStatus.FAILED, "Error code 9701; broken")
    with pytest.raises(JobFailedError, match=r"job-1.*other jobs are kept"):
        job.result()
    assert [e.state for e in Ledger(path).entries()] == [State.DONE, State.FAILED, State.DONE]
    later = backend_of(service, ledger=path)
    values = later.evaluate(ask(later, 5)).values
    np.testing.assert_array_equal(values, undisturbed(5))
    assert [job.deliveries for job in service.jobs] == [1, 0, 1, 1]


def test_rows_of_a_batch_that_ended_are_sent_once_more(three_jobs: None) -> None:
    service = FakeService(looks=1)
    backend = backend_of(service)
    job = backend.submit(ask(backend, 5))
    for unlucky in service.jobs[1:]:
        unlucky.ending = RemoteState(JobStatus.FAILED, "Error code 1217; the session is closed")
    np.testing.assert_array_equal(job.result().values, undisturbed(5))
    assert len(service.jobs) == 5
    assert [workload.closed for workload in service.workloads] == [1, 1]


def test_a_batch_that_ends_every_time_is_told_of(three_jobs: None) -> None:
    service = FakeService(looks=1)
    backend = backend_of(service)
    job = backend.submit(ask(backend, 5))
    ended = RemoteState(JobStatus.FAILED, "Error code 1217; the session is closed")
    service.faults.append(
        Fault("state", lambda: setattr(service.jobs[-1], "ending", ended), count=99)
    )
    with pytest.raises(JobFailedError, match="1217"):
        job.result()
    assert len(service.jobs) == 4


def test_cancelling_a_request(three_jobs: None) -> None:
    service = FakeService(looks=9)
    backend = backend_of(service)
    job = backend.submit(ask(backend, 5))
    assert job.cancel()
    assert service.live() == []
    assert job.status() is JobStatus.CANCELLED
    assert not job.cancel()
    with pytest.raises(JobCancelledError):
        job.result()


def test_cancelling_a_run_finds_what_was_never_confirmed(tmp_path: Path) -> None:
    service, path = FakeService(looks=9), tmp_path / "jobs.sqlite"
    service.faults += [
        Fault("start", LOST, after=True),
        Fault("find", LOST, count=11),
    ]
    backend = backend_of(service, ledger=path)
    with pytest.raises(TransientError):
        backend.submit(ask(backend))
    cancelled = cancel_all(service, Ledger(path))
    assert [entry.state for entry in cancelled] == [State.CANCELLED]
    assert (len(service.jobs), service.live()) == (1, [])


def test_a_job_that_the_service_does_not_know_any_more(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    service.jobs.clear()
    service.faults.append(Fault("state", NOT_FOUND, count=3))
    with pytest.raises(JobFailedError, match=r"no job job-0.*qhc resume"):
        job.result()
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())


@pytest.mark.parametrize("looks_in_vain", [2, 4])
def test_a_job_that_a_replica_does_not_know_yet(tmp_path: Path, looks_in_vain: int) -> None:
    service = FakeService()
    service.faults.append(Fault("state", NOT_FOUND, count=looks_in_vain))
    backend = backend_of(service, ledger=tmp_path / "jobs.sqlite")
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())
    assert (len(service.jobs), service.jobs[0].deliveries) == (1, 1)


def test_a_job_that_comes_back_is_not_sent_again(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    lost = service.jobs.pop()
    service.faults.append(Fault("state", NOT_FOUND, count=3))
    with pytest.raises(JobFailedError):
        job.result()
    service.jobs.append(lost)
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert (service.jobs, lost.deliveries) == ([lost], 1)
    (entry,) = Ledger(path).entries()
    assert (entry.state, entry.attempt, entry.words) == (State.DONE, 1, "")


def test_a_session_that_was_closed_for_idleness_is_opened_anew() -> None:
    service = FakeService()
    backend = backend_of(service, mode="session")
    backend.evaluate(ask(backend, seed=1))
    service.faults.append(Fault("start", BackendError('400: {"code": 1217, "message": "closed"}')))
    backend.evaluate(ask(backend, seed=2))
    assert len(service.workloads) == 2
    assert [job.workload for job in service.jobs] == ["workload-0", "workload-1"]


def test_a_workload_that_is_always_closed_is_given_up() -> None:
    service = FakeService()
    closed = BackendError("Error code 1217; closed")
    service.faults.append(Fault("start", closed, count=10**6))
    backend = backend_of(service, mode="batch")
    with pytest.raises(BackendError, match="1217"):
        backend.submit(ask(backend))
    # The service closed both.
    assert [workload.closed for workload in service.workloads] == [0, 0]
    assert backend.ledger.open_workloads() == []


def test_cancelling_what_ended_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    before, after = FakeService(looks=1), FakeService()
    before.is_local = after.is_local = True
    backend = backend_of(before, ledger=path)
    backend.submit(ask(backend))
    after.faults.append(Fault("state", JobNotFoundError("gone")))
    assert [e.state for e in cancel_all(after, Ledger(path))] == [State.CANCELLED]


def test_cancelling_by_another_account_is_refused(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    backend.submit(ask(backend))
    other = FakeService()
    other.instance = "crn:other"
    with pytest.raises(CredentialsError, match="crn:other"):
        cancel_all(other, Ledger(path))
    assert service.live()


def test_the_way_back_is_named_once(three_jobs: None, tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend, 5))
    service.jobs[0].ending = RemoteState(JobStatus.FAILED, "Error code 1217; closed")
    service.faults.append(Fault("start", LOST, first=1, count=99))
    with pytest.raises(TransientError, match=r"1 of 3 jobs.*not sent yet") as caught:
        job.result()
    assert str(caught.value).count(f"qhc resume {tmp_path}") == 1
    service.faults.clear()
    np.testing.assert_array_equal(job.result().values, undisturbed(5))
    assert len(service.jobs) == 4
