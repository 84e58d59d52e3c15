"""Whatever a service asks for, the wait is told, and the deadline covers the sending too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qbackend.errors import JobTimeoutError, TransientError
from qbackend.ibm.service import connect
from qbackend.machines.backend import MachineBackend
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.patience import DOUBT_SECONDS, LONGEST_RETRY_AFTER, Limit
from tests.ibm.calls import NAME, call, small_machine
from tests.loopback import Fault as ServerFault
from tests.loopback import Hang, LoopbackServer, Reset, Status
from tests.loopback.client import served

from ..fakes import SPEC, FakeService, Fault, Time, ask, backend_of, undisturbed
from ..machine_room import LIST, POLL, RESULTS, SUBMIT, expected, loopback_backend, ready

LOST = TransientError("connection reset")
FOR_EVER = 10**6
USAGE, OPEN = ("GET", "/instances/usage"), ("POST", "/sessions")
DEVICE = ("GET", "/backends/{name}/properties")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    expected()
    with served() as running:
        yield running


def run(backend: MachineBackend) -> None:
    backend.evaluate(ready())


def busy(seconds: float) -> TransientError:
    return TransientError("429 Too Many Requests", status_code=429, retry_after=seconds)


@pytest.mark.parametrize("method", ["machine", "start", "state", "fetch", "find", "plan"])
def test_a_wait_that_the_service_asks_for_is_told(method: str) -> None:
    service, time, heard = FakeService(), Time(), []
    service.faults.append(Fault(method, busy(400.0)))
    backend = backend_of(service, time, progress=heard.append)
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())
    assert time.slept == [400.0]
    assert "429 Too Many Requests; trying again in 400 s" in [each.words for each in heard]
    assert len(service.jobs) == 1


@pytest.mark.parametrize("method", ["machine", "start", "state", "fetch", "find", "plan"])
def test_an_hour_is_waited_for_only_where_a_deadline_has_it(method: str) -> None:
    hour = [Fault(method, busy(3600.0))]
    service, time = FakeService(), Time()
    service.faults = list(hour)
    backend = backend_of(service, time)
    request = ask(backend)
    wanted = f"3,600 s, more than the {LONGEST_RETRY_AFTER:.0f} s that are waited without"
    with pytest.raises(TransientError, match=wanted):
        backend.evaluate(request)
    assert time.slept == []

    service, time = FakeService(), Time()
    service.faults = [Fault(method, busy(3600.0))]
    backend = backend_of(service, time, deadline=600.0)
    with pytest.raises(JobTimeoutError, match="3,600 s, and 600 s are left"):
        backend.evaluate(ask(backend))
    assert time.slept == []

    service, time = FakeService(), Time()
    service.faults = [Fault(method, busy(3600.0))]
    backend = backend_of(service, time, deadline=7200.0)
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())
    assert time.slept == [3600.0]


@pytest.mark.parametrize(
    ("method", "left_behind"),
    [
        ("start", "1 of 1 jobs for ibm_fake not sent yet"),
        ("open_workload", "1 of 1 jobs for ibm_fake not sent yet"),
        ("find", "job job-0 on ibm_fake goes on unharmed"),
    ],
)
def test_sending_ends_with_the_deadline(method: str, left_behind: str, tmp_path: Path) -> None:
    """And says what is not sent, and what goes on with it."""
    service, time = FakeService(), Time()
    service.faults.append(Fault(method, LOST, count=FOR_EVER))
    backend = backend_of(
        service, time, ledger=tmp_path / "jobs.sqlite", mode="batch", deadline=100.0
    )
    with pytest.raises(JobTimeoutError, match=f"{left_behind}.*resume {tmp_path}"):
        backend.submit(ask(backend))
    assert time.seconds == 100.0


@pytest.mark.parametrize("method", ["device", "machine", "plan"])
def test_what_comes_before_the_sending_ends_with_the_deadline(method: str) -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault(method, LOST, count=FOR_EVER))
    backend = backend_of(service, time, deadline=100.0)
    with pytest.raises(JobTimeoutError, match="connection reset"):
        backend.submit(ask(backend))
    assert (time.seconds, service.jobs) == (100.0, [])


def test_the_search_for_a_doubtful_job_ends_with_the_deadline(tmp_path: Path) -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("start", LOST, after=True))
    service.find = lambda tag: []  # type: ignore[method-assign]
    backend = backend_of(service, time, ledger=tmp_path / "jobs.sqlite", deadline=20.0)
    assert DOUBT_SECONDS > 20.0
    with pytest.raises(JobTimeoutError, match="as far as is known"):
        backend.submit(ask(backend))
    assert time.seconds == 20.0
    # Whoever goes on searches for it first.
    (entry,) = Ledger(tmp_path / "jobs.sqlite").entries()
    assert entry.doubtful_since is not None


def test_what_sending_took_is_not_left_to_wait() -> None:
    service, time = FakeService(looks=FOR_EVER), Time()
    service.faults.append(Fault("start", busy(70.0)))
    backend = backend_of(service, time, deadline=100.0)
    job = backend.submit(ask(backend))
    assert time.seconds == 70.0
    with pytest.raises(JobTimeoutError, match="no result after 100 s"):
        job.result()
    assert time.seconds == 100.0


def test_a_question_to_a_person_is_no_wait() -> None:
    service, time = FakeService(), Time()

    def think(cost: Any) -> bool:
        time.seconds += 500.0
        return True

    backend = backend_of(service, time, deadline=100.0, approve=think)
    np.testing.assert_array_equal(backend.evaluate(ask(backend)).values, undisturbed())


def test_what_certainly_was_not_sent_is_not_searched_for() -> None:
    service, time = FakeService(), Time()
    unsent = TransientError("503 Service Unavailable", is_unsent=True)
    service.faults.append(Fault("start", unsent, count=3))
    backend = backend_of(service, time)
    backend.submit(ask(backend))
    assert time.slept == [1.0, 2.0, 4.0]
    (entry,) = backend.ledger.entries()
    assert (entry.doubtful_since, entry.is_only) == (None, True)


@pytest.mark.parametrize(
    ("request_", "effect", "is_unsent"),
    [
        (USAGE, Status(503), True),
        (USAGE, Reset(), True),
        (("GET", "/backends/{name}/status"), Status(500), True),
        (SUBMIT, Status(503), False),
        (SUBMIT, Status(503, retry_after=3600), False),
        (SUBMIT, Reset(), False),
    ],
    ids=repr,
)
def test_a_failure_before_the_submission_is_told_from_one_of_it(
    request_: tuple[str, str], effect: Any, is_unsent: bool
) -> None:
    with served([small_machine()]) as server:
        service = connect()
        service.paying_for(NAME)
        server.faults.add(ServerFault(*request_, effect))
        with pytest.raises(TransientError) as caught:
            service.start(NAME, call(), "mine", None)
        assert caught.value.is_unsent is is_unsent


def test_a_service_that_is_down_got_no_submission() -> None:
    with served([small_machine()]) as server:
        service = connect()
        service.paying_for(NAME)
        server.refuse_connections(600.0)
        with suppress(TransientError):
            service.plan()  # by the connection that was open
        with pytest.raises(TransientError) as caught:
            service.open_workload(NAME, session=False)
        assert caught.value.is_unsent


@pytest.mark.parametrize(
    "request_", [DEVICE, USAGE, SUBMIT, OPEN, LIST, POLL, RESULTS], ids=" ".join
)
@pytest.mark.parametrize("code", [429, 503])
def test_on_the_wire_an_hour_ends_in_words_at_once(
    server: LoopbackServer, request_: tuple[str, str], code: int, path: Path
) -> None:
    """No raw JSON, and what the wait would be for."""
    server.faults.add(ServerFault(*request_, Status(code, retry_after=3600), count=None))
    backend = loopback_backend(path, deadline=5.0, mode="batch")
    asked = partial(backend.compile, SPEC) if request_ == DEVICE else partial(run, backend)
    with pytest.raises(JobTimeoutError) as caught:
        asked()
    told = str(caught.value)
    assert f"{code} {'Too Many Requests' if code == 429 else 'Service Unavailable'}" in told
    assert "it asks to be left alone for 3,600 s" in told
    assert "{" not in told
    assert request_ == DEVICE or "qhc resume" in told or server.jobs == []


def test_a_server_that_hangs_is_left_at_the_deadline(server: LoopbackServer, path: Path) -> None:
    server.faults.add(ServerFault(*SUBMIT, Hang(60.0)))
    backend = loopback_backend(path, deadline=2.0, call_seconds=60.0, start_seconds=60.0)
    with pytest.raises(JobTimeoutError, match="as far as is known"):
        backend.submit(ready())


def test_a_limit_is_of_its_thread_and_of_its_time() -> None:
    limit, seen = Limit(), []
    with limit.by(5.0):
        with limit.by(7.0):
            assert limit.until == 7.0
        assert limit.until == 5.0
        other = threading.Thread(target=lambda: seen.append(limit.until))
        other.start()
        other.join()
    assert (limit.until, seen) == (np.inf, [np.inf])


@pytest.mark.parametrize("mode", ["batch", "session"])
def test_what_was_opened_is_closed_after_the_deadline(mode: str) -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("start", LOST, count=FOR_EVER))
    backend = backend_of(service, time, mode=mode, deadline=20.0)
    with pytest.raises(JobTimeoutError):
        backend.submit(ask(backend))
    backend.close()
    assert [workload.closed for workload in service.workloads] == [1]
