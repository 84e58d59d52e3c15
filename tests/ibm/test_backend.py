"""A request is executed once, whatever happens between asking for it and reading it."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qbackend.device_form import compile_for_target
from qbackend.errors import (
    BackendError,
    BudgetError,
    CredentialsError,
    InputError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    JobsPendingError,
    JobTimeoutError,
    MachineError,
    OptionError,
    TransientError,
    UserError,
)
from qbackend.ibm import limits
from qbackend.ibm.backend import IbmBackend
from qbackend.ibm.budget import check_budget
from qbackend.ibm.cost import MachineCost
from qbackend.ibm.entries import State
from qbackend.ibm.gateway import Progress, cancel_all
from qbackend.ibm.ledger import Ledger
from qbackend.ibm.options import ExecutionOptions
from qbackend.ibm.remote import RemoteState
from qbackend.jobs import JobStatus
from qbackend.spec import LayerSpec

from .fakes import (
    MACHINE,
    SHOTS,
    SPEC,
    FakeService,
    Fault,
    Time,
    ask,
    backend_of,
    small_target,
    undisturbed,
)

LOST = TransientError("connection reset")
NOT_FOUND = JobNotFoundError("the service has no job job-0")


@pytest.fixture
def three_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes two rows, so that five rows are three jobs."""
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 2 * SHOTS)


def test_one_job_in_job_mode() -> None:
    service = FakeService(looks=2)
    backend, heard = backend_of(service), []
    backend._progress = heard.append
    job = backend.submit(ask(backend))
    assert job.status() is JobStatus.SUBMITTED
    result = job.result()
    assert job.status() is JobStatus.DONE
    assert result.values.shape == result.stderr.shape == (3, 2)
    assert result.job_ids == (job.id,) == ("job-0",)
    assert (result.shots, result.device, result.qpu_seconds) == (SHOTS, MACHINE, 3.0)
    assert job.usage() == 3.0
    assert job.result() is result
    assert not job.cancel()
    assert (len(service.jobs), service.workloads) == (1, [])
    assert [p.queue_position for p in heard] == [0, None]
    assert isinstance(heard[0], Progress)


def test_several_jobs_in_a_batch_that_is_closed(three_jobs: None) -> None:
    service = FakeService()
    backend = backend_of(service)
    result = backend.evaluate(ask(backend, 5))
    assert [len(job.call.parameters) for job in service.jobs] == [1, 2, 2]
    assert {job.workload for job in service.jobs} == {"workload-0"}
    assert [(w.is_session, w.closed) for w in service.workloads] == [(False, 1)]
    assert len(result.job_ids) == 3
    assert result.qpu_seconds == 9.0


def test_several_jobs_give_their_rows_in_order(three_jobs: None) -> None:
    service = FakeService()
    backend = backend_of(service)
    request = ask(backend, 5, shots=SHOTS)
    values = backend.evaluate(request).values
    sampled = np.concatenate([job.call.parameters for job in service.jobs])
    np.testing.assert_array_equal(sampled, request.parameters)
    assert len({job.call.seed for job in service.jobs}) == 3
    assert values.shape == (5, 2)


def test_a_batch_is_closed_when_a_submission_fails(three_jobs: None) -> None:
    service = FakeService()
    service.faults.append(Fault("start", MachineError("retired"), first=2))
    backend = backend_of(service)
    with pytest.raises(MachineError):
        backend.submit(ask(backend, 5))
    assert [workload.closed for workload in service.workloads] == [1]


def test_a_session_stays_open_until_the_end() -> None:
    service = FakeService()
    backend = backend_of(service, mode="session")
    for seed in (1, 2):
        backend.evaluate(ask(backend, seed=seed))
    assert [(w.is_session, w.closed) for w in service.workloads] == [(True, 0)]
    backend.close()
    assert [workload.closed for workload in service.workloads] == [1]


def test_the_same_request_is_answered_from_the_ledger(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    result = first.evaluate(ask(first))
    later = backend_of(FakeService(), ledger=path)
    again = later.evaluate(ask(later))
    np.testing.assert_array_equal(again.values, result.values)
    assert later.gateway._service is None, "a finished request needs no connection"
    assert (len(service.jobs), service.jobs[0].deliveries) == (1, 1)


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"n_rows": 2}, {"shots": 2 * SHOTS}], ids=lambda c: next(iter(c))
)
def test_another_request_is_another_job(change: dict[str, int]) -> None:
    service = FakeService()
    backend = backend_of(service)
    backend.evaluate(ask(backend))
    backend.evaluate(ask(backend, **change))
    assert len(service.jobs) == 2


@pytest.mark.parametrize(
    ("options", "n_jobs"),
    [
        ({"deadline": 60.0}, 1),
        ({"max_qpu_seconds": 90.0}, 1),
        ({"max_execution_time": 50}, 1),
        ({"poll": (1.0, 2.0)}, 1),
        ({"mode": "batch"}, 1),
        ({"readout_mitigation": "tensored"}, 2),
        ({"dynamical_decoupling": "XY4"}, 2),
    ],
    ids=str,
)
def test_only_options_that_change_the_result_make_another_job(
    tmp_path: Path, options: dict[str, Any], n_jobs: int
) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    for given in ({}, options):
        backend = backend_of(service, ledger=path, **given)
        backend.evaluate(ask(backend))
    assert len(service.jobs) == n_jobs


def test_rounding_of_the_features_makes_no_other_job(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    first.evaluate(ask(first))
    later = backend_of(service, ledger=path)
    request = ask(later)
    request.parameters[:] += 1e-8
    later.evaluate(request)
    assert len(service.jobs) == 1


def test_a_request_goes_on_with_the_layout_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.sqlite"
    first = backend_of(FakeService(), ledger=path).compile(SPEC)
    service = FakeService()
    service.machine_names = []
    later = backend_of(service, ledger=path)
    assert later.compile(SPEC).circuit == first.circuit
    assert later.compile(SPEC).record == first.record
    assert later.capabilities.max_wires == 4
    assert service.calls == []


def test_a_submitted_job_is_attached_to_in_a_later_process(tmp_path: Path) -> None:
    service, path = FakeService(looks=3), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError, match=rf"job-0.*qhc resume {tmp_path}.*qhc jobs"):
        backend.submit(ask(backend))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert (len(service.jobs), service.count("start")) == (1, 1)


def test_without_waiting_what_is_done_is_given(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    first.evaluate(ask(first))
    later = backend_of(service, ledger=path, wait=False)
    assert later.evaluate(ask(later)).job_ids == ("job-0",)


def test_a_machine_that_is_gone_still_gives_its_results(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend))
    service.machine_names = []
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())


@pytest.mark.parametrize("method", ["find", "state", "fetch", "usage"])
def test_a_lost_connection_loses_nothing(method: str) -> None:
    service = FakeService()
    service.faults.append(Fault(method, LOST, count=4))
    backend = backend_of(service)
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())
    assert (len(service.jobs), service.jobs[0].deliveries) == (1, 1)


def test_a_network_that_stays_away_names_the_way_back(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    service.faults.append(Fault("state", LOST, count=11))
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    with pytest.raises(
        TransientError, match=rf"job job-0 on {MACHINE} goes on unharmed; qhc resume"
    ):
        job.result()
    np.testing.assert_array_equal(job.result().values, undisturbed())


def test_jobs_that_a_client_duplicated_are_cancelled() -> None:
    service = FakeService(looks=1)
    backend = backend_of(service)
    start = service.start

    def start_three(*args: Any) -> str:
        return [start(*args) for _ in range(3)][-1]

    service.start = start_three  # type: ignore[method-assign]
    result = backend.evaluate(ask(backend))
    assert [job.id for job in service.live()] == ["job-0"]
    assert result.job_ids == ("job-0",)
    np.testing.assert_array_equal(result.values, undisturbed())


def test_the_deadline_leaves_the_job_unharmed() -> None:
    service, time = FakeService(looks=10**6), Time()
    backend = backend_of(service, time, deadline=100.0)
    job = backend.submit(ask(backend))
    with pytest.raises(JobTimeoutError, match=r"100 s: job job-0.*unharmed") as caught:
        job.result()
    assert caught.value.job_id == "job-0"
    assert time.seconds == 100.0
    assert service.live()
    service.jobs[0].looks = 0
    np.testing.assert_array_equal(job.result().values, undisturbed())


def test_a_timeout_shorter_than_the_deadline_counts() -> None:
    service, time = FakeService(looks=10**6), Time()
    backend = backend_of(service, time, deadline=100.0)
    with pytest.raises(JobTimeoutError, match="after 7 s"):
        backend.submit(ask(backend)).result(timeout=7.0)
    assert time.seconds == 7.0


def test_looks_at_a_job_are_far_apart() -> None:
    service, time = FakeService(looks=5), Time()
    backend = backend_of(service, time)
    backend.evaluate(ask(backend))
    assert time.slept == [5.0, 7.5, 11.25, 16.875, 25.3125]


@pytest.mark.parametrize("where", ["state", "start"])
def test_ctrl_c_leaves_the_job_running(tmp_path: Path, where: str) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.faults.append(Fault(where, KeyboardInterrupt(), after=True))
    backend = backend_of(service, ledger=path)
    with pytest.raises(JobsPendingError, match=f"interrupted.*qhc resume {tmp_path}"):
        backend.evaluate(ask(backend))
    assert len(service.live()) == 1
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


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


def test_more_jobs_than_may_be_pending_are_sent_one_by_one(three_jobs: None) -> None:
    service = FakeService(looks=1)
    service.most_pending = 1
    backend = backend_of(service)
    np.testing.assert_array_equal(backend.evaluate(ask(backend, 5)).values, undisturbed(5))
    assert len(service.jobs) == 3


def test_a_result_of_no_use_is_refused_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    monkeypatch.setattr(service, "fetch", lambda job_id: b'"no result"')
    backend = backend_of(service, ledger=path)
    with pytest.raises(JobFailedError, match=r"job-0.*of no use.*qhc resume"):
        backend.evaluate(ask(backend))
    (entry,) = Ledger(path).entries()
    assert Ledger(path).raw(entry.tag) == b'"no result"'


def test_the_plan_is_shown_before_anything_is_sent() -> None:
    service, shown = FakeService(), []
    backend = backend_of(service, approve=lambda cost: shown.append(cost) or False)
    request = ask(backend)
    with pytest.raises(UserError, match="nothing was sent"):
        backend.submit(request)
    assert shown == [backend.estimate(request)]
    assert (shown[0].rows, shown[0].jobs, shown[0].seconds_left) == (3, 1, 600.0)
    assert service.jobs == []
    assert backend.ledger.entries() == []


def test_the_plan_is_shown_once(tmp_path: Path) -> None:
    shown: list[MachineCost] = []
    service = FakeService(looks=1)
    for wait in (False, True):
        backend = backend_of(
            service,
            ledger=tmp_path / "jobs.sqlite",
            wait=wait,
            approve=lambda cost: shown.append(cost) or True,
        )
        try:
            backend.evaluate(ask(backend))
        except JobsPendingError:
            assert not wait
    assert len(shown) == 1


def test_the_budget_is_of_the_whole_run() -> None:
    service = FakeService()
    backend = backend_of(service, max_qpu_seconds=7.0)
    planned = backend.estimate(ask(backend)).qpu_seconds
    assert planned == pytest.approx(2 + 3 * SHOTS * 0.00035)
    backend.evaluate(ask(backend, seed=1))  # 3 s are charged
    backend.evaluate(ask(backend, seed=2))
    with pytest.raises(BudgetError, match=r"after 6 s of this run.*7 s.*--max-qpu-seconds 9"):
        backend.evaluate(ask(backend, seed=3))
    assert len(service.jobs) == 2


def test_the_plan_of_the_account_must_have_the_seconds() -> None:
    service = FakeService(seconds_left=1.0)
    backend = backend_of(service)
    with pytest.raises(BudgetError, match="'premium' has 1 s left; nothing was sent"):
        backend.submit(ask(backend))
    assert service.jobs == []


def test_a_budget_that_is_just_enough_is_enough() -> None:
    cost = MachineCost(2, 2, 1, 200, 5.0, "basis", seconds_left=5.0)
    check_budget(cost, 2.0, 7.0)
    with pytest.raises(BudgetError):
        check_budget(cost, 2.0, 6.9)


def test_a_charge_that_is_settled_late_is_asked_for_again() -> None:
    service, time = FakeService(), Time()
    answers = iter([None, None, 4.0])
    service.usage = lambda job_id: next(answers)  # type: ignore[method-assign]
    backend = backend_of(service, time)
    assert backend.evaluate(ask(backend)).qpu_seconds == 4.0


def test_a_result_does_not_wait_for_its_price() -> None:
    service = FakeService()
    service.usage = lambda job_id: None  # type: ignore[method-assign]
    backend = backend_of(service)
    assert backend.evaluate(ask(backend)).qpu_seconds == 0.0
    assert backend.ledger.committed_seconds() == backend.last_cost.qpu_seconds


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


def test_a_pickled_backend_starts_anew(tmp_path: Path) -> None:
    backend = backend_of(FakeService(), ledger=tmp_path / "jobs.sqlite")
    backend._given = backend._clock = None
    _ = backend.ledger
    copied = pickle.loads(pickle.dumps(backend))
    assert copied.ledger.path == backend.ledger.path


def test_refusals_come_before_anything_is_sent() -> None:
    service = FakeService()
    backend = backend_of(service)
    with pytest.raises(OptionError, match=r"5 wires.*at most 4"):
        backend.compile(LayerSpec(5))
    request = ask(backend)
    with pytest.raises(OptionError, match="needs shots"):
        backend.submit(type(request)(request.compiled, request.parameters))
    with pytest.raises(InputError):
        type(request)(request.compiled, request.parameters * np.nan, shots=1)
    with pytest.raises(OptionError, match="--shots and --precision"):
        IbmBackend(MACHINE, shots=64, options=ExecutionOptions("estimator", precision=0.1))
    assert service.jobs == []


def test_an_unknown_machine_is_refused_with_those_there_are() -> None:
    service = FakeService()
    service.machine_names = ["ibm_other"]
    with pytest.raises(MachineError, match="ibm_other"):
        backend_of(service).compile(SPEC)


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


@pytest.mark.parametrize("fault", [None, Fault("start", LOST, after=True)], ids=str)
def test_open_jobs_belong_to_one_account(tmp_path: Path, fault: Fault | None) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    if fault is not None:
        service.faults += [fault, Fault("find", LOST, count=11)]
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises((JobsPendingError, TransientError)):
        backend.submit(ask(backend))
    other = FakeService()
    other.instance = "crn:other"
    with pytest.raises(CredentialsError, match=r"crn:fake.*crn:other.*--profile"):
        backend_of(other, ledger=path).submit(ask(backend))
    assert other.jobs == []
    assert len(service.jobs) == 1


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
    assert [workload.closed for workload in service.workloads] == [1, 1]


def test_too_many_jobs_of_others_are_waited_for_later(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.most_pending = 0
    backend = backend_of(service, ledger=path)
    with pytest.raises(BackendError, match="3458"):
        backend.submit(ask(backend))
    service.most_pending = 1
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


def test_jobs_of_this_process_stay_planned_when_nobody_waits(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    service.is_local = True
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError, match=r"1 of 1 jobs.*not sent yet.*qhc resume"):
        backend.submit(ask(backend))
    assert service.jobs == []
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())


def test_jobs_that_ended_with_their_process_are_executed_again(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    before, after = FakeService(looks=1), FakeService()
    before.is_local = after.is_local = True
    backend = backend_of(before, ledger=path)
    backend.submit(ask(backend))
    later = backend_of(after, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert (len(before.jobs), len(after.jobs)) == (1, 1)


def test_a_simulated_job_costs_no_budget() -> None:
    service = FakeService()
    service.is_local = True
    backend = backend_of(service, max_qpu_seconds=0.1)
    assert backend.estimate(ask(backend)).qpu_seconds == 0.0
    backend.evaluate(ask(backend))


def test_closing_what_was_never_used_makes_no_file(tmp_path: Path) -> None:
    backend_of(FakeService(), ledger=tmp_path / "jobs.sqlite").close()
    assert list(tmp_path.iterdir()) == []


def test_a_layer_of_another_backend_is_refused() -> None:
    service = FakeService()
    backend = backend_of(service)
    request = ask(backend)
    foreign = compile_for_target(SPEC, small_target(), device="ibm_other")
    with pytest.raises(OptionError, match="compiled"):
        backend.submit(type(request)(foreign, request.parameters, shots=SHOTS))
    assert service.jobs == []


def test_a_batch_that_cannot_be_closed_holds_nobody(three_jobs: None) -> None:
    service, let_go = FakeService(), threading.Event()
    backend = backend_of(service)
    backend.gateway._call_seconds = 0.2
    opened = service.open_workload

    def open_hanging(*given: Any, **options: Any) -> Any:
        workload = opened(*given, **options)
        workload.close = let_go.wait
        return workload

    service.open_workload = open_hanging  # type: ignore[method-assign]
    np.testing.assert_array_equal(backend.evaluate(ask(backend, 5)).values, undisturbed(5))
    let_go.set()


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
