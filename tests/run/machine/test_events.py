"""What is told while a machine is waited for, to a person and to a log."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.run.display import Display
from qbackend.machines.gateway import Progress
from tests.loopback import Fault, LoopbackServer, MachineStatus, Status
from tests.support.command_line import Qhc

from .commands import sent


def display_of(*, is_terminal: bool) -> tuple[Display, io.StringIO]:
    display, out = Display(), io.StringIO()
    display.console = Console(file=out, force_terminal=is_terminal, highlight=False)
    return display, out


def queued(place: int, **changes: Any) -> Progress:
    return Progress(
        **{"done": 0, "jobs": 1, "words": "queued", "queue_position": place}
        | {"tag": "qhc-1", "job_id": "d1"}
        | changes
    )


def test_without_a_terminal_there_is_a_line_for_each_event() -> None:
    display, out = display_of(is_terminal=False)
    waits = Progress(0, 0, "connection reset; trying again in 60 s")
    with display.waiting():
        for progress in (
            Progress(0, 0, "job d1 sent to ibm_x"),
            *(queued(place) for place in range(100, 0, -1)),
            waits,
            waits,
            queued(1, words="running", queue_position=None),
            queued(1, words="running", queue_position=None),
            queued(1, words="done", queue_position=None, done=1),
        ):
            display.progress(progress)
    places = [100, 50, 25, 12, 6, 3, 1]
    assert out.getvalue().splitlines() == [
        "job d1 sent to ibm_x",
        *(f"job d1: queued, place {n} in the queue (0 of 1 jobs done)" for n in places),
        *["connection reset; trying again in 60 s"] * 2,
        "job d1: running (0 of 1 jobs done)",
        "job d1: done (1 of 1 jobs done)",
    ]


def test_jobs_are_told_apart() -> None:
    display, out = display_of(is_terminal=False)
    for _ in range(2):
        for tag in ("qhc-1", "qhc-2"):
            display.progress(queued(5, tag=tag, job_id=tag))
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == [
        "job qhc-1",
        "job qhc-2",
    ]


@pytest.mark.parametrize("beside", ["training", "waiting"])
def test_why_there_is_a_wait_stays_on_a_terminal(beside: str) -> None:
    display, out = display_of(is_terminal=True)
    with getattr(display, beside)():
        display.progress(queued(3))
        display.progress(Progress(0, 0, "too many requests; trying again in 30 s"))
        display.progress(queued(2))
    assert "too many requests; trying again in 30 s\n" in out.getvalue()


def test_a_machine_tells_a_log_how_far_its_jobs_are(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.faults.add(Fault("GET", "/jobs/{id}", Status(429, retry_after=1)))
    code, _, err = qhc(*sent(trained, "--yes", "--out", "a"))
    assert code == 0, err
    (job,) = server.jobs
    lines = [
        f"job {job.id} sent to ibm_loopback",
        "429 Too Many Requests",
        f"job {job.id}: done (1",
    ]
    places = [err.index(line) for line in lines]
    assert places == sorted(places)
    assert "trying again in 1 s" in err


@pytest.mark.parametrize("status", [MachineStatus.PAUSED, MachineStatus.MAINTENANCE])
def test_a_machine_that_takes_no_jobs_is_named_before_anything_is_sent(
    qhc: Qhc, trained: Path, server: LoopbackServer, status: MachineStatus
) -> None:
    server.machines["ibm_loopback"].status = status
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    told = f"ibm_loopback is {status.value}: jobs wait until it is back"
    assert err.index(told) < err.index("sent to ibm_loopback")
    assert err.index(told) < err.index("plan on ibm_loopback")
