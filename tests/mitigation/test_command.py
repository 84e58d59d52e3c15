"""`qhc compare mitigation`: few jobs, one question, one batch, and nothing paid for twice."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from torch import nn

from experiments.commands.compare import VARIANTS, VARIED
from experiments.config.recipe import load_config
from experiments.config.run import MitigationVariant
from experiments.mitigation.variants import NAMES, UNMITIGATED
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from experiments.run.plan import plan_run
from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.errors import OptionError
from qbackend.ibm import readout_mitigation
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer, State
from tests.loopback.client import served
from tests.loopback.machines import Machine
from tests.run.machine.commands import FAKE, FEW, HASTE, MACHINE, N_IMAGES, SHOTS
from tests.support.command_line import Qhc, assert_refused, last_line

N_JOBS = 5
"""Counts as they are and corrected, decoupling, twirling, TREX, ZNE."""


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load(MACHINE, n_qubits=5)]) as running:
        yield running


def compared(trained: Path, *more: str, backend: str = FAKE) -> tuple[str, ...]:
    given = ("--checkpoint", str(trained), "--backend", backend, *FEW, *HASTE)
    return ("compare", "mitigation", *given, *more)


def n_entries(folder: str) -> int:
    ledger = Ledger.existing(Path(folder, "jobs.sqlite"))
    found = len(ledger.entries())
    ledger.close()
    return found


def test_the_command_names_what_the_recipe_has() -> None:
    assert get_args(MitigationVariant) == VARIANTS
    assert UNMITIGATED.keys() == set(VARIED)


def test_all_variants_are_compared_on_a_fake_device(
    qhc: Qhc, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readout_mitigation, "find_spec", lambda name: None)
    code, out, err = qhc(*compared(trained, "--out", "a", "--json"))
    assert code == 0, err
    line = last_line(out)
    assert line["left_out"].keys() == {"m3"}
    assert "needs the package mthree" in line["left_out"]["m3"]
    assert [each["name"] for each in line["variants"]] == [n for n in NAMES if n != "m3"]
    assert line["jobs"] == n_entries("a") == N_JOBS
    with open("a/mitigation.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == N_IMAGES * len(line["variants"])
    for each in line["variants"]:
        rows = [row for row in table if row["variant"] == each["name"]]
        exact, output, stderr = (
            np.array([[float(row[f"{kind}_{i}"]) for i in range(4)] for row in rows])
            for kind in ("exact", "output", "stderr")
        )
        assert each["rmse"] == pytest.approx(np.sqrt(((output - exact) ** 2).mean()), rel=1e-4)
        assert each["shot_error"] == pytest.approx(np.sqrt((stderr**2).mean()), rel=1e-4)
        assert each["accuracy"] == np.mean([int(row["right"]) for row in rows])
        # Of means of ±1, which no mitigation here gives more than three times the error.
        assert 0 < each["shot_error"] < 3 / np.sqrt(SHOTS)
    raw = line["variants"][0]
    gained = {each["name"]: each["gain"] for each in line["variants"][1:]}
    for each in line["variants"][1:]:
        assert gained[each["name"]] == pytest.approx(raw["rmse"] ** 2 - each["rmse"] ** 2)
    assert "harms" in err + out or "helps" in err + out or "beyond chance" in err + out

    page = write_report([Path("a")]).read_text()
    for words in ("Mitigation", "TREX", "mitigation.csv", "ZNE"):
        assert words in page
    assert Path("a/figures/mitigation.png").exists()

    # A process that was killed before it could write loses nothing that was executed.
    for name in ("metrics.jsonl", "mitigation.csv"):
        Path("a", name).unlink()
    RunFolder.open(Path("a")).note(status="running")
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert n_entries("a") == N_JOBS
    assert last_line(out)["variants"] == line["variants"]
    code, _, err = qhc("rerun", "a")
    assert code == 2
    assert "compares mitigations, which is no validation to repeat" in err


def test_counts_are_read_as_several_variants_on_every_copy(qhc: Qhc, trained: Path) -> None:
    few = ("--variants", "tensored,calibrated", "--calibrate", "8", "--copies", "2")
    code, out, err = qhc(*compared(trained, *few, "--out", "a", "--json", backend="fake_fez"))
    assert code == 0, err
    line = last_line(out)
    assert (line["jobs"], line["n_training"]) == (1, 8)
    raw, tensored, calibrated = line["variants"]
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    # Two images at a time, and each that calibrates on both copies.
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES // 2 + 8]
    ledger.close()
    more = {"tensored": 2, "calibrated": 8}
    for each in (tensored, calibrated):
        extra = each["seconds"] - raw["seconds"]
        assert extra == pytest.approx(0.00035 * SHOTS * more[each["name"]])
        assert each["rmse"] != raw["rmse"]


def test_nothing_is_sent_without_one_yes_to_all_of_it(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    code, out, err = qhc(*compared(trained, "--out", "a", backend=MACHINE))
    assert (code, out) == (2, ""), err
    assert "add --yes" in err
    assert "raw, m3, tensored, calibrated" in err
    assert not server.jobs
    tight = ("--max-qpu-seconds", "9", "--yes")
    code, _, err = qhc(*compared(trained, *tight, "--out", "a", backend=MACHINE))
    assert code == 2
    assert "more than the budget of 9 s" in err
    assert not server.jobs


def test_a_machine_gets_one_batch_and_is_asked_once(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    everything = f"run.mitigations={list(VARIANTS)}".replace("'", '"')
    on = ("--checkpoint", str(trained), "--backend", MACHINE, *FEW, *HASTE)
    code, out, err = qhc("estimate", *on, "--set", everything, "--json")
    assert code == 0, err
    plan = last_line(out)
    assert (plan["jobs"], plan["requests"]) == (N_JOBS, N_JOBS)
    server.workload.hold(State.QUEUED)
    sent = compared(trained, "--yes", "--no-wait", "--out", "a", "--json", backend=MACHINE)
    code, out, err = qhc(*sent)
    assert code == 0, err
    assert last_line(out)["status"] == "waiting"
    assert f"{N_JOBS} of the run's {N_JOBS} requests are sent" in err
    (batch,) = server.sessions
    assert {job.session_id for job in server.jobs} == {batch.id}
    assert not batch.accepting
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert len(server.jobs) == N_JOBS
    assert all(server.deliveries(job) == 1 for job in server.jobs)
    line = last_line(out)
    assert [each["name"] for each in line["variants"]] == list(NAMES)
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    assert line["charged_seconds"] == pytest.approx(sum(job.charged for job in server.jobs))
    of_raw = line["variants"][0]
    assert 0 < of_raw["charged_seconds"] < server.jobs[0].charged


def test_layers_that_follow_each_other_are_refused() -> None:
    """What the second takes is what the first one answered, and the first answers several times."""
    config = load_config("digits", [f"run.backend={FAKE}", 'run.mitigations=["zne"]'])
    images: Any = SimpleNamespace(train=range(9), test=range(9))
    model = nn.Sequential(*(QuantumLayer(LayerSpec(1, "angle"), "aer") for _ in range(2)))
    with pytest.raises(OptionError, match="has 2 quantum layers"):
        plan_run(model, config, images, get_backend(FAKE))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backend", "aer"), "'aer' is no machine whose errors could be mitigated"),
        (("--variants", "m4"), "run.mitigations"),
        (("--variants", ","), "names nothing"),
        (("--limit", "1"), "--limit must be at least 2"),
        (("--variants", "m3", "--calibrate", "9"), "is for the variant 'calibrated'"),
        (("--set", "machine.zne=[1, 3]"), "use --variants instead"),
        (("--train", "quantum"), "o such option"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    qhc: Qhc, trained: Path, arguments: tuple[str, ...], said: str
) -> None:
    haste = () if "aer" in arguments else HASTE
    given = ("--checkpoint", str(trained), "--backend", FAKE, *haste, *arguments)
    assert_refused(qhc, said, "compare", "mitigation", *given)
