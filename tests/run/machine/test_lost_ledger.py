"""A run whose ledger is gone sends nothing: the service is asked what it has of the run."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from qbackend.ibm import limits
from qbackend.machines.ledger.tags import read_tags
from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc, last_line
from tests.support.runs import as_of_old

from .commands import FAKE, MACHINE, SHOTS, sent, stages

LEDGER = Path("a/jobs.sqlite")


def lose() -> None:
    for suffix in ("", "-wal", "-shm", ".lock", ".pid"):
        Path(f"{LEDGER}{suffix}").unlink(missing_ok=True)


def empty() -> None:
    lose()
    LEDGER.touch()


def cut() -> None:
    """In the middle, at no page's end."""
    os.truncate(LEDGER, LEDGER.stat().st_size // 2 + 100)


def cut_to_a_page() -> None:
    os.truncate(LEDGER, 4096)


def overwrite() -> None:
    LEDGER.write_bytes(b"something else" * 1000)


HARM = [lose, empty, cut, cut_to_a_page, overwrite]


def sent_and_waiting(qhc: Qhc, trained: Path, server: LoopbackServer, *more: str) -> None:
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", *more, "--out", "a"))
    assert code == 0, err


def test_nothing_is_sent_without_the_ledger(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    sent_and_waiting(qhc, trained, server)
    shutil.copytree("a", "whole")
    for harm in HARM:
        for command in (("resume", "a", "--yes"), ("jobs", "a"), ("cancel", "a")):
            harm()
            code, _, err = qhc(*command)
            assert code == 2, (harm, command)
            assert "what this run has sent and paid is not known here, and nothing was sent" in err
            assert "qhc jobs a --rebuild" in err
            shutil.rmtree("a")
            shutil.copytree("whole", "a")
    assert len(server.jobs) == 1


def test_a_ledger_is_made_anew_from_the_service(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every job is found again, whatever the machine would be compiled for by now."""
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    sent_and_waiting(qhc, trained, server)
    shutil.copytree("a", "whole")
    for harm in HARM:
        shutil.rmtree("a")
        shutil.copytree("whole", "a")
        harm()
        code, _, err = qhc("jobs", "a", "--rebuild")
        assert code == 0, err
        assert "the service has 3 jobs of this run" in err
        assert server.instance.crn in err
        assert "qhc resume a" in err
    monkeypatch.setattr("qbackend.machines.compiling.compile_for_target", None)
    server.workload.release()
    # Nobody is at the terminal: a question would end this.
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert last_line(out)["job_ids"] == [job.id for job in server.jobs]
    assert [server.deliveries(job) for job in server.jobs] == [1, 1, 1]
    assert stages("a") == ["ideal", "noise", "machine"]


def test_another_runs_ledger_or_an_older_one_pays_for_nothing(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    """Whole as it is, it does not tell what this run has sent."""
    sent_and_waiting(qhc, trained, server)
    command = sent(trained, "--yes", "--no-wait", "--limit", "5", "--out", "b")
    assert qhc(*command)[0] == 0
    server.workload.release()
    shutil.copytree("a", "copy")
    lose()
    shutil.copy("b/jobs.sqlite", LEDGER)
    for folder in ("a", "copy"):
        code, out, err = qhc("resume", folder, "--yes", "--json")
        assert code == 0, err
        assert last_line(out)["job_ids"] == [server.jobs[0].id]
    assert len(server.jobs) == 2


def test_what_the_service_has_not_is_asked_for_anew(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three jobs one was never accepted."""
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    sent_and_waiting(qhc, trained, server)
    lost = server.workload.jobs.pop(1)
    lose()
    assert qhc("jobs", "a", "--rebuild")[0] == 0
    server.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 2
    assert "add --yes" in err
    assert len(server.jobs) == 2
    code, out, err = qhc("resume", "a", "--yes", "--json")
    assert code == 0, err
    assert [job.rows for job in server.jobs] == [4, 4, lost.rows]
    assert len(last_line(out)["job_ids"]) == 3


def test_jobs_of_another_circuit_are_not_paid_for_again(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    """The layers beside the ledger are lost too, and the machine's best qubits are others now."""
    sent_and_waiting(qhc, trained, server)
    lose()
    Path("a/jobs.layers.json").unlink()
    assert qhc("jobs", "a", "--rebuild")[0] == 0
    (job,) = server.jobs
    job.tags = [re.sub(r"^(qhc-rows-\w+)-\w+", rf"\1-{'0' * 16}", tag) for tag in job.tags]
    lose()
    # That it is to be asked for anew does not mean that nothing was sent.
    assert qhc("resume", "a", "--yes")[0] == 2
    assert qhc("jobs", "a", "--rebuild")[0] == 0
    code, _, err = qhc("resume", "a", "--yes")
    assert code == 2
    assert f"jobs {server.jobs[0].id}" in err
    assert "nothing was sent again" in err
    assert len(server.jobs) == 1


def test_every_job_has_a_tag_of_its_own_of_its_run_and_of_its_rows(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    sent_and_waiting(qhc, trained, server, "--calibrate", "8")
    server.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    run_tag = RunFolder.open(Path("a")).state.tag
    read = [read_tags(job.id, "crn", job.tags) for job in server.jobs]
    assert [run_tag in job.tags for job in server.jobs] == [True, True]
    assert [len(job.tags) for job in server.jobs] == [3, 3]
    # What IBM's service took as a tag at its strictest.
    assert all(len(tag) <= 86 for job in server.jobs for tag in job.tags)
    first, second = read
    assert first is not None
    assert second is not None
    assert first.request != second.request
    assert len({first.tag, second.tag}) == 2


def test_a_whole_ledger_is_not_made_anew(qhc: Qhc, trained: Path, server: LoopbackServer) -> None:
    sent_and_waiting(qhc, trained, server)
    before = LEDGER.read_bytes()
    code, _, err = qhc("jobs", "a", "--rebuild")
    assert code == 2
    assert "nothing is missing" in err
    assert LEDGER.read_bytes() == before


def test_a_run_without_a_tag_names_where_to_look(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    """As runs were before they had one."""
    sent_and_waiting(qhc, trained, server)
    RunFolder.open(Path("a")).note(tag=None)
    as_of_old(Path("a"))
    lose()
    for command in (("resume", "a", "--yes"), ("jobs", "a", "--rebuild")):
        code, _, err = qhc(*command)
        assert code == 2
        assert "quantum.cloud.ibm.com/workloads" in err
    assert len(server.jobs) == 1


@pytest.mark.parametrize("harm", [lose, empty], ids=lambda harm: harm.__name__)
def test_what_was_simulated_here_is_simulated_again(
    qhc: Qhc, trained: Path, harm: Callable[[], None]
) -> None:
    assert qhc(*sent(trained, "--no-wait", "--out", "a", backend=FAKE))[0] == 0
    harm()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine"]


def test_nothing_was_sent_before_the_yes(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was not approved may lose a ledger that knows of nothing."""
    monkeypatch.setattr("experiments.run.approval.can_ask", lambda: True)
    monkeypatch.setattr("experiments.run.approval.Confirm.ask", lambda *given, **options: False)
    assert qhc(*sent(trained, "--out", "a"))[0] == 2
    assert not server.jobs
    lose()
    code, _, err = qhc("resume", "a", "--yes")
    assert code == 0, err
    assert len(server.jobs) == 1
    assert RunFolder.open(Path("a")).config().run.backend == MACHINE
