"""`--no-wait` says which requests are sent, which are not yet, and what sends them."""

from __future__ import annotations

from pathlib import Path

from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc

from .commands import sent


def test_what_is_not_sent_yet_is_named(qhc: Qhc, trained: Path, server: LoopbackServer) -> None:
    """The calibration's request follows the test's answers."""
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, "--calibrate", "8", "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    (job,) = server.jobs
    assert f"1 of the run's 2 requests are sent (jobs {job.id}); qhc resume a sends" in err
    server.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert len(server.jobs) == 2


def test_a_single_request_needs_no_word(qhc: Qhc, trained: Path, server: LoopbackServer) -> None:
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    assert "not waited for" in err
    assert "requests" not in err
