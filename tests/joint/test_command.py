"""Several `--checkpoint` in one run: one request for each layer, one plan, one question."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer, State
from tests.run.machine.commands import FAKE, FEW, HASTE, MACHINE, N_IMAGES, SHOTS
from tests.support.command_line import Qhc, assert_refused, last_line

SECONDS_PER_JOB, SECONDS_PER_EXECUTION = 2.0, 0.00035
"""IBM's formula. https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time"""


def of(*checkpoints: Path, backend: str = FAKE) -> tuple[str, ...]:
    given = [flag for each in checkpoints for flag in ("--checkpoint", str(each))]
    haste = HASTE if backend in (FAKE, MACHINE, "fake_fez") else ()
    return (*given, "--backend", backend, *FEW, *haste)


def n_rows(folder: str) -> list[int]:
    """Executed rows of each job."""
    ledger = Ledger.existing(Path(folder, "jobs.sqlite"))
    found = [entry.n_rows for entry in ledger.entries()]
    ledger.close()
    return found


def test_models_and_arms_stand_side_by_side_on_a_fake_device(
    qhc: Qhc, trained: Path, other: Path, deep: Path, linear: Path
) -> None:
    asked = of(linear, trained, other, deep)
    code, out, err = qhc("run", *asked, "--calibrate", "8", "--out", "a", "--json")
    assert code == 0, err
    line = last_line(out)
    # What has a quantum layer leads; the others are asked nothing.
    assert [each["name"] for each in line["models"]] == ["run", "seed1", "deep", "linear"]
    assert n_rows("a") == [2 * N_IMAGES + 8, N_IMAGES + 8]
    assert (line["jobs"], line["n_training"], len(line["differences"])) == (2, 8, 6)
    assert [each.get("request") for each in line["models"]] == [1, 1, 2, None]
    each_job = [SECONDS_PER_JOB + SECONDS_PER_EXECUTION * SHOTS * rows for rows in n_rows("a")]
    alone = SECONDS_PER_JOB + SECONDS_PER_EXECUTION * SHOTS * (N_IMAGES + 8)
    assert line["seconds"] == pytest.approx(sum(each_job))
    assert line["apart_seconds"] == pytest.approx(3 * alone)
    assert [each.get("seconds", 0.0) for each in line["models"]] == pytest.approx(
        [each_job[0] / 2, each_job[0] / 2, each_job[1], 0.0]
    )
    with open("a/joint.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 * N_IMAGES
    right, images = {}, set()
    for model in line["models"]:
        rows = [row for row in table if row["model"] == model["name"]]
        images.add(tuple(row["image"] for row in rows))
        ideal = [row["without_noise"] == row["label"] for row in rows]
        right[model["name"]] = [row["corrected_prediction"] == row["label"] for row in rows]
        assert model["accuracy"] == np.mean([int(row["right"]) for row in rows])
        assert model["ideal_accuracy"] == np.mean(ideal)
        if model["name"] == "linear":
            assert model["accuracy"] == model["ideal_accuracy"]
            assert {row["output_0"] for row in rows} == {""}
            continue
        exact, output, corrected = (
            np.array([[float(row[f"{kind}_{i}"]) for i in range(4)] for row in rows])
            for kind in ("exact", "output", "corrected")
        )
        assert model["rmse"] == pytest.approx(np.sqrt(((output - exact) ** 2).mean()), rel=1e-4)
        assert model["corrected"]["rmse"] == pytest.approx(
            np.sqrt(((corrected - exact) ** 2).mean()), rel=1e-4
        )
        assert model["corrected"]["accuracy"] == np.mean(right[model["name"]])
    assert len(images) == 1
    for each in line["differences"]:
        one, second = np.array(right[each["one"]]), np.array(right[each["other"]])
        assert each["difference"] == pytest.approx(second.mean() - one.mean())
        assert (each["gained"], each["lost"]) == ((second & ~one).sum(), (one & ~second).sum())
    page = write_report([Path("a")]).read_text()
    for words in ("Models side by side", "4 trained models", "joint.csv", "only", "deep − run"):
        assert words in page
    assert Path("a/figures/joint.png").exists()

    # A process that was killed before it could write loses nothing that was executed, and goes on
    # with the checkpoints that it was given, whatever lies at their paths.
    for name in ("metrics.jsonl", "joint.csv"):
        Path("a", name).unlink()
    RunFolder.open(Path("a")).note(status="running")
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert len(n_rows("a")) == 2
    again = last_line(out)
    assert again["models"] == line["models"]
    assert again["differences"] == line["differences"]
    code, _, err = qhc("rerun", "a")
    assert code == 2
    assert "several checkpoints" in err


def test_a_machine_gets_one_job_and_is_asked_once(
    qhc: Qhc, trained: Path, other: Path, server: LoopbackServer
) -> None:
    on = of(trained, other, backend=MACHINE)
    code, out, err = qhc("estimate", *on, "--json")
    assert code == 0, err
    plan = last_line(out)
    assert (plan["jobs"], plan["requests"], plan["apart"]["jobs"]) == (1, 1, 2)
    assert plan["apart"]["qpu_seconds"] - plan["qpu_seconds"] == pytest.approx(SECONDS_PER_JOB)
    assert "one by one, 2 runs would take 2 jobs" in err
    code, out, err = qhc("run", *on, "--out", "a")
    assert (code, out) == (2, ""), err
    assert "add --yes" in err
    assert not server.jobs
    code, out, err = qhc("run", *on, "--yes", "--out", "a", "--json")
    assert code == 0, err
    line = last_line(out)
    (job,) = server.jobs
    assert server.deliveries(job) == 1
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    assert line["charged_seconds"] == pytest.approx(job.charged)
    shares = [each["charged_seconds"] for each in line["models"]]
    assert shares == pytest.approx([job.charged / 2] * 2)
    # One by one costs more, by what is charged too.
    for number, each in enumerate((trained, other)):
        alone = ("run", *of(each, backend=MACHINE), "--yes", "--out", f"alone{number}")
        assert qhc(*alone)[0] == 0
    assert sum(each.charged for each in server.jobs[1:]) > job.charged + SECONDS_PER_JOB / 2


def test_layers_that_differ_share_a_batch_and_are_not_waited_for(
    qhc: Qhc, trained: Path, deep: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    asked = ("run", *of(trained, deep, backend=MACHINE), "--yes", "--no-wait", "--out", "a")
    code, out, err = qhc(*asked, "--json")
    assert code == 0, err
    assert last_line(out)["status"] == "waiting"
    (batch,) = server.sessions
    assert [job.session_id for job in server.jobs] == [batch.id] * 2
    server.workload.release()
    # The run has its own copies.
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert len(server.jobs) == 2
    assert all(server.deliveries(job) == 1 for job in server.jobs)
    assert [each["name"] for each in last_line(out)["models"]] == ["run", "deep"]


def test_a_lost_copy_of_a_checkpoint_is_not_replaced_by_another(
    qhc: Qhc, trained: Path, other: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.safetensors"
    shutil.copy(other / "checkpoint.safetensors", moved)
    assert qhc("run", *of(trained, moved), "--out", "a")[0] == 0
    RunFolder.open(Path("a")).note(status="running")
    moved.write_bytes((trained / "checkpoint.safetensors").read_bytes())
    Path("a/checkpoint-2.safetensors").unlink()
    code, _, err = qhc("resume", "a")
    assert code != 0
    assert "is the checkpoint that this run was given" in err
    shutil.copy(other / "checkpoint.safetensors", moved)
    assert qhc("resume", "a")[0] == 0


def test_a_folder_of_runs_stands_for_all_of_them_and_simulators_take_them(
    qhc: Qhc, trained: Path, other: Path, tmp_path: Path
) -> None:
    for name, run in (("one", trained), ("two", other)):
        shutil.copytree(run, tmp_path / "study" / name)
    code, out, err = qhc("run", *of(tmp_path / "study", backend="aer"), "--out", "a", "--json")
    assert code == 0, err
    line = last_line(out)
    assert [each["name"] for each in line["models"]] == ["one", "two"]
    # Of means of ±1 in so many shots.
    assert all(0 < each["rmse"] < 3 / np.sqrt(SHOTS) for each in line["models"])
    assert line["jobs"] == 0 or "charged_seconds" not in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--train", "quantum"), "--train is for one checkpoint"),
        (("--rows", "9"), "--rows is for one checkpoint"),
        (("--limit", "1"), "--limit must be at least 2"),
        (("--recipe", "digits"), "leave --recipe out"),
        (("--set", 'run.mitigations=["zne"]'), "run.mitigations is for one checkpoint"),
    ],
)
def test_what_is_for_one_checkpoint_is_refused(
    qhc: Qhc, trained: Path, other: Path, arguments: tuple[str, ...], said: str
) -> None:
    given = of(trained, other)[:6]
    assert_refused(qhc, said, "run", *given, *arguments)


def test_the_same_checkpoint_twice_is_refused(qhc: Qhc, trained: Path) -> None:
    assert_refused(qhc, "is given twice", "run", *of(trained, trained))
