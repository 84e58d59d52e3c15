"""`qhc run`: what it leaves behind, what it does not repeat, and how it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.records.folder import RunFolder
from experiments.run import stages
from qbackend import registry
from qbackend.aer.exact import AerSampled
from qbackend.seam.backend import Capabilities

from ..support.command_line import Qhc, last_line

SMALL = ("--epochs", "2", "--set", "model.arm=linear")


def test_a_run_leaves_its_folder_and_one_line_of_json(qhc: Qhc) -> None:
    code, out, err = qhc("run", *SMALL, "--limit", "50", "--json")
    assert code == 0
    assert len(out.splitlines()) == 1
    line = json.loads(out)
    folder = RunFolder.open(Path(line["run"]))
    assert folder.path.parent == Path("runs")
    assert (line["backend"], line["n_images"]) == ("aer", 50)
    assert not {"shots", "jobs", "qpu_seconds"} & line.keys()
    assert {path.name for path in folder.path.iterdir()} == {
        "config.toml", "state.json", "metrics.jsonl", "metrics.csv", "checkpoint.safetensors",
        "training.safetensors", "evaluation.npz",
    }  # fmt: skip
    state = folder.state
    assert (state.status, state.parameters, state.quantum_parameters) == ("finished", 12302, 0)
    assert folder.provenance.command.startswith("qhc run --epochs 2")
    assert [record.epoch for record in folder.epochs()] == [1, 2]
    last, best = folder.evaluations()
    assert (last.checkpoint, best.checkpoint) == ("last", "best")
    assert {last.split, best.split} == {"test"}
    assert line["accuracy"] == best.accuracy
    written = json.loads(folder.metrics.read_text().splitlines()[-1])
    assert set(written) == {
        "kind", "backend", "shots", "split", "checkpoint", "n_images", "loss", "accuracy",
        "accuracy_interval", "precision", "recall", "f1", "per_class", "confusion", "seconds",
        "jobs", "qpu_seconds",
    }  # fmt: skip
    assert set(written["per_class"][0]) == {"class", "precision", "recall", "f1", "support"}
    assert "epoch   2" in err
    assert "12,302" in err


def test_without_json_the_table_is_on_standard_output(qhc: Qhc) -> None:
    code, out, _ = qhc("run", *SMALL, "--out", "here")
    assert code == 0
    for words in ("validation", "test", "last", "best", "12,302", "median", "here/report.html"):
        assert words in out


def test_a_run_is_not_repeated_by_accident(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", *SMALL, "--out", "here")[0] == 0
    (tmp_path / "here" / "report.html").touch()
    before = {path: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    code, out, err = qhc("run", *SMALL, "--out", "here")
    assert (code, out) == (2, "")
    assert "qhc resume here" in err
    code, out, err = qhc("resume", "here")
    assert code == 0
    assert "is finished" in err
    assert "best" in out
    assert before == {path: path.read_bytes() for path in (tmp_path / "here").iterdir()}


def test_published_quirks_are_printed_and_recorded(qhc: Qhc) -> None:
    settings = ("--set", "protocol=published", "--set", "model.arm=classical", "--epochs", "1")
    code, _, err = qhc("run", *settings, "--out", "here")
    assert code == 0
    notes = RunFolder.open(Path("here")).state.notes
    assert len(notes) == 9
    assert all(f"note: {note}" in err for note in notes)


def test_a_checkpoint_is_validated_on_any_backend(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", "--epochs", "2", "--seed", "3", "--out", "trained")[0] == 0
    trained = RunFolder.open(Path("trained"))
    code, out, _ = qhc("run", "--checkpoint", "trained", "--out", "again", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == trained.evaluations()[-1].accuracy
    assert json.loads(out)["loss"] == trained.evaluations()[-1].loss
    images = {}
    for name, flags in {
        "exact": ("--backend", "aer"),
        "sampled": ("--shots", "100"),
        "file": ("--backend", "native"),
    }.items():
        source = "trained/checkpoint.safetensors" if name == "file" else "trained"
        options = ("--limit", "30", "--out", name, "--json", *flags)
        code, out, err = qhc("run", "--checkpoint", source, *options)
        assert code == 0, err
        line = json.loads(out)
        assert line["n_images"] == 30
        assert ("shots" in line) is (name == "sampled")
        with np.load(f"{name}/evaluation.npz") as arrays:
            images[name] = arrays["indices"].tolist()
    assert images["exact"] == images["sampled"] == images["file"]
    assert line["backend"] == "native"
    sampled = RunFolder.open(Path("sampled"))
    assert sampled.evaluations()[-1].shots == 100
    assert sampled.evaluations()[-1].jobs == 1
    assert sampled.provenance.checkpoint == "trained/checkpoint.safetensors"
    assert sampled.checkpoint.read_bytes() == Path("trained/checkpoint.safetensors").read_bytes()


def test_damaged_and_foreign_checkpoints(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", *SMALL, "--out", "trained")[0] == 0
    whole = (tmp_path / "trained" / "checkpoint.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    (tmp_path / "text.safetensors").write_text("not a checkpoint, rather a letter")
    for name in ("cut", "text"):
        code, _, err = qhc("run", "--checkpoint", f"{name}.safetensors", "--out", "there")
        assert code == 2
        assert f"{name}.safetensors is truncated or damaged" in err
    assert not (tmp_path / "there").exists()


def test_a_checkpoint_for_other_images(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qhc("run", *SMALL, "--out", "trained")[0] == 0
    load = stages.load_images
    monkeypatch.setattr(
        stages, "load_images", lambda *given: replace(load(*given), classes=("a", "b"))
    )
    code, _, err = qhc("run", "--checkpoint", "trained", "--out", "there")
    assert code == 2
    assert "holds hybrid-digits, arm linear, 10 classes" in err
    assert "has 2 classes and 1 channels" in err


def test_a_diverging_training_keeps_what_was_good(
    qhc: Qhc, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = qhc(
        "run", *SMALL, "--set", "train.lr=1e30", "--set", "train.clip=0", "--out", "here"
    )
    assert code == 1
    assert "error: training diverged in epoch 1: the loss of batch" in err
    assert "--set train.lr=1e+29" in err
    assert RunFolder.open(Path("here")).status == "failed"


class Machine(AerSampled):
    """A backend that says that it is far away."""

    name = "machine"

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, remote=True)


def test_a_machine_only_validates(qhc: Qhc, monkeypatch: pytest.MonkeyPatch) -> None:
    known = registry._factories()

    def machine(argument: str | None, *, shots: int | None, seed: int | None) -> Machine:
        return Machine(shots or 50, seed)

    monkeypatch.setattr(registry, "_factories", lambda: {**known, "machine": lambda: machine})
    code, out, _ = qhc("run", "--epochs", "1", "--backend", "machine", "--limit", "100", "--json",
                       "--shots", "20")  # fmt: skip
    assert code == 0
    line = json.loads(out)
    assert (line["backend"], line["shots"], line["jobs"]) == ("machine", 20, 1)
    records = RunFolder.open(Path(line["run"])).evaluations()
    assert [record.backend for record in records] == ["aer", "aer", "machine"]
    assert [record.jobs for record in records] == [0, 0, 1]


@pytest.mark.parametrize("backend", ["aer", "aer:fake_manila", "fake_manila"])
def test_the_largest_seed_is_a_seed_everywhere(qhc: Qhc, backend: str) -> None:
    command = ("run", "--seed", str(2**64 - 1), "--backend", backend, "--shots", "5",
               "--set", "train.limit=64", "--set", "train.batch_size=32", "--epochs", "1",
               "--limit", "4", "--out", "run", "--json")  # fmt: skip
    code, out, err = qhc(*command)
    assert code == 0, err
    assert last_line(out)["seed"] == 2**64 - 1
    assert RunFolder.open(Path("run")).config().run.seed == 2**64 - 1
