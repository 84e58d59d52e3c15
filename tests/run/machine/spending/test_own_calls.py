"""A network of the user's own is planned by its calls, and asks about those beyond its plan."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.records.folder import RunFolder
from experiments.run import approval
from tests.config.own_code import write_own
from tests.loopback import LoopbackServer
from tests.support.command_line import Qhc, exit_code, last_line, without_reports

from ..commands import FAKE, HASTE, MACHINE

NETS = """
import torch
from torch import nn
from qbackend import LayerSpec, QuantumLayer


class Net(nn.Module):
    def __init__(self, n_inputs, n_classes):
        super().__init__()
        spec = LayerSpec(2, encoding="angle", n_layers=1)
        self.reduce, self.head = nn.Linear(n_inputs, 2), nn.Linear(2, n_classes)
        self.first, self.second = QuantumLayer(spec), QuantumLayer(spec)

    def forward(self, inputs):
        return self.head(self.found(self.reduce(inputs)))


class Unused(Net):
    def found(self, values):
        return self.first(values)


class Twice(Net):
    def found(self, values):
        for _ in range(2):
            values = self.first(values)
        return values


class PerItem(Net):
    def found(self, values):
        return self.second(torch.stack([self.first(input_data=each) for each in values]))


class Until(Net):
    def found(self, values):
        before = self.first(values)
        for _ in range(3):
            after = self.first(values)
            if torch.equal(before, after):
                break
        return after


class Experts(Net):
    # One input of the whole is the other one's: the first one's, whichever that is.
    def found(self, values):
        mine, found = torch.arange(len(values)) == 0, torch.zeros_like(values)
        if (~mine).any():
            found[~mine] = self.second(values[~mine])
        found[mine] = self.first(values[mine])
        return found


def build(shape, n_classes, kind):
    return globals()[kind](shape[0], n_classes)
"""
N_ITEMS = 6
PLANNED = {
    "Unused": (1, N_ITEMS),
    "Twice": (2, 2 * N_ITEMS),
    "PerItem": (N_ITEMS + 1, 2 * N_ITEMS),
    "Until": (2, 2 * N_ITEMS),
    "Experts": (2, N_ITEMS),
}
"""Requests and rows on exact answers."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each network."""
    folder = tmp_path_factory.mktemp("calls")
    with pytest.MonkeyPatch.context() as patch, without_reports():
        patch.chdir(folder)
        write_own()
        small = ("--set", "data.arguments.n=32", "--epochs", "1")
        Path("my_net.py").write_text(NETS)
        for kind in PLANNED:
            network = ("--set", f"model.arguments.kind={kind}", *small)
            assert exit_code("run", "--recipe", "mine.toml", *network, "--out", kind) == 0
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """The same where the test works."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def sent(kind: str, *more: str, backend: str = MACHINE) -> tuple[str, ...]:
    few = ("--limit", str(N_ITEMS), "--shots", "50")
    return ("run", "--checkpoint", kind, "--backend", backend, *few, *HASTE, *more)


@pytest.mark.parametrize("kind", ["Unused", "Twice", "PerItem", "Experts"])
def test_what_is_planned_is_sent(qhc: Qhc, runs: Path, server: LoopbackServer, kind: str) -> None:
    code, out, err = qhc("estimate", *sent(kind, "--json")[1:])
    assert code == 0, err
    plan = last_line(out)
    assert (plan["jobs"], plan["requests"], plan["rows"]) == (PLANNED[kind][0], *PLANNED[kind])
    code, out, err = qhc(*sent(kind, "--yes", "--json"))
    assert code == 0, err
    line = last_line(out)
    assert line["jobs"] == len(server.jobs) == plan["jobs"]
    assert line["charged_seconds"] == pytest.approx(plan["qpu_seconds"])


def test_calls_that_a_correction_changes_are_planned(
    qhc: Qhc, runs: Path, server: LoopbackServer
) -> None:
    """What the first layer answered stays; the second one takes what is corrected."""
    calibrated = sent("PerItem", "--calibrate", "8", "--json")
    code, out, err = qhc("estimate", *calibrated[1:])
    assert code == 0, err
    plan = last_line(out)
    n_fitted, n_again = 2, 1
    assert plan["jobs"] == PLANNED["PerItem"][0] + n_fitted + n_again
    code, out, err = qhc(*calibrated, "--yes")
    assert code == 0, err
    assert len(server.jobs) == plan["jobs"]
    assert last_line(out)["charged_seconds"] == pytest.approx(plan["qpu_seconds"])


def test_a_layer_that_nothing_comes_to_is_not_calibrated(qhc: Qhc, runs: Path) -> None:
    code, _, err = qhc(*sent("Unused", "--calibrate", "4", backend=FAKE))
    assert code == 2
    assert "none of the images comes to quantum layer 2 of 2" in err


def test_steps_of_a_training_are_planned(qhc: Qhc, runs: Path, server: LoopbackServer) -> None:
    tuned = sent("Twice", "--train", "quantum", "--gradient", "spsa", "--epochs", "1", "--json")
    code, out, err = qhc("estimate", *tuned[1:])
    assert code == 0, err
    plan = last_line(out)
    code, out, err = qhc(*tuned, "--yes")
    assert code == 0, err
    assert len(server.jobs) == plan["jobs"]
    assert last_line(out)["charged_seconds"] == pytest.approx(plan["qpu_seconds"])


def test_what_goes_beyond_the_plan_is_asked_about(
    qhc: Qhc, runs: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = qhc(*sent("Until", "--yes", "--out", "a"))
    assert code == 2
    n_planned, _ = PLANNED["Until"]
    # The yes was to the plan.
    assert len(server.jobs) == n_planned
    assert f"{N_ITEMS} rows beyond the plan on {MACHINE} would take about 2.1 s" in err
    assert "go on with: qhc resume a" in err
    asked: list[str] = []
    answers = iter([False, True, True, True])

    def ask(question: str, **options: Any) -> bool:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(approval, "can_ask", lambda: True)
    monkeypatch.setattr(approval.Confirm, "ask", ask)
    code, _, err = qhc("resume", "a")
    assert (code, len(asked), len(server.jobs)) == (2, 1, n_planned)
    assert "asked again by: qhc resume a" in err
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    extra = len(server.jobs) - n_planned
    assert extra == len(asked) - 1 > 0
    assert all("rows beyond the plan" in question for question in asked)
    assert [server.deliveries(job) for job in server.jobs] == [1] * len(server.jobs)
    assert RunFolder.open(Path("a")).status == "finished"


@pytest.mark.parametrize("kind", ["Unused", "Experts"])
def test_a_layer_that_an_input_never_comes_to_is_no_error(qhc: Qhc, runs: Path, kind: str) -> None:
    code, out, err = qhc(*sent(kind, "--json", backend=FAKE))
    assert code == 0, err
    assert last_line(out)["jobs"] == PLANNED[kind][0]
