"""`qhc` with a circuit of the user's own: trained, gone on with, and validated without its file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from experiments.records.checkpoint import load_model_info
from experiments.records.folder import RunFolder
from qbackend.layers.definitions import layer_of

from ..support.command_line import Qhc, assert_refused, exit_code, last_line, without_reports
from ..support.own_circuit import FEATURES, QASM

OWN = ("--set", "layer.circuit=my.qasm", "--set", FEATURES)
SMALL = ("--backend", "native", "--epochs", "1", "--limit", "20", "--set", "data.validation=0.9")
FEW = ("--limit", "8", "--shots", "64")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a circuit whose file is gone."""
    home = tmp_path_factory.mktemp("own")
    (home / "my.qasm").write_text(QASM)
    with without_reports(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert exit_code("run", *OWN, *SMALL, "--out", "run") == 0
    (home / "my.qasm").unlink()
    return home / "run"


def test_the_run_stands_alone(trained: Path) -> None:
    folder = RunFolder.open(trained)
    config, info = folder.config(), load_model_info(folder.checkpoint)
    assert config.layer.circuit == QASM
    assert (
        info.config["layer"] == info.spec == config.layer.model_dump(exclude_none=True, mode="json")
    )
    assert layer_of(info.spec).n_weights == folder.state.quantum_parameters == 3


@pytest.mark.parametrize("backend", ["aer", "aer:fake_manila", "native:fake_manila"])
def test_a_simulator_validates_it(qhc: Qhc, trained: Path, backend: str) -> None:
    given = ("--checkpoint", str(trained), "--backend", backend, "--limit", "20", "--json")
    code, out, err = qhc("run", *given, "--out", "a")
    assert code == 0, err
    assert last_line(out)["n_images"] == 20
    records = RunFolder.open(Path("a")).evaluations()
    (test,) = [each for each in RunFolder.open(trained).evaluations() if each.checkpoint == "best"]
    # Without noise, the answers are those of the training's backend.
    assert records[0].accuracy == test.accuracy
    if ":" in backend:
        assert records[-1].compiled is not None
        assert records[-1].compiled.two_qubit_gates > 0
        assert Path("a/compiled.qpy").exists()
        assert "two-qubit gates, reported gate fidelity" in out + err


def test_a_machine_is_asked_for_it(qhc: Qhc, trained: Path) -> None:
    given = ("--checkpoint", str(trained), "--backend", "fake_manila", *FEW)
    code, out, err = qhc("estimate", *given, "--json")
    assert code == 0, err
    assert last_line(out)["rows"] == 8
    code, out, err = qhc("run", *given, "--out", "a")
    assert code == 0, err
    folder = RunFolder.open(Path("a"))
    assert [record.stage for record in folder.evaluations()] == ["ideal", "noise", "machine"]
    assert folder.validation_record is not None


def test_a_training_goes_on(qhc: Qhc, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my.qasm").write_text(QASM)
    with monkeypatch.context() as patch:
        patch.setattr("experiments.run.runner.assess", _interrupted)
        assert qhc("run", *OWN, *SMALL, "--out", "a")[0] == 130
    Path("my.qasm").unlink()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    one, other = RunFolder(Path("a")), RunFolder.open(trained)
    assert one.checkpoint.read_bytes() == other.checkpoint.read_bytes()


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_ablation_of_it_goes_on(qhc: Qhc) -> None:
    """Though a function's circuit has another text each time."""
    Path("mine.py").write_text("from tests.support.own_circuit import circuit\n")
    typed = ("ablate", "arms", "--arms", "quantum,none", "--seeds", "2", "--epochs", "1")
    typed += ("--backend", "native", "--set", "data.validation=0.9", "--out", "arms")
    typed += ("--set", "layer.circuit=mine.py:circuit", "--set", FEATURES)
    assert qhc(*typed)[0] == 0
    code, out, err = qhc(*typed)
    assert code == 0, err
    assert "quantum" in out
    # Nothing was trained anew.
    assert "epoch" not in err


def test_the_noise_ablation_takes_its_own_preparation(qhc: Qhc) -> None:
    Path("my.qasm").write_text(QASM)
    typed = ("ablate", "noise", "--device", "fake_manila", "--part", "all", "--strength", "0,1")
    typed += ("--shots", "exact", "--training", "ideal", "--seeds", "1", "--epochs", "1")
    typed += ("--limit", "20", "--set", "data.validation=0.9", *OWN, "--engine", "threading")
    code, _, err = qhc(*typed, "--jobs", "1", "--out", "noise")
    assert code == 0, err
    with open("noise/noise.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # There is none to choose: the two of the axis are one.
    assert [row["preparation"] for row in rows] == ["none", "auto", "auto"]
    assert float(rows[1]["rmse"]) < 1e-6 < float(rows[2]["rmse"])


def test_what_it_has_no_meaning_for_is_refused(qhc: Qhc, trained: Path) -> None:
    given = ("run", "--checkpoint", str(trained))
    words = "layer.n_layers: has no meaning for a circuit of your own"
    assert_refused(qhc, words, *given, "--set", "layer.n_layers=3")
    words = "preparation 'compact' is for amplitudes of the catalogue's layers"
    compact = ("--backend", "aer:fake_manila", "--preparation", "compact")
    assert_refused(qhc, words, *given, *compact)
    words = "layer.circuit: there is no file my.qasm"
    assert_refused(qhc, words, "run", *OWN)
