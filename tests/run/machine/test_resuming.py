"""`qhc resume` may be told how long to wait, or not to wait at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc

from .commands import FAKE, TUNING, sent


@pytest.fixture
def waiting(qhc: Qhc, trained: Path, server: LoopbackServer) -> LoopbackServer:
    """A server that has the job of run `a`, queued."""
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
    return server


def test_a_deadline_is_for_this_time_alone(qhc: Qhc, waiting: LoopbackServer) -> None:
    before = RunFolder.open(Path("a")).config()
    code, _, err = qhc("resume", "a", "--deadline", "3")
    assert code == 1
    assert "no result after 3 s" in err
    folder = RunFolder.open(Path("a"))
    assert (folder.status, folder.config()) == ("waiting", before)
    waiting.workload.release()
    assert qhc("resume", "a")[0] == 0
    assert len(waiting.jobs) == 1


def test_nothing_is_waited_for_where_nobody_wants_to(qhc: Qhc, waiting: LoopbackServer) -> None:
    code, _, err = qhc("resume", "a", "--no-wait")
    assert code == 0
    assert "was not waited for" in err
    assert RunFolder.open(Path("a")).status == "waiting"
    waiting.workload.release()
    waiting.wait_for(State.COMPLETED)
    assert qhc("resume", "a")[0] == 0


def test_a_deadline_that_is_none_is_refused(qhc: Qhc, waiting: LoopbackServer) -> None:
    code, _, err = qhc("resume", "a", "--deadline", "-1")
    assert code == 2
    assert "deadline must be a number above 0" in err


def test_flags_without_a_meaning_are_refused(qhc: Qhc, trained: Path) -> None:
    for flag in (("--deadline", "5"), ("--no-wait",)):
        code, _, err = qhc("resume", str(trained), *flag)
        assert code == 2
        assert f"{flag[0]} only has a meaning on a machine" in err


def test_training_waits_when_it_is_resumed_too(qhc: Qhc, trained: Path) -> None:
    assert qhc(*sent(trained, *TUNING, "--out", "a", backend=FAKE))[0] == 0
    RunFolder.open(Path("a")).note(status="interrupted")
    code, _, err = qhc("resume", "a", "--no-wait")
    assert code == 2
    assert "training waits for the result of every step" in err


def test_a_read_only_folder_shows_its_jobs(
    qhc: Qhc, waiting: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, not even beside the ledger: not for root either, who may write."""
    run = Path("a")
    for suffix in (".lock", ".pid"):
        Path(f"a/jobs.sqlite{suffix}").unlink(missing_ok=True)
    monkeypatch.setattr("experiments.run.jobs.is_writable", lambda folder: False)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*")}
    for path in [*run.rglob("*"), run]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        code, out, err = qhc("jobs", "a")
        assert code == 0, err
        assert waiting.jobs[0].id in out
        waiting.workload.release()
        waiting.wait_for(State.COMPLETED)
        assert qhc("jobs", "a")[0] == 0
    finally:
        run.chmod(0o755)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*")}
    assert after == before


def test_a_ledger_in_use_is_read_as_it_stands(qhc: Qhc, waiting: LoopbackServer) -> None:
    """What its writer has not put into the file yet is read, too, where that can be."""
    writer = Ledger(Path("a/jobs.sqlite"))
    (entry,) = writer.entries()
    writer.charged(entry.tag, 4.5)
    reader = Ledger.existing(Path("a/jobs.sqlite"), read_only=True)
    assert [each.qpu_seconds for each in reader.entries()] == [4.5]
    reader.close()
    writer.close()
