"""`qhc run` on a machine: what it receives, what is kept, and what is compared."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from qbackend.ibm import limits
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer
from tests.support.command_line import Qhc, last_line

from .commands import FAKE, FEW, HASTE, MACHINE, N_IMAGES, SHOTS, TUNING, sent, stages


def test_a_fake_device_is_compared_with_its_simulations(
    qhc: Qhc, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = qhc(*sent(trained, "--out", "a", "--json", backend=FAKE))
    assert code == 0, err
    line = last_line(out)
    assert (line["backend"], line["n_images"], line["shots"]) == (FAKE, N_IMAGES, SHOTS)
    assert (line["jobs"], line["qpu_seconds"]) == (1, 0.0)
    assert stages("a") == ["ideal", "noise", "machine"]
    folder = RunFolder.open(Path("a"))
    ideal, noise, machine = folder.evaluations()
    assert [r.backend for r in (ideal, noise, machine)] == ["aer", f"aer:{FAKE}", FAKE]
    assert line["accuracy"] == line["machine_accuracy"] == machine.accuracy
    assert (line["ideal_accuracy"], line["noise_accuracy"]) == (
        ideal.accuracy,
        noise.accuracy,
    )

    with np.load("a/validation.npz") as arrays:
        kept = dict(arrays)
    differences = kept["machine_outputs"] - kept["noise_outputs"]
    # An expectation value of Paulis has a variance of at most 1 / shots.
    assert np.abs(differences).max() < 5 / np.sqrt(SHOTS)
    assert np.abs(differences).max() > 0
    pairs = {pair.stages: pair for pair in folder.validation_record.agreement}
    assert pairs["noise", "machine"].output_rmse == pytest.approx(
        np.sqrt(np.mean(differences.astype(float) ** 2))
    )
    predictions = {stage: kept[f"{stage}_logits"].argmax(axis=1) for stage in ("ideal", "machine")}
    same = int((predictions["ideal"] == predictions["machine"]).sum())
    assert pairs["ideal", "machine"].same == same
    assert line["agreement"] == same / N_IMAGES
    assert folder.validation_record.changed == N_IMAGES - same
    # The largest standard error of one image's output bounds their root mean square.
    assert 0 < machine.shot_error <= 1 / np.sqrt(SHOTS)

    with open("a/validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * N_IMAGES
    of_machine = [row for row in rows if row["stage"] == "machine"]
    assert [int(row["image"]) for row in of_machine] == kept["indices"].tolist()
    assert np.mean([int(row["right"]) for row in of_machine]) == machine.accuracy
    assert float(of_machine[3]["output_1"]) == pytest.approx(
        kept["machine_outputs"][3, 1], rel=1e-5
    )

    page = write_report([folder.path]).read_text()
    where = "Simulated device and simulation"
    for words in (where, "simulated noise", "none charged", "validation.csv"):
        assert words in page
    assert {"outputs.png", "output-errors.png"} <= {p.name for p in Path("a/figures").iterdir()}


@pytest.mark.parametrize("primitive", ["sampler", "estimator"])
@pytest.mark.parametrize("mode", ["job", "batch"])
def test_the_plan_is_what_the_machine_receives(
    qhc: Qhc, trained: Path, server: LoopbackServer, primitive: str, mode: str
) -> None:
    flags = ("--primitive", primitive, "--mode", mode, "--json")
    command = sent(trained, *flags)
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    assert not server.jobs
    code, out, err = qhc(*command, "--yes", "--out", "a")
    assert code == 0, err
    line = last_line(out)
    assert len(server.jobs) == plan["jobs"] == line["jobs"] == 1
    assert sum(job.rows for job in server.jobs) == plan["rows"] == N_IMAGES
    assert sum(job.pubs for job in server.jobs) == plan["pubs"]
    (job,) = server.jobs
    executions = sum(work.executed * work.shots for work in job.program.work)
    assert executions == plan["executions"] == N_IMAGES * SHOTS
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    assert line["charged_seconds"] == line["qpu_seconds"] == pytest.approx(job.charged)
    assert len(server.sessions) == (mode == "batch")
    assert f"{plan['qpu_seconds']:,.1f}" in err
    assert server.deliveries(job) == 1


def test_a_hundred_images_are_one_job_and_one_circuit_each(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    command = ("run", "--checkpoint", str(trained), "--backend", MACHINE, "--yes", *HASTE)
    code, out, err = qhc(*command, "--json")
    assert code == 0, err
    assert "100 test images" in err
    line = last_line(out)
    assert (line["n_images"], line["shots"], line["jobs"]) == (100, 1024, 1)
    (job,) = server.jobs
    (work,) = job.program.work
    assert (work.rows, work.executed, work.shots) == (100, 100, 1024)


def test_several_jobs_are_a_batch(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    command = sent(trained, "--json")
    plan = last_line(qhc("estimate", *command[1:])[1])
    code, out, err = qhc(*command, "--yes")
    assert code == 0, err
    assert [job.rows for job in server.jobs] == [4, 4, 4]
    assert plan["jobs"] == last_line(out)["jobs"] == len(last_line(out)["job_ids"]) == 3
    (batch,) = server.sessions
    assert {job.session_id for job in server.jobs} == {batch.id}
    assert not batch.accepting


def test_a_model_is_trained_before_where_none_is_given(qhc: Qhc, server: LoopbackServer) -> None:
    small = ("--epochs", "1", "--set", "data.validation=0.9", *FEW, *HASTE)
    code, out, err = qhc("run", "--backend", MACHINE, *small, "--yes", "--out", "a", "--json")
    assert code == 0, err
    records = RunFolder.open(Path("a")).evaluations()
    assert [record.stage for record in records] == [None, "ideal", "noise", "machine"]
    assert [record.backend for record in records][-1] == last_line(out)["backend"] == MACHINE
    assert [job.rows for job in server.jobs] == [N_IMAGES]


def test_a_machine_is_corrected_by_calibration_images(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, "--calibrate", "8", "--out", "a", backend=FAKE))
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine", "corrected"]
    assert "calibrated" in out
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES, 8]

    # The last stage is lost, its request is not.
    with np.load("a/validation.npz") as arrays:
        kept = {key: value for key, value in arrays.items() if not key.startswith("corrected")}
    np.savez("a/validation.npz", **kept)
    RunFolder.open(Path("a")).note(status="running")
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES, 8]
    ledger.close()


def test_the_circuit_alone_is_trained_in_the_loop(qhc: Qhc, trained: Path) -> None:
    tuned = sent(trained, *TUNING, "--set", "train.lr=0.05", backend=FAKE)
    code, out, err = qhc("estimate", *tuned[1:], "--json")
    assert code == 0, err
    plan = last_line(out)
    code, _, err = qhc(*tuned, "--out", "a")
    assert code == 0, err
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    rows = [entry.n_rows for entry in ledger.entries()]
    # A step asks for 4 images and twice as many perturbed ones, then 4 images validate.
    assert rows == [12, 4, 12, 4, N_IMAGES]
    assert (plan["rows"], plan["jobs"]) == (sum(rows), len(rows))
    assert [share["what"] for share in plan["shares"]] == ["training", "validation", "test"]
    before = load_file(trained / "checkpoint.safetensors")
    after = load_file("a/checkpoint.safetensors")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"bridge.weight"}

    # A process that dies loses no step that was executed.
    for name in ("training.safetensors", "checkpoint.safetensors", "metrics.jsonl",
                 "validation.npz"):  # fmt: skip
        Path("a", name).unlink()
    RunFolder.open(Path("a")).note(status="running")
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [entry.n_rows for entry in ledger.entries()] == rows
    ledger.close()
    again = load_file("a/checkpoint.safetensors")
    np.testing.assert_array_equal(again["bridge.weight"], after["bridge.weight"])
    assert RunFolder.open(Path("a")).status == "finished"
