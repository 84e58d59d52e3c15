"""What goes wrong on the wire costs no job, no result and no accuracy.

Each fault strikes the unmodified client on its way to the loopback server; the values are those
of an undisturbed run, the jobs those needed, and every result is delivered once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from ibm_cloud_sdk_core.token_managers import token_manager

from qbackend.errors import RecordError, TransientError
from qbackend.machines.ledger.entries import State as EntryState
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.patience import Clock
from tests.loopback import (
    Cut,
    Do,
    Empty,
    Fault,
    Hang,
    LoopbackServer,
    Page,
    Refuse,
    Reset,
    State,
    Status,
    instant_retries,
)
from tests.loopback.client import served

from ..fakes import SPEC
from ..machine_room import (
    LIST,
    NAME,
    POLL,
    RESULTS,
    SUBMIT,
    asked,
    check_whole,
    evaluated,
    expected,
    loopback_backend,
    ready,
)

METRICS = ("GET", "/jobs/{id}/metrics")
USAGE = ("GET", "/instances/usage")
STATUS = ("GET", "/backends/{name}/status")
OPEN = ("POST", "/sessions")
CLOSE = ("PATCH", "/sessions/{id}")
TOKEN = ("POST", "/identity/token")

BURSTS = [
    (Status(429), 3),
    (Status(429, retry_after=3), 3),
    (Status(500), 8),
    (Status(502), 8),
    (Status(503), 8),
    (Reset(), 8),
    (Page(), 3),
    (Empty(), 3),
    (Cut(), 3),
    (Cut(announced=True), 3),
]
"""Effects, and how often: more than the client's own retries absorb."""


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    expected()
    with served() as running:
        yield running


@pytest.mark.parametrize(
    ("request_", "effect", "count"),
    [
        *((request, *burst) for request in (POLL, RESULTS) for burst in BURSTS),
        *((request, *burst) for request in (LIST, METRICS) for burst in (BURSTS[0], BURSTS[4])),
    ],
    ids=repr,
)
def test_a_burst_on_a_get(
    server: LoopbackServer, request_: tuple[str, str], effect: Any, count: int
) -> None:
    fault = server.faults.add(Fault(*request_, effect, count=count))
    check_whole(server, evaluated(loopback_backend()))
    assert len(server.jobs) == 1
    assert fault.seen > count


@pytest.mark.parametrize("effect", [Page(), Empty(), Cut(), Cut(announced=True)], ids=repr)
@pytest.mark.parametrize(
    ("primitive", "generation"),
    [("sampler", "client"), ("estimator", "server"), ("estimator", "client")],
)
def test_what_is_no_result_is_fetched_again(
    server: LoopbackServer, effect: Any, primitive: str, generation: str
) -> None:
    """Each class of the client makes something else of it: a text, None, an error of its own."""
    options = {"primitive": primitive, "generation": generation}
    undisturbed = expected(**options)
    fault = server.faults.add(Fault(*RESULTS, effect, count=2))
    values = evaluated(loopback_backend(**options))
    check_whole(server, values, **options)
    assert fault.seen == 3
    assert undisturbed.shape == values.shape


@pytest.mark.parametrize(("effect", "count"), BURSTS, ids=repr)
def test_a_burst_on_a_submission(server: LoopbackServer, effect: Any, count: int) -> None:
    """A reply that is cut belongs to a job that was accepted, and is found."""
    fault = server.faults.add(Fault(*SUBMIT, effect, count=count))
    check_whole(server, evaluated(loopback_backend()))
    assert len(server.jobs) == 1
    assert fault.seen == (1 if isinstance(effect, Cut) else count + 1)


@pytest.mark.parametrize("request_", [USAGE, STATUS], ids=" ".join)
@pytest.mark.parametrize("effect", [Status(503), Reset(), Page()], ids=repr)
def test_a_burst_on_what_the_client_asks_before_it_submits(
    server: LoopbackServer, request_: tuple[str, str], effect: Any
) -> None:
    backend = loopback_backend()
    asked(backend)
    server.faults.add(Fault(*request_, effect, count=8))
    check_whole(server, evaluated(backend))
    assert len(server.jobs) == 1


@pytest.mark.parametrize(
    ("effect", "count"),
    [
        (Reset(), 1),
        (Reset(), 3),
        (Status(500), 1),
        (Status(502), 1),
        (Status(502), 6),
        (Status(503), 1),
        (Status(503, retry_after=3600), 1),
        (Page(), 1),
        (Empty(), 1),
        (Cut(), 1),
        (Cut(announced=True), 1),
        (Status(429), 1),
    ],
    ids=repr,
)
def test_a_fault_after_the_server_accepted_the_job(
    server: LoopbackServer, effect: Any, count: int
) -> None:
    """It is submitted once, and found by its tag."""
    server.faults.add(Fault(*SUBMIT, effect, count=count, accepted=True))
    server.workload.hold(State.QUEUED)
    backend = loopback_backend()
    job = backend.submit(ready())
    server.workload.release()
    check_whole(server, job.result().values)
    assert (len(server.jobs), server.cancelled()) == (1, [])
    assert len(server.received(*SUBMIT)) == 1


@pytest.mark.parametrize("request_", [POLL, RESULTS, LIST, METRICS], ids=" ".join)
def test_a_server_that_hangs_on_a_get(server: LoopbackServer, request_: tuple[str, str]) -> None:
    server.faults.add(Fault(*request_, Hang(60.0)))
    began = time.monotonic()
    check_whole(server, evaluated(loopback_backend(call_seconds=0.5)))
    assert time.monotonic() - began < 20
    assert len(server.jobs) == 1


def test_a_submission_that_is_accepted_late_is_cancelled(server: LoopbackServer) -> None:
    server.faults.add(Fault(*SUBMIT, Hang(1.5)))
    backend = loopback_backend(start_seconds=0.5)
    server.workload.hold(State.QUEUED)
    job = backend.submit(ready())
    assert len(server.jobs) == 1
    server.workload.wait(lambda: len(server.jobs) == 2)
    Timer(0.5, server.workload.release).start()
    check_whole(server, job.result().values)
    assert [job.state for job in server.jobs] == [State.COMPLETED, State.CANCELLED]


def test_a_server_that_hangs_when_it_is_connected_to(server: LoopbackServer) -> None:
    server.faults.add(Fault(*TOKEN, Hang(60.0)))
    backend = loopback_backend(call_seconds=0.5)
    assert backend.compile(SPEC).record["device"] == NAME


@pytest.mark.parametrize("request_", [POLL, RESULTS, SUBMIT, LIST], ids=" ".join)
def test_connections_refused(server: LoopbackServer, request_: tuple[str, str]) -> None:
    server.faults.add(Fault(*request_, Refuse(0.6)))
    clock = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.2)))
    check_whole(server, evaluated(loopback_backend(clock=clock)))
    assert len(server.jobs) == 1


@pytest.mark.slow
def test_connections_refused_for_ten_seconds(server: LoopbackServer) -> None:
    server.faults.add(Fault(*POLL, Refuse(10.0)))
    backend = loopback_backend(clock=Clock())
    check_whole(server, backend.evaluate(ready()).values)
    assert len(server.jobs) == 1


@pytest.mark.parametrize("request_", [POLL, RESULTS, SUBMIT, LIST, METRICS], ids=" ".join)
def test_a_token_that_is_refused_in_mid_run(
    server: LoopbackServer, request_: tuple[str, str]
) -> None:
    server.faults.add(Fault(*request_, Do(server.identity.refuse_issued_tokens)))
    check_whole(server, evaluated(loopback_backend()))
    assert len(server.jobs) == 1


def test_a_token_that_is_refused_within_a_batch(server: LoopbackServer, three_jobs: None) -> None:
    """The new connection goes on with the batch of the old one, and closes it."""
    server.faults.add(Fault(*SUBMIT, Do(server.identity.refuse_issued_tokens), first=2))
    server.workload.hold(State.QUEUED)
    job = loopback_backend().submit(ready(5))
    server.workload.release()
    check_whole(server, job.result().values, n_jobs=3, n_rows=5)
    assert len(server.jobs) == 3
    assert [session.accepting for session in server.sessions] == [False]


@pytest.mark.parametrize(("effect", "count"), [BURSTS[0], BURSTS[4], BURSTS[5]], ids=repr)
@pytest.mark.parametrize("request_", [OPEN, CLOSE], ids=" ".join)
def test_a_burst_around_a_batch(
    server: LoopbackServer, three_jobs: None, request_: tuple[str, str], effect: Any, count: int
) -> None:
    """A batch that cannot be closed ends by itself; its jobs are whole."""
    server.faults.add(Fault(*request_, effect, count=count))
    server.workload.hold(State.QUEUED)
    with instant_retries():
        job = loopback_backend().submit(ready(5))
    server.workload.release()
    check_whole(server, job.result().values, n_jobs=3, n_rows=5)
    assert len(server.jobs) == 3


@pytest.mark.parametrize("request_", [POLL, RESULTS, SUBMIT, LIST], ids=" ".join)
@pytest.mark.parametrize("effect", [Status(503), Reset(), Page()], ids=repr)
def test_the_identity_service_is_down_at_renewal(
    server: LoopbackServer, request_: tuple[str, str], effect: Any
) -> None:
    """At this request the token's time is over and no new one is to be had, for a while."""
    clock = SimpleNamespace(ahead=0.0, sleep=lambda seconds: None)
    clock.time = lambda: time.time() + clock.ahead

    def expire() -> None:
        clock.ahead = server.identity.lifetime
        server.faults.add(Fault(*TOKEN, effect, count=3))

    server.faults.add(Fault(*request_, Do(expire)))
    with mock.patch.object(token_manager, "time", clock):
        check_whole(server, evaluated(loopback_backend()))
    assert len(server.jobs) == 1
    assert sum(request.fault is not None for request in server.received(*TOKEN)) == 3


def test_a_full_disk_when_the_result_arrives(server: LoopbackServer, tmp_path: Path) -> None:
    """What could not be written has to be fetched again."""
    path = tmp_path / "jobs.sqlite"
    backend = loopback_backend(path)
    job = backend.submit(ready(500))
    connection = backend.ledger._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RecordError, match=rf"full.*qhc resume {tmp_path}"):
        job.result()
    (entry,) = Ledger(path).entries()
    assert entry.state is EntryState.SUBMITTED
    values = evaluated(loopback_backend(path), 500)
    np.testing.assert_array_equal(values, expected(500))
    assert [server.deliveries(job) for job in server.jobs] == [2]


def test_a_network_that_does_not_come_back_leaves_the_job_to_a_later_run(
    server: LoopbackServer, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.sqlite"
    backend = loopback_backend(path)
    server.workload.hold(State.QUEUED)
    job = backend.submit(ready())
    fault = server.faults.add(Fault("*", "*", Reset(), count=None))
    lost = rf"{server.jobs[0].id}.*qhc resume {tmp_path}"
    with instant_retries(), pytest.raises(TransientError, match=lost):
        job.result()
    server.faults.remove(fault)
    server.workload.release()
    check_whole(server, evaluated(loopback_backend(path)))
    assert len(server.jobs) == 1


def test_bursts_everywhere(server: LoopbackServer, three_jobs: None) -> None:
    """Every fifth request fails, whichever it is."""
    server.workload.hold(State.QUEUED)
    backend = loopback_backend()
    request = ready(5)
    for first in range(3, 60, 5):
        server.faults.add(Fault("*", "/jobs*", Status(502), first=first))
    job = backend.submit(request)
    server.workload.release()
    check_whole(server, job.result().values, n_jobs=3, n_rows=5)
