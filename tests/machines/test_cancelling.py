"""What is said to be cancelled is: nothing that was is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qbackend.errors import JobNotFoundError, JobsPendingError
from qbackend.ibm.vendor import IBM
from qbackend.machines.endings import failure
from qbackend.machines.gateway import Gateway, cancel_all
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger

from .fakes import MACHINE, FakeService, Fault, Time, ask, backend_of

NOT_FOUND = JobNotFoundError("the service has no such job", job_id="job-0")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.mark.parametrize("method", ["state", "cancel"])
def test_a_job_that_is_not_known_everywhere_yet_is_not_taken_for_cancelled(
    path: Path, method: str
) -> None:
    service = FakeService(looks=9)
    backend = backend_of(service, ledger=path)
    backend.submit(ask(backend))
    service.faults.append(Fault(method, NOT_FOUND))
    gateway = Gateway(lambda: service, clock=Time().clock)
    assert cancel_all(gateway, Ledger(path)) == []
    assert [entry.state for entry in Ledger(path).entries()] == [State.SUBMITTED]
    assert [entry.state for entry in cancel_all(gateway, Ledger(path))] == [State.CANCELLED]
    assert service.live() == []


def test_a_second_job_that_is_not_known_everywhere_yet_is_cancelled_later() -> None:
    service = FakeService(looks=2)
    start = service.start

    def start_two(*given: Any) -> str:
        return [start(*given) for _ in range(2)][-1]

    service.start = start_two  # type: ignore[method-assign]
    service.faults.append(Fault("state", NOT_FOUND))
    backend = backend_of(service)
    job = backend.submit(ask(backend))
    assert len(service.live()) == 2
    job.result()
    assert [each.id for each in service.live()] == [job.id] == ["job-0"]


def test_a_job_that_was_not_sent_is_not_named_by_an_id(path: Path) -> None:
    service = FakeService()
    backend = backend_of(service, ledger=path)
    service.faults.append(Fault("start", KeyboardInterrupt()))
    with pytest.raises(JobsPendingError, match="interrupted"):
        backend.submit(ask(backend))
    cancel_all(Gateway(lambda: service, clock=Time().clock), Ledger(path))
    (entry,) = Ledger(path).entries()
    error = failure(Ledger(path), entry.request, MACHINE, backend.options, IBM.meaning)
    assert "a job that was not sent on ibm_fake was cancelled" in str(error)
