"""`qhc jobs` without a run: every run that asked a machine, by its ledger alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.config.recipe import load_config
from experiments.records.folder import RunFolder
from experiments.run.overview import RunLine, list_runs
from qbackend.machines.cost import Price
from qbackend.machines.ledger.entries import Entry, Intent, OpenWorkload
from qbackend.machines.ledger.entries import State as EntryState
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import LOCAL
from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc, assert_refused, last_line

from ..commands import FAKE, MACHINE, N_IMAGES, sent


def files(folder: str = "runs") -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def kept(name: str, n_jobs: int = 2, *, instance: str = "crn", **noted: Any) -> tuple[Ledger, list]:
    """A run under runs/ whose ledger has planned jobs of two rows each."""
    folder = RunFolder.create(Path("runs", name), load_config("digits", [f"run.backend={MACHINE}"]))
    folder.note(**noted)
    ledger = Ledger(folder.ledger)
    intent = Intent("content", MACHINE, instance, 100, ExecutionOptions())
    ranges = [range(2 * job, 2 * job + 2) for job in range(n_jobs)]
    return ledger, ledger.plan(intent, np.zeros((2 * n_jobs, 1)), ranges, [2.0] * n_jobs)


def line_of(name: str) -> RunLine:
    (line,) = (line for line in list_runs() if line.run == str(Path("runs", name)))
    return line


def done(ledger: Ledger, entry: Entry, seconds: float | None = 3.0) -> None:
    ledger.submitted(entry.tag, f"id-{entry.first_row}")
    ledger.done(entry.tag, b"result")
    if seconds is not None:
        ledger.charged(entry.tag, seconds)


def test_where_no_run_asked_a_machine_it_is_said_how_one_does(qhc: Qhc) -> None:
    code, out, err = qhc("jobs")
    assert (code, err) == (0, "")
    assert "no run under runs/ has asked a machine yet" in out
    assert "qhc run --checkpoint RUN --backend ibm_NAME" in out
    assert last_line(qhc("jobs", "--json")[1]) == {"runs": []}


def test_a_run_is_told_of_while_it_waits_and_when_it_is_done(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait"))[0] == 0
    n_requests, before = len(server.requests), files()
    code, out, err = qhc("jobs")
    assert (code, err) == (0, "")
    (run,) = Path("runs").iterdir()
    (row,) = (line for line in out.splitlines() if str(run) in line)
    assert MACHINE in row
    assert "waiting" in row
    assert f"0 of 1 0 of {N_IMAGES}" in " ".join(row.split())
    assert "1 job sent, 20" in row
    assert (len(server.requests), files()) == (n_requests, before), "asked, or written"
    server.workload.release()
    assert qhc("resume", str(run))[0] == 0
    (found,) = last_line(qhc("jobs", "--json")[1])["runs"]
    (job,) = server.jobs
    assert found["charged_seconds"] == pytest.approx(job.charged)
    told = ("run", "machine", "state", "waits_for", "jobs", "jobs_done", "rows", "rows_done")
    assert [found[key] for key in told] == [
        str(run), MACHINE, "finished", "", 1, 1, N_IMAGES, N_IMAGES,
    ]  # fmt: skip


def test_a_fake_device_waits_for_its_next_process(qhc: Qhc, trained: Path) -> None:
    assert qhc(*sent(trained, "--no-wait", backend=FAKE))[0] == 0
    (line,) = list_runs()
    assert (line.machine, line.state, line.waits_for) == (FAKE, "waiting", "1 job to be sent")


@pytest.mark.usefixtures("qhc")
def test_what_is_waited_for_is_what_the_ledger_knows() -> None:
    ledger, (first, second) = kept("a", status="waiting", approved=True, requests=3)
    assert line_of("a").waits_for == "2 jobs to be sent; 2 of 3 requests to be made"
    done(ledger, first, None)
    ledger.doubted(second.tag)
    assert line_of("a").waits_for == (
        "1 job to be sent, as far as is known; 2 of 3 requests to be made; what 1 job cost"
    )
    ledger.charged(first.tag, 2.5)
    ledger.submitted(second.tag, "id")
    ledger.ended(second.tag, EntryState.FAILED, "broken")
    ledger.charged(second.tag, 0.5)
    line = line_of("a")
    assert line.waits_for == "1 job failed, to be sent again; 2 of 3 requests to be made"
    assert (line.jobs_done, line.jobs, line.rows_done, line.rows) == (1, 2, 2, 4)
    assert line.charged_seconds == 3.0
    ledger.plan_again([second], "crn")
    line = line_of("a")
    assert line.waits_for == "1 job to be sent; 2 of 3 requests to be made"
    assert (line.jobs, line.rows, line.charged_seconds) == (2, 4, 3.0)


@pytest.mark.usefixtures("qhc")
def test_a_plan_that_nobody_said_yes_to_waits_for_it() -> None:
    folder = RunFolder.create(Path("runs", "a"), load_config("digits"))
    folder.note(status="failed")
    Ledger(folder.ledger).close()
    assert line_of("a").waits_for == "a yes to its plan"
    assert line_of("a").jobs == 0


@pytest.mark.usefixtures("qhc")
def test_what_ended_with_its_process_is_executed_anew() -> None:
    ledger, (first, _) = kept("a", status="interrupted", instance=LOCAL)
    ledger.submitted(first.tag, "here")
    assert line_of("a").waits_for == "1 job simulated here, to be executed anew; 1 job to be sent"


@pytest.mark.usefixtures("qhc")
def test_a_session_is_charged_in_place_of_its_jobs() -> None:
    ledger, (first, _) = kept("a", 2, status="finished")
    ledger.opened(OpenWorkload("s", True, "crn"), MACHINE)
    ledger.begun_in(first.tag, "s")
    done(ledger, first)
    assert line_of("a").waits_for == "what 1 job cost"
    ledger.session_charged("s", 40.0)
    assert (line_of("a").waits_for, line_of("a").charged_seconds) == ("", 40.0)


def test_the_newest_come_first_and_are_summed_up(qhc: Qhc) -> None:
    for name, started, price in (
        ("b", "2026-11-01T10:00:00+00:00", Price(2.0, "USD")),
        ("a", "2026-11-03T10:00:00+00:00", Price(1.5, "EUR")),
        ("c", "2026-11-02T10:00:00+00:00", None),
    ):
        ledger, (entry,) = kept(name, 1, started=started, price=price)
        done(ledger, entry, 4.0)
    assert [Path(line.run).name for line in list_runs()] == ["a", "c", "b"]
    out = qhc("jobs")[1]
    assert "3 runs, 12.0 s charged, 6.00 EUR, 8.00 USD\n" in out
    runs = {Path(run["run"]).name: run for run in last_line(qhc("jobs", "--json")[1])["runs"]}
    assert (runs["a"]["money"], runs["b"]["money"]) == (6.0, 8.0)
    assert runs["b"]["price"] == {"per_second": 2.0, "currency": "USD"}
    assert "money" not in runs["c"]


@pytest.mark.parametrize("damaged", ["jobs.sqlite", "state.json", "config.toml"])
def test_a_damaged_run_hides_no_other(qhc: Qhc, damaged: str) -> None:
    kept("a", started="2026-11-01T10:00:00+00:00")
    ledger, _ = kept("b")
    ledger.close()
    Path("runs", "b", damaged).write_bytes(b"no")
    lines = list_runs()
    assert [Path(line.run).name for line in lines] == ["a", "b"]
    assert lines[1].state == "damaged"
    assert damaged in lines[1].waits_for
    code, out, _ = qhc("jobs")
    assert code == 0
    assert "damaged" in out


@pytest.mark.parametrize("flags", [("--rebuild",), ("--profile", "own"), ("--credentials", "f")])
def test_what_asks_a_service_needs_a_run(qhc: Qhc, flags: tuple[str, ...]) -> None:
    words = f"leave {flags[0]} out, or name the run: qhc jobs RUN"
    assert_refused(qhc, words, "jobs", *flags)
