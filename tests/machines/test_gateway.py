"""Patience is bounded, and after any failure of a submission the service is asked first."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from qbackend.errors import (
    BackendError,
    JobTimeoutError,
    MachineError,
    TokenRefusedError,
    TransientError,
)
from qbackend.machines.gateway import Gateway
from qbackend.machines.ledger.entries import Intent, State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.patience import ATTEMPTS, LONGEST_PAUSE, NoAnswerError, poll_pauses, within
from qbackend.machines.service import Call

from .fakes import MACHINE, FakeService, Fault, Time, ask, backend_of

LOST = TransientError("connection reset")
REFUSED = TokenRefusedError("401")


def gateway(service: FakeService, time: Time | None = None, **options: Any) -> Gateway:
    return Gateway(lambda: service, clock=(time or Time()).clock, **options)


@pytest.fixture
def call() -> Call:
    request = ask(backend_of(FakeService()))
    return Call(request.compiled, request.parameters, 64, 1, ExecutionOptions())


@pytest.fixture
def ledger(call: Call) -> Ledger:
    """With one planned entry."""
    ledger = Ledger()
    intent = Intent("content", MACHINE, "crn", 64, ExecutionOptions())
    ledger.plan(intent, call.parameters, [range(3)], [1.0])
    return ledger


def start(service: FakeService, ledger: Ledger, call: Call) -> str | None:
    """The id that the ledger has of the entry once it is submitted."""
    gateway(service).start(ledger, ledger.entries()[0], MACHINE, call, None)
    (entry,) = ledger.entries()
    assert entry.state is State.SUBMITTED
    return entry.job_id


def test_what_may_pass_is_tried_again() -> None:
    service, time, told = FakeService(), Time(), []
    service.faults.append(Fault("machines", LOST, count=3))
    asked = gateway(service, time, tell=told.append)
    assert [machine.name for machine in asked.ask(lambda s: s.machines())] == [MACHINE]
    assert time.slept == [1, 2, 4]
    assert told[0] == "connection reset; trying again in 1 s"


def test_patience_ends() -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("machines", LOST, count=10**6))
    with pytest.raises(TransientError, match="connection reset"):
        gateway(service, time).ask(lambda s: s.machines())
    assert service.count("machines") == ATTEMPTS + 1
    assert max(time.slept) == LONGEST_PAUSE


@pytest.mark.parametrize(("asked_for", "waited"), [(17.0, [17.0]), (0.1, [1.0])])
def test_retry_after_is_kept_to(asked_for: float, waited: list[float]) -> None:
    service, time = FakeService(), Time()
    busy = TransientError("busy", status_code=429, retry_after=asked_for)
    service.faults.append(Fault("machines", busy))
    gateway(service, time).ask(lambda s: s.machines())
    assert time.slept == waited


def test_a_service_that_asks_for_an_hour_gets_no_wait() -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("machines", TransientError("busy", retry_after=3600.0)))
    with pytest.raises(TransientError):
        gateway(service, time).ask(lambda s: s.machines())
    assert time.slept == []


def test_other_errors_are_not_tried_again() -> None:
    service = FakeService()
    service.faults.append(Fault("machines", BackendError("bad request")))
    with pytest.raises(BackendError):
        gateway(service).ask(lambda s: s.machines())
    assert service.count("machines") == 1


def test_a_refused_token_brings_a_new_connection() -> None:
    service = FakeService()
    service.faults.append(Fault("machines", REFUSED))
    asked = gateway(service)
    asked.ask(lambda s: s.machines())
    asked.ask(lambda s: s.machines())
    assert service.count("reconnect") == 1


def test_a_failed_reconnection_is_tried_again() -> None:
    service, time = FakeService(), Time()
    service.faults += [Fault("machines", REFUSED), Fault("reconnect", LOST, count=2)]
    gateway(service, time).ask(lambda s: s.machines())
    assert (service.count("reconnect"), service.connections) == (3, 2)


def test_what_hangs_is_left_behind_and_connected_anew() -> None:
    service, let_go = FakeService(), threading.Event()
    service.faults.append(Fault("machines", let_go.wait))
    assert gateway(service, call_seconds=0.1).ask(lambda s: s.machines())
    assert service.count("reconnect") == 1
    let_go.set()


def test_within_gives_what_a_call_gives() -> None:
    assert within(5.0, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 / 0)
    with pytest.raises(NoAnswerError):
        within(0.01, threading.Event().wait)


def test_a_deadline_ends_the_tries() -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("machines", LOST, count=10**6))
    with pytest.raises(JobTimeoutError, match="connection reset"):
        gateway(service, time).ask(lambda s: s.machines(), until=time.seconds + 10)
    assert time.seconds == 10


def test_pauses_between_looks_rise_and_stay() -> None:
    pauses = poll_pauses(Time().clock, 5.0, 30.0)
    assert [next(pauses) for _ in range(7)] == [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]


@pytest.mark.parametrize("error", [LOST, REFUSED, BackendError("odd"), ValueError("client's own")])
def test_a_job_behind_any_failure_is_found(ledger: Ledger, call: Call, error: Exception) -> None:
    service = FakeService()
    service.faults.append(Fault("start", error, after=True))
    assert start(service, ledger, call) == "job-0"
    assert len(service.jobs) == 1


@pytest.mark.parametrize("error", [LOST, REFUSED])
def test_a_submission_that_failed_is_repeated(ledger: Ledger, call: Call, error: Exception) -> None:
    service = FakeService()
    service.faults.append(Fault("start", error, count=2))
    assert start(service, ledger, call) == "job-0"
    assert (service.count("start"), len(service.jobs)) == (3, 1)


def test_a_submission_that_is_refused_is_not_repeated(ledger: Ledger, call: Call) -> None:
    service = FakeService()
    service.faults.append(Fault("start", MachineError("retired")))
    with pytest.raises(MachineError):
        start(service, ledger, call)
    assert service.count("start") == 1


def test_nothing_is_submitted_while_nobody_can_tell(ledger: Ledger, call: Call) -> None:
    service = FakeService()
    service.faults += [Fault("start", LOST, after=True), Fault("find", LOST, count=10**6)]
    with pytest.raises(TransientError):
        start(service, ledger, call)
    assert len(service.jobs) == 1


def test_of_several_jobs_the_oldest_stays(ledger: Ledger, call: Call) -> None:
    service, (planned,) = FakeService(looks=5), ledger.entries()
    for _ in range(3):
        newest = service.start(MACHINE, call, planned.tag, None)
    ledger.submitted(planned.tag, newest)
    for _ in range(2):
        gateway(service).keep_one(ledger, ledger.entries()[0])
    assert [job.id for job in service.live()] == ["job-0"]
    assert (ledger.entries()[0].job_id, ledger.entries()[0].is_only) == ("job-0", True)
