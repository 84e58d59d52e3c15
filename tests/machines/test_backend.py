"""A request is executed once: in a job, a batch or a session, and however long that takes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qbackend.circuits.device_form import compile_for_target
from qbackend.errors import InputError, JobTimeoutError, MachineError, OptionError, TransientError
from qbackend.ibm.vendor import IBM
from qbackend.layers.spec import LayerSpec
from qbackend.machines.backend import MachineBackend
from qbackend.machines.gateway import Progress
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.jobs import JobStatus

from .fakes import (
    LOST,
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
    assert heard == [
        Progress(0, 0, f"job job-0 sent to {MACHINE}"),
        Progress(0, 1, "Queued", 0, heard[1].tag, "job-0"),
        Progress(1, 1, "done", None, heard[1].tag, "job-0"),
    ]


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


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"n_rows": 2}, {"shots": 2 * SHOTS}], ids=lambda c: next(iter(c))
)
def test_another_request_is_another_job(change: dict[str, int]) -> None:
    service = FakeService()
    backend = backend_of(service)
    backend.evaluate(ask(backend))
    backend.evaluate(ask(backend, **change))
    assert len(service.jobs) == 2


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


def test_more_jobs_than_may_be_pending_are_sent_one_by_one(three_jobs: None) -> None:
    service = FakeService(looks=1)
    service.most_pending = 1
    backend = backend_of(service)
    np.testing.assert_array_equal(backend.evaluate(ask(backend, 5)).values, undisturbed(5))
    assert len(service.jobs) == 3


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
        MachineBackend(MACHINE, IBM, shots=64, options=ExecutionOptions("estimator", precision=0.1))
    assert service.jobs == []


def test_an_unknown_machine_is_refused_with_those_there_are() -> None:
    service = FakeService()
    service.machine_names = ["ibm_other"]
    with pytest.raises(MachineError, match="ibm_other"):
        backend_of(service).compile(SPEC)


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
