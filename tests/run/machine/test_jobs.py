"""Jobs that outlive the command that sent them: resumed, listed, cancelled."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.config.recipe import load_config
from experiments.evaluation import validation
from experiments.records.folder import RunFolder
from qbackend.errors import RecordError
from qbackend.ibm import limits
from qbackend.machines.gateway import Gateway
from qbackend.machines.ledger.entries import Intent
from qbackend.machines.ledger.entries import State as EntryState
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from tests.loopback import Fault, LoopbackServer, State, Status
from tests.loopback.client import served
from tests.support.command_line import Qhc, last_line, start_qhc

from .commands import FAKE, MACHINE, SHOTS, sent, stages


def test_jobs_that_nobody_waits_for_are_collected_later(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    code, out, err = qhc(*sent(trained, "--yes", "--no-wait", "--json", "--out", "a"))
    assert code == 0, err
    line = last_line(out)
    assert line["status"] == RunFolder.open(Path("a")).status == "waiting"
    assert "qhc resume a" in err
    (job,) = server.jobs
    assert [found["job_id"] for found in line["jobs"]] == [job.id]
    code, out, _ = qhc("jobs", "a")
    assert code == 0
    assert "submitted" in out
    assert job.id in out
    before = RunFolder.open(Path("a")).evaluations()
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert RunFolder.open(Path("a")).evaluations()[:2] == before
    assert stages("a") == ["ideal", "noise", "machine"]
    assert len(server.jobs) == 1
    assert server.deliveries(job) == 1
    code, out, _ = qhc("jobs", "a", "--json")
    (found,) = last_line(out)["jobs"]
    assert (found["state"], found["charged_seconds"]) == ("done", pytest.approx(job.charged))


def test_a_full_disk_between_answer_and_record_loses_nothing(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = validation.write_atomically

    def full(path: Path, content: bytes) -> None:
        if server.jobs:
            raise RecordError("no space left")
        written(path, content)

    monkeypatch.setattr(validation, "write_atomically", full)
    code, _, err = qhc(*sent(trained, "--yes", "--out", "a"))
    assert code == 1
    assert "no space left" in err
    monkeypatch.setattr(validation, "write_atomically", written)
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine"]
    (job,) = server.jobs
    assert server.deliveries(job) == 1


def test_a_job_that_is_settled_late_shows_its_price_later(qhc: Qhc, trained: Path) -> None:
    with served(usage_seconds=1.0) as server:
        server.workload.hold(State.QUEUED)
        assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
        (job,) = server.jobs
        ledger = Ledger(Path("a/jobs.sqlite"))
        (entry,) = ledger.entries()
        ledger.ended(entry.tag, EntryState.FAILED, "")
        server.workload.release()
        server.wait_for(State.COMPLETED)

        def charged() -> float | None:
            return last_line(qhc("jobs", "a", "--json")[1])["jobs"][0]["charged_seconds"]

        assert charged() is None
        server.wait(lambda: charged() is not None)
        assert charged() == pytest.approx(job.charged)


def test_a_deadline_ends_the_wait_and_no_job(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, "--yes", "--deadline", "4", "--out", "a"))
    assert code == 1
    assert "qhc resume a" in err
    assert RunFolder.open(Path("a")).status == "waiting"
    (job,) = server.jobs
    assert job.state is State.QUEUED


def test_a_fake_device_waits_for_resume(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, "--no-wait", "--out", "a", "--json", backend=FAKE))
    assert code == 0, err
    assert [job["state"] for job in last_line(out)["jobs"]] == ["planned"]
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert last_line(out)["jobs"] == 1


def test_cancelled_jobs_are_sent_again_by_resume(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
    (job,) = server.jobs
    code, out, err = qhc("cancel", "a")
    assert code == 0, err
    assert out == f"cancelled: {job.id}\n"
    assert job.state is State.CANCELLED
    assert qhc("cancel", "a")[1] == "nothing to cancel: every job has ended\n"
    server.workload.release()
    code, _, err = qhc("resume", "a", "--max-qpu-seconds", "1")
    assert code == 2
    assert "--max-qpu-seconds" in err
    code, _, err = qhc("resume", "a", "--max-qpu-seconds", "30")
    assert code == 0, err
    assert [job.state for job in server.jobs] == [State.CANCELLED, State.COMPLETED]


def test_jobs_that_cannot_be_cancelled_are_named(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
    (job,) = server.jobs
    server.faults.add(Fault("POST", "/jobs/{id}/cancel", Status(400), count=None))
    for where in ("queued", "done"):
        code, out, err = qhc("cancel", "a")
        assert code == 0, err
        assert f"not cancelled: {job.id} ({where}" in out
        assert "qhc resume a" in out
        assert "every job has ended" not in out
        server.workload.release()
        server.wait_for(State.COMPLETED)
    line = last_line(qhc("cancel", "a", "--json")[1])
    assert line["cancelled"] == []
    assert [found["job_id"] for found in line["not_cancelled"]] == [job.id]


def test_what_attempts_without_a_result_took_is_in_the_sum(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "a", load_config("digits"))
    ledger = Ledger(folder.ledger)
    intent = Intent("content", MACHINE, "crn", SHOTS, ExecutionOptions())
    ranges = [range(each, each + 1) for each in range(4)]
    failed, queued, done, planned = ledger.plan(intent, np.zeros((4, 1)), ranges, [2.0] * 4)
    for entry, state, seconds in (
        (failed, EntryState.FAILED, 1.5),
        (queued, EntryState.CANCELLED, 0.0),
    ):
        ledger.submitted(entry.tag, entry.tag)
        ledger.ended(entry.tag, state, "")
        ledger.charged(entry.tag, seconds)
    ledger.submitted(done.tag, "job")
    ledger.done(done.tag, b"result")
    ledger.ended(planned.tag, EntryState.CANCELLED, "")
    assert validation.ledger_summary(folder).to_dict() == {
        "job_ids": ("job",),
        "estimated_seconds": 4.0,
        "charged_seconds": 1.5,
        "unsettled": 1,
    }


def test_ctrl_c_while_jobs_are_sent_says_how_many_are_not(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    start = Gateway.start

    def interrupted(gateway: Gateway, *given: Any) -> str:
        if server.jobs:
            raise KeyboardInterrupt
        return start(gateway, *given)

    monkeypatch.setattr(Gateway, "start", interrupted)
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))
    assert code == 130
    assert "2 of 3 jobs" in err
    assert "not sent yet" in err
    assert "qhc resume a" in err
    monkeypatch.setattr(Gateway, "start", start)
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [job.rows for job in server.jobs] == [4, 4, 4]


@pytest.mark.parametrize("command", ["jobs", "cancel"])
def test_a_run_without_jobs_says_so(qhc: Qhc, trained: Path, command: str) -> None:
    code, _, err = qhc(command, str(trained))
    assert code == 2
    assert "no jobs were ever planned" in err
    assert qhc(command, "absent")[0] == 2


@pytest.mark.slow
def test_ctrl_c_leaves_jobs_running_for_another_process(
    qhc: Qhc, tmp_path: Path, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    waiting = start_qhc(tmp_path, *sent(trained, "--yes", "--out", "a"))
    server.wait_for(State.QUEUED, timeout=120)
    server.wait(lambda: bool(server.received("GET", "/jobs/{id}")), timeout=30)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130, err
    assert "qhc resume a" in err
    assert "Traceback" not in err
    (job,) = server.jobs
    assert job.state is State.QUEUED
    assert RunFolder.open(tmp_path / "a").status == "waiting"
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert last_line(out)["job_ids"] == [job.id]
    assert server.deliveries(job) == 1
