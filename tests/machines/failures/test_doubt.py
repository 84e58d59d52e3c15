"""A job that may have been accepted is searched for, by whichever process, before another is sent.

The list of jobs lags behind, as one that is read from a replica.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from qbackend.errors import BackendError, JobNotFoundError, TransientError
from qbackend.machines.gateway import Gateway, cancel_all
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.patience import DOUBT_SECONDS, LATE_SECONDS
from qbackend.seam.jobs import JobStatus
from tests.loopback import Fault as ServerFault
from tests.loopback import LoopbackServer, Unlisted
from tests.loopback.client import served

from ..fakes import MACHINE, FakeService, Fault, Time, ask, backend_of, undisturbed
from ..machine_room import LIST, check_whole, evaluated, expected, loopback_backend
from ..processes import Point, ask_elsewhere

LOST = TransientError("connection reset")
NOT_FOUND = JobNotFoundError("the service has no job job-0", job_id="job-0")
BUSY = TransientError("busy", status_code=429)


class Death(BaseException):
    """Of the process, at this point."""


class LaggingService(FakeService):
    """Lists a job only when its list was asked for `lag` times."""

    def __init__(self, lag: int, *, looks: int = 0) -> None:
        super().__init__(looks=looks)
        self.lag = lag

    def find(self, tag: str) -> Sequence[str]:
        found = super().find(tag)
        self.lag -= 1
        return found if self.lag < 0 else []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    expected()
    with served() as running:
        yield running


def die_in_doubt(service: FakeService, path: Path, *, accepted: bool = True) -> None:
    """A process submits a request, and dies before it has the service's answer."""
    service.faults.append(Fault("start", Death(), after=accepted))
    dying = backend_of(service, ledger=path)
    with pytest.raises(Death):
        dying.submit(ask(dying))
    dying.close()


def pass_by(path: Path, seconds: float, column: str = "doubtful_since") -> None:
    """Let time pass for the ledger's only entry."""
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE jobs SET {column} = ?", (since.isoformat(),))


def test_a_killed_processs_job_that_is_listed_late_is_found(
    server: LoopbackServer, path: Path
) -> None:
    process = ask_elsewhere(path, server.environment, Point("start", after=True))
    process.join(60)
    assert process.exitcode != 0
    server.faults.add(ServerFault(*LIST, Unlisted(), count=3))
    check_whole(server, evaluated(loopback_backend(path, doubt_seconds=DOUBT_SECONDS)))
    assert len(server.jobs) == 1


def test_a_job_that_is_listed_late_is_found_by_the_next_process(path: Path) -> None:
    service, heard = LaggingService(3), []
    die_in_doubt(service, path)
    later = backend_of(service, ledger=path, progress=heard.append)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1
    assert "does not list yet" in heard[0].words


def test_the_search_is_bounded(path: Path) -> None:
    service, time = FakeService(), Time()
    die_in_doubt(service, path, accepted=False)
    later = backend_of(service, time, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1
    # What went by since the submission began is not waited for.
    assert 0.5 * DOUBT_SECONDS < sum(time.slept) <= DOUBT_SECONDS
    assert service.count("find") > 3


def test_an_old_submission_is_searched_for_once(path: Path) -> None:
    service, time = FakeService(), Time()
    die_in_doubt(service, path, accepted=False)
    pass_by(path, DOUBT_SECONDS)
    later = backend_of(service, time, ledger=path)
    later.evaluate(ask(later))
    assert (len(service.jobs), time.slept) == (1, [])


def test_what_was_never_submitted_is_sent_at_once(path: Path) -> None:
    """Without a search: the ledger knows that the service was not asked for it."""
    service, time = FakeService(), Time()
    dying = backend_of(service, ledger=path)
    dying.gateway.start = _die  # type: ignore[method-assign]
    with pytest.raises(Death):
        dying.submit(ask(dying))
    later = backend_of(service, time, ledger=path)
    later.submit(ask(later))
    assert (len(service.jobs), time.slept) == (1, [])


def test_a_lost_answer_is_searched_for_before_the_next_try() -> None:
    service = LaggingService(3)
    service.faults.append(Fault("start", LOST, after=True))
    backend = backend_of(service)
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())
    assert len(service.jobs) == 1


def test_a_refusal_is_no_doubt() -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("start", BUSY, count=2))
    backend = backend_of(service, time)
    backend.submit(ask(backend))
    assert (len(service.jobs), sum(time.slept)) == (1, 3)
    (entry,) = backend.ledger.entries()
    assert (entry.doubtful_since, entry.is_only) == (None, True)


def test_a_second_job_that_comes_to_light_later_is_cancelled_by_another_process(
    path: Path,
) -> None:
    """Both submissions of a process were accepted, the first one after the second."""
    service = FakeService(looks=9)
    service.faults.append(Fault("start", LOST))
    backend = backend_of(service, ledger=path)
    request = ask(backend)
    backend.submit(request)
    (entry,) = Ledger(path).entries()
    assert not entry.is_only
    service.start(MACHINE, service.jobs[0].call, entry.tag, None)
    later = backend_of(service, ledger=path)
    later.submit(ask(later)).result()
    assert [job.id for job in service.live()] == ["job-0"]


def test_in_the_end_there_is_no_doubt(path: Path) -> None:
    service = FakeService(looks=9)
    service.faults.append(Fault("start", LOST))
    backend = backend_of(service, ledger=path)
    backend.submit(ask(backend))
    ledger = Ledger(path)
    gateway = Gateway(lambda: service)
    gateway.keep_one(ledger, ledger.entries()[0])
    assert not ledger.entries()[0].is_only
    pass_by(path, LATE_SECONDS + 1)
    gateway.keep_one(ledger, ledger.entries()[0])
    assert ledger.entries()[0].is_only


def test_a_job_that_is_not_listed_yet_is_not_settled() -> None:
    service = LaggingService(1, looks=9)
    backend = backend_of(service)
    backend.submit(ask(backend))
    (entry,) = backend.ledger.entries()
    assert not entry.is_only
    backend.gateway.keep_one(backend.ledger, entry)
    assert backend.ledger.entries()[0].is_only


def test_of_two_jobs_the_one_that_is_not_listed_yet_is_cancelled() -> None:
    service = FakeService(looks=9)
    backend = backend_of(service)
    job = backend.submit(ask(backend))
    (entry,) = backend.ledger.entries()
    service.start(MACHINE, service.jobs[0].call, entry.tag, None)
    service.find = lambda tag: ["job-1"]  # type: ignore[method-assign]
    backend.gateway.keep_one(backend.ledger, entry)
    assert [each.id for each in service.live()] == ["job-1"]
    assert job.id == "job-1"


def test_what_is_cancelled_is_searched_for_too(path: Path) -> None:
    service = LaggingService(3, looks=9)
    die_in_doubt(service, path)
    gateway = Gateway(lambda: service, clock=Time().clock)
    assert [entry.state for entry in cancel_all(gateway, Ledger(path))] == [State.CANCELLED]
    assert (len(service.jobs), service.live()) == (1, [])


def test_a_job_that_is_not_known_everywhere_yet_is_submitted(path: Path) -> None:
    service = FakeService(looks=9)
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    service.faults.append(Fault("state", NOT_FOUND, count=2))
    assert job.status() is JobStatus.SUBMITTED
    pass_by(path, DOUBT_SECONDS, "submitted_at")
    with pytest.raises(JobNotFoundError):
        job.status()
    assert job.status() is JobStatus.SUBMITTED


def test_who_may_have_sent_something_is_told_so(path: Path) -> None:
    service = FakeService()
    service.faults += [Fault("start", LOST, after=True), Fault("find", LOST, count=11)]
    backend = backend_of(service, ledger=path)
    with pytest.raises(BackendError, match="1 of 1 jobs for ibm_fake not sent yet, as far as"):
        backend.submit(ask(backend))


def _die(*given: object) -> None:
    raise Death
