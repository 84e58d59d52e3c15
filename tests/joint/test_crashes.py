"""A process may die anywhere: `qhc resume` goes on, and no checkpoint's rows are paid for twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from qbackend.machines.gateway import Gateway
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer
from tests.machines.processes import Point
from tests.run.machine.commands import FEW, HASTE, MACHINE
from tests.support.command_line import Qhc, last_line

from .killed import killed

POINTS = [
    Point("start", 2, after=True),
    Point("opened", after=True),
    Point("submitted", 2),
    Point("done"),
    Point("append"),
]
QUICK = POINTS[0]


@pytest.mark.parametrize(
    "point",
    [each if each is QUICK else pytest.param(each, marks=pytest.mark.slow) for each in POINTS],
    ids=str,
)
def test_a_run_of_several_checkpoints_that_was_killed_pays_nothing_twice(
    qhc: Qhc,
    trained: Path,
    other: Path,
    deep: Path,
    server: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    point: Point,
) -> None:
    """Two layers are two requests of one batch; one of them answers two checkpoints."""
    # The loopback service lists a job at once.
    waits = Gateway.__init__.__kwdefaults__
    monkeypatch.setitem(waits, "doubt_seconds", 0.0)
    given = [flag for each in (trained, other, deep) for flag in ("--checkpoint", str(each))]
    command = ("run", *given, "--backend", MACHINE, *FEW, *HASTE, "--yes", "--out", "a")
    assert killed(Path.cwd(), server.environment, point, *command) == -signal.SIGKILL
    assert RunFolder.open(Path("a")).status == "running"
    code, out, err = qhc("resume", "a", "--yes", "--json")
    assert code == 0, err
    line = last_line(out)
    assert [each["name"] for each in line["models"]] == ["run", "seed1", "deep"]
    assert len(server.jobs) == line["jobs"] == 2
    # What was fetched and not written down is lost with the process.
    again = int(point == Point("done"))
    assert sorted(server.deliveries(job) for job in server.jobs) == sorted([1, 1 + again])
    assert not any(session.accepting for session in server.sessions)
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert [entry.state for entry in ledger.entries()] == [State.DONE] * 2
    ledger.close()
    assert line["charged_seconds"] == pytest.approx(sum(job.charged for job in server.jobs))
    assert os.path.exists("a/joint.csv")
