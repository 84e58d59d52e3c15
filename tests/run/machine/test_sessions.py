"""A session is billed by the clock: estimated and charged so, known by its id, and closed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import PAID_PLAN, Fault, Instance, LoopbackServer, State, Status
from tests.loopback.client import served, tiny
from tests.support.command_line import Qhc, last_line, start_qhc

from .commands import sent


@pytest.fixture
def paid() -> Iterator[LoopbackServer]:
    """A plan that has sessions."""
    with served([tiny()], [Instance("paid", PAID_PLAN)]) as running:
        yield running


def test_a_session_is_charged_by_the_clock(
    qhc: Qhc, trained: Path, paid: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = sent(trained, "--session", "--calibrate", "8", "--json")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    assert "billed by the clock" in err
    plan = last_line(out)
    monkeypatch.setattr("qbackend.ibm.service.Session.usage", lambda session: 33.5)
    code, out, err = qhc(*command, "--yes", "--out", "a")
    assert code == 0, err
    line = last_line(out)
    (session,) = paid.sessions
    assert (session.mode, session.accepting) == ("dedicated", False)
    assert {job.session_id for job in paid.jobs} == {session.id}
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    assert line["charged_seconds"] == 33.5
    code, out, err = qhc("jobs", "a")
    assert f"session {session.id}, billed by the clock: 33.5 s charged" in " ".join(out.split())
    assert "33.5 s charged so far" in out
    assert [job["session"] for job in last_line(qhc("jobs", "a", "--json")[1])["jobs"]] == [
        session.id
    ] * 2


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
def test_a_session_is_closed_by_whoever_comes_back(
    qhc: Qhc, tmp_path: Path, trained: Path, paid: LoopbackServer, end: signal.Signals
) -> None:
    """What is killed cannot close it; then `resume` does."""
    paid.workload.hold(State.QUEUED)
    running = start_qhc(tmp_path, *sent(trained, "--session", "--yes", "--out", "a"))
    paid.wait_for(State.QUEUED, timeout=120)
    paid.wait(lambda: bool(paid.received("GET", "/jobs/{id}")), timeout=30)
    (session,) = paid.sessions
    running.send_signal(end)
    _, err = running.communicate(timeout=60)
    is_killed = end is signal.SIGKILL
    assert running.returncode == (-end if is_killed else 130), err
    assert session.accepting is is_killed
    ledger = Ledger.existing(tmp_path / "a" / "jobs.sqlite", read_only=True)
    assert [each.id for each in ledger.open_workloads()] == [session.id] * is_killed
    ledger.close()
    paid.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert not session.accepting
    assert len(paid.jobs) == 1


def test_a_finished_run_closes_one_that_could_not_be_closed(
    qhc: Qhc, trained: Path, paid: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All results were there, and then the network was gone."""
    monkeypatch.setattr("qbackend.machines.workloads.CHARGE_SECONDS", 0.5)
    down = paid.faults.add(Fault("PATCH", "/sessions/{id}", Status(503), count=None))
    code, _, err = qhc(*sent(trained, "--session", "--yes", "--out", "a"))
    assert code == 0, err
    (session,) = paid.sessions
    assert session.accepting
    paid.faults.remove(down)
    assert RunFolder.open(Path("a")).status == "finished"
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert not session.accepting
    assert "nothing is left to do" in err


def test_cancelling_closes_it(qhc: Qhc, trained: Path, paid: LoopbackServer) -> None:
    """As a process that was killed leaves it, in a ledger that says so."""
    paid.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--session", "--yes", "--no-wait", "--out", "a"))[0] == 0
    (session,) = paid.sessions
    assert not session.accepting
    session.accepting, session.closed = True, None
    ledger = Ledger(Path("a/jobs.sqlite"))
    ledger._write("UPDATE workloads SET closed_at = NULL WHERE id = ?", (session.id,))
    ledger.close()
    code, _, err = qhc("cancel", "a")
    assert code == 0, err
    assert not session.accepting
