"""The plan adds up: every sum is its parts', in the table, in words and in JSON."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from experiments.run.approval import LINES, show_plan
from experiments.run.plan import RunPlan, Share
from qbackend import LayerSpec, get_backend
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.requests import Request
from tests.loopback import LoopbackServer
from tests.support.command_line import Qhc, last_line

from .commands import FAKE, MACHINE, TUNING, sent

ADDED = ("rows", "derivatives", "jobs", "shots", "pubs", "circuits", "executions", "qpu_seconds",
         "machine_seconds")  # fmt: skip


def shown(plan: RunPlan, name: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    show_plan(plan, name, console)
    return console.file.getvalue()


def test_two_jobs_of_a_fake_device_take_as_long_as_two() -> None:
    """10,000 images at 1,024 shots are 10.24 million executions, more than a job may have."""
    alone = ExecutionOptions(copies=1)
    backend = get_backend("fake_manila", shots=1024, machine=alone)
    compiled = backend.compile(LayerSpec(2))
    rows = np.zeros((10_000, len(compiled.parameters)))
    cost = backend.estimate(Request(compiled, rows, shots=1024))
    assert cost.jobs == 2
    text = shown(RunPlan((Share("test", 10_000, 1, cost),)), FAKE)
    assert "a machine would take about 3,588 s" in text
    assert "1,794" not in text.replace("1794", "1,794")
    assert "3,588.0" in text


@pytest.mark.parametrize("name", [FAKE, MACHINE])
def test_a_plan_is_the_sum_of_its_shares(
    qhc: Qhc, trained: Path, server: LoopbackServer, name: str
) -> None:
    command = sent(trained, *TUNING, "--calibrate", "8", "--json", backend=name)
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    shares = {share["what"]: share for share in plan["shares"]}
    assert list(shares) == ["training", "validation", "test", "calibration"]
    for key in (*ADDED, "images", "requests"):
        assert plan[key] == pytest.approx(sum(s[key] for s in shares.values())), key
    for share in shares.values():
        expected = 2 * share["jobs"] + 0.00035 * share["executions"]
        assert share["machine_seconds"] == pytest.approx(expected)
        assert share["qpu_seconds"] == (share["machine_seconds"] if name == MACHINE else 0)
    training = shares["training"]
    assert (training["steps"], training["rows"], training["derivatives"]) == (2, 24, 16)
    assert "each of 2 training steps takes 12 rows, 8 of them for derivatives" in err
    if name == MACHINE:
        assert f"and {training['qpu_seconds'] / 2:.1f} s of QPU time" in err


def test_the_table_shows_the_sums(qhc: Qhc, trained: Path, server: LoopbackServer) -> None:
    command = sent(trained, "--calibrate", "8", "--json")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    for key, words in LINES.items():
        columns = [*(share[key] for share in plan["shares"]), plan[key]]
        assert _row(err, words) == [f"{value:,}" for value in columns]


def test_the_plan_says_when_a_job_is_stopped_and_the_service_is_told(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    command = sent(trained, "--rep-delay", "0.0001", "--calibrate", "8", "--json")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    limits = [share["max_execution_time"] for share in plan["shares"]]
    assert limits == [10, 10]
    assert "limit: the service stops a job after 10 s of QPU time (max_execution_time)\n" in err
    assert "here it is 100 µs (chosen)" in err
    code, out, err = qhc(*command, "--yes")
    assert code == 0, err
    assert [job.max_seconds for job in server.jobs] == limits
    assert [job.program.rep_delay for job in server.jobs] == [0.0001] * 2
    assert last_line(out)["charged_seconds"] == pytest.approx(plan["qpu_seconds"])


@pytest.mark.parametrize(("budget", "images", "limit"), [(6.0, 12, 6), (3.98, 22, 4)])
def test_a_budget_without_room_is_told_of(
    qhc: Qhc, trained: Path, server: LoopbackServer, budget: float, images: int, limit: int
) -> None:
    more = ("--max-qpu-seconds", str(budget), "--limit", str(images), "--json")
    code, out, err = qhc("estimate", *sent(trained, *more)[1:])
    assert code == 0, err
    plan = last_line(out)
    assert plan["max_execution_time"] == limit >= plan["qpu_seconds"]
    has_room = limit >= 1.25 * plan["qpu_seconds"]
    assert ("gives nothing; a larger --max-qpu-seconds leaves more room" not in err) is has_room


def test_a_fake_device_stops_nothing(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc("estimate", *sent(trained, "--json", backend=FAKE)[1:])
    assert code == 0, err
    assert last_line(out)["max_execution_time"] is None
    assert "the service stops" not in err


def _row(text: str, words: str) -> list[Any]:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(words)]
    return line.strip().removeprefix(words).split()
