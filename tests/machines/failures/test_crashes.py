"""A process may die at any line, and two may go on with one run: nothing is sent or fetched twice.

What was fetched but not yet written when its process died has to be fetched again; there is no
way around that.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qbackend.errors import JobFailedError
from qbackend.machines.ledger.entries import State as EntryState
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import FAILED, LoopbackServer, State
from tests.loopback.client import served
from tests.loopback.jobs import BATCH_OVER

from ..machine_room import check_whole, evaluated, expected, loopback_backend
from ..processes import LEDGER, SERVICE, Point, ask_elsewhere

UNWRITTEN = (Point("fetch", after=True), Point("done"))
"""Where a result is lost with the process."""

EVERYWHERE = [
    Point(method, after=after)
    for method in (*LEDGER, *SERVICE)
    if method not in ("ended", "plan_again")
    for after in (False, True)
]
QUICK = [Point("start", after=True), Point("done", after=True)]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    expected()
    with served() as running:
        yield running


def killed(server: LoopbackServer, path: Path, point: Point, n_rows: int = 3) -> bool:
    """Whether a process that asks for the request died at the point, and did not finish."""
    process = ask_elsewhere(path, server.environment, point, n_rows)
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def go_on_after(server: LoopbackServer, path: Path, point: Point) -> None:
    assert killed(server, path, point)
    values = evaluated(loopback_backend(path))
    np.testing.assert_array_equal(values, expected())
    (job,) = server.jobs
    assert server.deliveries(job) == (2 if point in UNWRITTEN else 1)
    assert [entry.state for entry in Ledger(path).entries()] == [EntryState.DONE]


@pytest.mark.parametrize("point", QUICK, ids=str)
def test_a_killed_process_is_gone_on_from(server: LoopbackServer, path: Path, point: Point) -> None:
    go_on_after(server, path, point)


@pytest.mark.slow
@pytest.mark.parametrize("point", [p for p in EVERYWHERE if p not in QUICK], ids=str)
def test_a_process_killed_anywhere_is_gone_on_from(
    server: LoopbackServer, path: Path, point: Point
) -> None:
    go_on_after(server, path, point)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [Point("start", 2), Point("start", 2, after=True), Point("submitted", 3), Point("only", 2)],
    ids=str,
)
def test_a_process_killed_among_several_jobs_is_gone_on_from(
    server: LoopbackServer, path: Path, point: Point, three_jobs: None
) -> None:
    expected(5)
    server.workload.hold(State.QUEUED)
    assert killed(server, path, point, n_rows=5)
    backend = loopback_backend(path, wait=True)
    threading.Timer(0.5, server.workload.release).start()
    check_whole(server, evaluated(backend, 5), n_jobs=3, n_rows=5)
    assert len(server.jobs) == 3


@pytest.mark.slow
@pytest.mark.parametrize("point", [Point("ended"), Point("ended", after=True)], ids=str)
def test_a_process_killed_while_it_enters_a_failure_is_gone_on_from(
    server: LoopbackServer, path: Path, point: Point
) -> None:
    """Before it was entered, the failure is news to the next process; then the rows are sent."""
    server.workload.end_jobs(FAILED)
    assert killed(server, path, point)
    if not point.after:
        with pytest.raises(JobFailedError):
            evaluated(loopback_backend(path))
    assert evaluated(loopback_backend(path)).shape == expected().shape
    assert [server.deliveries(job) for job in server.jobs] == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("point", [Point("plan_again"), Point("plan_again", after=True)], ids=str)
def test_a_process_killed_while_it_plans_again_is_gone_on_from(
    server: LoopbackServer, path: Path, point: Point
) -> None:
    server.workload.end_jobs(BATCH_OVER)
    assert killed(server, path, point)
    assert evaluated(loopback_backend(path)).shape == expected().shape
    assert [server.deliveries(job) for job in server.jobs] == [0, 1]


@pytest.mark.slow
def test_a_process_waits_for_one_that_is_killed(server: LoopbackServer, path: Path) -> None:
    dying = ask_elsewhere(path, server.environment, Point("start", after=True))
    check_whole(server, evaluated(loopback_backend(path)))
    dying.join(60)
    assert dying.exitcode in (0, -signal.SIGKILL)
    assert len(server.jobs) == 1


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(
    server: LoopbackServer, path: Path
) -> None:
    """Each process dies one step later than the one before it, until one finishes."""
    deaths = 0
    while killed(server, path, Point("*", 1 + deaths)):
        deaths += 1
        assert deaths < 60
    assert deaths > 5
    np.testing.assert_array_equal(evaluated(loopback_backend(path)), expected())
    assert len(server.jobs) == 1
    # Once more at the most for each step at which a result is lost.
    assert 1 <= server.deliveries(server.jobs[0]) <= 1 + len(UNWRITTEN)


def test_two_processes_and_a_third_ask_at_once(server: LoopbackServer, path: Path) -> None:
    server.workload.hold(State.QUEUED)
    others = [ask_elsewhere(path, server.environment) for _ in range(2)]
    threading.Timer(0.5, server.workload.release).start()
    values = evaluated(loopback_backend(path))
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    check_whole(server, values)
    assert len(server.jobs) == 1


@pytest.mark.slow
def test_two_processes_share_several_jobs(
    server: LoopbackServer, path: Path, three_jobs: None
) -> None:
    expected(5)
    server.workload.hold(State.QUEUED)
    others = [ask_elsewhere(path, server.environment, n_rows=5) for _ in range(2)]
    server.workload.wait(lambda: len(server.jobs) == 3, timeout=60.0)
    server.workload.release()
    for process in others:
        process.join(60)
        assert process.exitcode == 0
    check_whole(server, evaluated(loopback_backend(path), 5), n_jobs=3, n_rows=5)
    assert len(server.jobs) == 3
