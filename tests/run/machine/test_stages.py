"""One run goes through every stage once: what was planned is what is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.assembly import backends, construct
from experiments.records.folder import RunFolder
from experiments.run import stages
from qbackend.machines import compiling
from qbackend.machines.backend import MachineBackend
from tests.loopback import LoopbackServer
from tests.support.command_line import Qhc

from .commands import FAKE, FEW, TUNING, sent

ONCE = {"targets": 1, "calibrations": 1, "compilations": 1, "plans": 1, "models": 1}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a target was made, its calibration read, and so on."""
    counts: Counter[str] = Counter()

    def count(what: str, owner: Any, name: str, *, only: str | None = None) -> None:
        usual: Callable[..., Any] = getattr(owner, name)

        def counting(*given: Any, **options: Any) -> Any:
            counts[what] += only is None or given[0] == only
            return usual(*given, **options)

        monkeypatch.setattr(owner, name, counting)

    count("targets", backends, "get_backend", only=FAKE)
    # What simulates the machine reads it as well.
    count("calibrations", MachineBackend.__dict__["_device"], "func")
    count("compilations", compiling, "compile_for_target")
    count("plans", stages, "plan_run")
    count("models", construct, "build_model")
    return counts


def test_a_validation_does_everything_once(qhc: Qhc, trained: Path, counted: Counter[str]) -> None:
    code, _, err = qhc(*sent(trained, "--yes", "--out", "a", backend=FAKE))
    assert code == 0, err
    assert counted == ONCE
    assert RunFolder.open(Path("a")).status == "finished"


def test_so_does_a_training_before_it(qhc: Qhc, counted: Counter[str]) -> None:
    small = ("--epochs", "1", "--set", "data.validation=0.9")
    code, _, err = qhc("run", *small, *FEW, "--backend", FAKE, "--yes", "--out", "a")
    assert code == 0, err
    assert counted == ONCE


def test_so_does_a_training_in_the_loop(qhc: Qhc, trained: Path, counted: Counter[str]) -> None:
    code, _, err = qhc(*sent(trained, *TUNING, "--yes", "--out", "a", backend=FAKE))
    assert code == 0, err
    assert counted == ONCE


def test_what_goes_on_compiles_nothing_anew(qhc: Qhc, trained: Path, counted: Counter[str]) -> None:
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", "--out", "a", backend=FAKE))
    assert code == 0, err
    assert counted == ONCE
    counted.clear()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert counted == {"targets": 1, "models": 1}


def test_a_machine_is_asked_for_its_calibration_once(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    """The plan, the noise in the machine's place and the machine itself are of one calibration."""
    code, _, err = qhc(*sent(trained, "--yes", "--out", "a"))
    assert code == 0, err
    assert len(server.received("GET", "/backends/{name}/properties")) == 1
    assert len(server.received("POST", "/jobs")) == 1


def test_a_plan_that_is_refused_leaves_nothing(
    qhc: Qhc, trained: Path, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.run.approval.charges", lambda cost: True)
    code, out, err = qhc(*sent(trained, "--out", "a", backend=FAKE))
    assert (code, out) == (2, "")
    assert "add --yes" in err
    assert counted == ONCE
    assert list(Path().iterdir()) == []
