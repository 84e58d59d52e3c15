"""The question whether to pay can be read: nothing is drawn over it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from experiments.config.recipe import load_config
from experiments.records.folder import RunFolder
from experiments.run import approval
from experiments.run.approval import Approval
from experiments.run.display import Display
from experiments.run.plan import RunPlan, Share
from qbackend.machines.cost import MachineCost
from qbackend.machines.gateway import Progress

COST = MachineCost(rows=3, circuits=3, jobs=1, shots=300, qpu_seconds=2.1, basis="guessed")


@pytest.fixture
def display() -> Display:
    """As on a terminal."""
    display = Display()
    display.console = Console(file=io.StringIO(), force_terminal=True)
    return display


@pytest.fixture
def question(tmp_path: Path, display: Display, monkeypatch: pytest.MonkeyPatch) -> Approval:
    monkeypatch.setattr(approval, "can_ask", lambda: True)
    folder = RunFolder.create(tmp_path / "a", load_config("digits"))
    asked = Approval("ibm_x", folder, display, yes=False)
    asked.plan = RunPlan((Share("test", 3, 1, COST),))
    return asked


def test_no_bar_moves_during_the_question(
    display: Display, question: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving: list[bool] = []

    def ask(words: str, **options: Any) -> bool:
        assert display._progress is not None
        moving.append(display._progress.live.is_started)
        return True

    monkeypatch.setattr(approval.Confirm, "ask", ask)
    with display.training():
        display.begin(1, 2, 5)
        assert question(COST)
        assert display._progress is not None
        assert display._progress.live.is_started
    assert moving == [False]


def test_no_spinner_turns_during_the_question(
    display: Display, question: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    spinning: list[bool] = []

    def ask(words: str, **options: Any) -> bool:
        spinning.append(display._spinner is not None)
        return False

    monkeypatch.setattr(approval.Confirm, "ask", ask)
    with display.waiting():
        display.progress(Progress(0, 1, "queued", 3, "qhc-1", "d1"))
        assert display._spinner is not None
        assert not question(COST)
    assert spinning == [False]
