"""The run folder: what it holds, and what it never holds."""

from __future__ import annotations

import getpass
import json
import socket
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments.config.recipe import load_config
from experiments.records.comparisons import Charges, ValidationRecord
from experiments.records.folder import RunFolder, command_line
from experiments.records.lines import EpochRecord, EvaluationRecord
from experiments.records.loggers import check_loggers, numbers, open_loggers
from experiments.records.run_records import RunRecords
from experiments.records.scores import ClassScores, Means, TrainingMeans
from qbackend.errors import OptionError, RecordError, RunFolderError
from qbackend.validation.records.environment import computer, peak_memory_mib, versions
from qbackend.validation.records.state import Provenance

CONFIG = load_config("digits", ["model.arm=linear"])


LAYER = {"n_wires": 4, "encoding": "amplitude", "observables": ["ZIII"]}


def epoch(number: int, accuracy: float = 0.5, loss: float = 1.0) -> EpochRecord:
    return EpochRecord(
        epoch=number,
        lr=0.1,
        train=TrainingMeans(loss=loss, accuracy=accuracy),
        validation=Means(loss=loss, accuracy=accuracy, precision=0.5, recall=0.5, f1=0.25),
        seconds=1.0,
        validation_seconds=0.5,
        cpu_seconds=2.0,
        peak_memory_mib=512.0,
    )


def evaluation(**more: Any) -> EvaluationRecord:
    one = ClassScores(name="0", precision=1.0, recall=1.0, f1=1.0, support=2)
    return EvaluationRecord(
        backend="aer",
        shots=None,
        split="test",
        checkpoint="best",
        n_images=2,
        loss=0.1,
        accuracy=1.0,
        accuracy_interval=(0.3, 1.0),
        precision=1.0,
        recall=1.0,
        f1=1.0,
        per_class=(one,),
        confusion=((2,),),
        seconds=0.5,
        jobs=0,
        qpu_seconds=0.0,
        **more,
    )


def test_a_folder_holds_the_whole_recipe(tmp_path: Path) -> None:
    given = Provenance(command="qhc run", data_root="data")
    folder = RunFolder.create(tmp_path / "run", CONFIG, given, layer=LAYER, notes=["odd"])
    assert RunFolder.open(tmp_path / "run").config() == CONFIG
    content = tomllib.loads(folder.config_file.read_text())
    assert content["run"] == {**CONFIG.to_dict()["run"], **given.to_dict()}
    assert content["quantum_layer"] == LAYER
    assert content["versions"] == folder.versions == versions()
    assert folder.provenance == given
    assert load_config(str(folder.path)) == CONFIG


def test_what_happens_to_a_run_leaves_its_config_alone(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, notes=["odd"])
    before = folder.config_file.read_bytes()
    assert (folder.status, folder.state.notes) == ("running", ("odd",))
    on = computer("cpu")
    folder.note(status="failed", error="OSError", computer=on, process=7)
    again = RunFolder.open(folder.path).state
    assert (again.status, again.error) == ("failed", "OSError")
    assert (again.computer, again.process) == (on, 7)
    folder.note(status="finished", error=None)
    written = json.loads(folder.state_file.read_text())
    assert written.keys() == {"status", "started", "process", "notes", "computer"}
    assert folder.config_file.read_bytes() == before
    with pytest.raises(ValueError, match="no State: status: Input should be 'running'"):
        folder.note(status="lost")
    assert folder.status == "finished"


def test_a_new_budget_takes_the_recipes_place(tmp_path: Path) -> None:
    config = load_config("digits", ["run.backend=ibm_fez", "machine.max_qpu_seconds=5"])
    folder = RunFolder.create(tmp_path / "run", config)
    folder.note(max_qpu_seconds=90.0)
    machine = replace(config.machine, max_qpu_seconds=90.0)
    assert folder.config() == config.model_copy(update={"machine": machine})
    assert load_config(str(folder.path)) == config


def test_charges_stand_among_the_values_of_their_line(tmp_path: Path) -> None:
    charges = Charges(job_ids=("a",), estimated_seconds=2.0, charged_seconds=3.0, unsettled=0)
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    for each in (None, charges):
        line = ValidationRecord(machine="m", n_images=2, changed=0, agreement=(), charges=each)
        folder.append(line)
        assert folder.validation_record is not None
        assert folder.validation_record.charges == each
    without, with_charges = map(json.loads, folder.metrics.read_text().splitlines())
    assert list(without) == ["kind", "machine", "n_images", "changed", "agreement"]
    assert with_charges == {**without, **charges.to_dict(), "job_ids": ["a"]}


def test_a_folder_is_named_by_time_recipe_and_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = RunFolder.create(None, CONFIG)
    other = RunFolder.create(None, CONFIG)
    quantum = RunFolder.create(None, load_config("digits"))
    assert one.path != other.path
    assert one.path.parent == Path("runs")
    assert one.path.name.split("-", 2)[2].startswith("digits-linear")
    assert quantum.path.name.split("-", 2)[2] == "digits"


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", CONFIG)
    with pytest.raises(RunFolderError, match=f"qhc resume {tmp_path / 'run'}") as caught:
        RunFolder.create(tmp_path / "run", CONFIG)
    assert caught.value.exit_code == 2
    (tmp_path / "mine").mkdir()
    RunFolder.create(tmp_path / "mine", CONFIG)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for taken in ("other", "other/thesis.tex"):
        with pytest.raises(RunFolderError, match="not an empty folder"):
            RunFolder.create(tmp_path / taken, CONFIG)
    with pytest.raises(RunFolderError, match="cannot be made"):
        RunFolder.create(tmp_path / "other" / "thesis.tex" / "run", CONFIG)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="does not exist"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match=r"has no config\.toml"):
        RunFolder.open(tmp_path)
    for damaged in ("[run", "recipe = 3", "run = 3", "[run]\ncommand = 3\nstatus = 'finished'"):
        (tmp_path / "config.toml").write_text(damaged)
        with pytest.raises(RunFolderError, match=r"config\.toml is damaged"):
            RunFolder.open(tmp_path)


@pytest.mark.parametrize("content", ["[run", "no = 1", "[run]\ncommand = 3"])
def test_a_whole_state_does_not_hide_a_damaged_config(tmp_path: Path, content: str) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.config_file.write_text(content)
    with pytest.raises(RunFolderError, match=r"config\.toml is damaged"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize("content", ["null", "3", "{}", '{"kind": "epoch"}'])
def test_a_damaged_line(tmp_path: Path, content: str) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.metrics.write_text(f"{content}\n")
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl is damaged"):
        folder.epochs()


def test_a_state_that_is_missing(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.state_file.unlink()
    with pytest.raises(RunFolderError, match=r"state\.json is missing; put it back"):
        RunFolder.open(folder.path)


def test_a_folder_that_could_not_be_made_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".toml":
            raise RecordError("no space left")
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr("qbackend.validation.records.stored.write_atomically", full)
        with pytest.raises(RecordError):
            RunFolder.create(tmp_path / "run", CONFIG)
    RunFolder.create(tmp_path / "run", CONFIG)


def test_a_folder_whose_maker_was_killed_is_free(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.config_file.rename(tmp_path / "run" / ".config.toml.partial")
    RunFolder.create(tmp_path / "run", CONFIG)


def test_lines_are_kept_in_order_and_forgotten_from_the_end(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    assert folder.epochs() == folder.evaluations() == []
    for number in (1, 2, 3):
        folder.append(epoch(number))
    folder.append(evaluation())
    assert [record.epoch for record in folder.epochs()] == [1, 2, 3]
    assert len(folder.evaluations()) == 1
    assert len((folder.path / "metrics.csv").read_text().splitlines()) == 4
    with open(folder.metrics, "a") as file:
        file.write('{"kind": "epo')
    assert len(folder.epochs()) == 3
    folder.rewind(2)
    folder.append(epoch(3))
    assert [record.epoch for record in folder.epochs()] == [1, 2, 3]
    assert folder.evaluations() == []
    assert all(json.loads(line) for line in folder.metrics.read_text().splitlines())


def test_a_record_is_valid_json(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    with pytest.raises(ValueError, match="JSON"):
        folder.append(epoch(1, loss=float("nan")))


def test_the_best_epoch_is_the_one_whose_model_was_kept(tmp_path: Path) -> None:
    records = [epoch(1, 0.5, 1.0), epoch(2, 0.7, 1.0), epoch(3, 0.7, 0.9), epoch(4, 0.7, 0.9)]
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    assert RunRecords.read(folder.path).best_epoch is None
    for record in records:
        folder.append(record)
    best = RunRecords.read(folder.path).best_epoch
    assert best is not None
    assert best.epoch == 3


def test_no_names_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "jane"
    monkeypatch.setattr(Path, "home", lambda: home)
    command = command_line(["run", "--data-root", f"{home}/my data", "--seed", "3"])
    assert command == "qhc run --data-root '~/my data' --seed 3"
    folder = RunFolder.create(tmp_path / "run", CONFIG, Provenance(command=command))
    folder.note(computer=computer("cpu"))
    text = folder.config_file.read_text() + folder.state_file.read_text()
    assert "jane" not in text
    assert socket.gethostname() not in text
    assert f"/{getpass.getuser()}" not in text


def test_the_computer_and_the_software_are_described() -> None:
    found = computer("a GPU")
    assert found.accelerator == "a GPU"
    assert found.cores >= 1
    assert found.memory_mib > peak_memory_mib() > 10
    assert {"qhc", "python", "torch", "torchvision", "qiskit", "qiskit-aer", "numpy"} <= set(
        versions()
    )
    assert "not installed" not in versions().values()


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_logger_that_is_not_installed(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.records.loggers.find_spec", lambda name: None)
    config = load_config("digits", [f"log.{package}=true"])
    with pytest.raises(OptionError, match=f"pip install {package}"):
        check_loggers(config)
    check_loggers(CONFIG)


def test_a_logger_gets_every_number_under_its_path() -> None:
    assert numbers(epoch(2, 0.5, 1.5)) == {
        "epoch": 2,
        "lr": 0.1,
        "train/loss": 1.5,
        "train/accuracy": 0.5,
        "validation/loss": 1.5,
        "validation/accuracy": 0.5,
        "validation/precision": 0.5,
        "validation/recall": 0.5,
        "validation/f1": 0.25,
        "seconds": 1.0,
        "validation_seconds": 0.5,
        "cpu_seconds": 2.0,
        "peak_memory_mib": 512.0,
    }


def test_tensorboard_writes_into_the_run(tmp_path: Path) -> None:
    with open_loggers(load_config("digits", ["log.tensorboard=true"]), tmp_path) as loggers:
        for logger in loggers:
            logger.log(epoch(1))
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


class Mlflow(ModuleType):
    """What mlflow 2 and 3 take, by their names; the package itself brings forty others along."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.experiment, self.run, self.ended = "", "", False
        self.params: dict[str, Any] = {}
        self.metrics: dict[int, dict[str, float]] = {}

    def set_experiment(self, experiment_name: str) -> None:
        self.experiment = experiment_name

    def start_run(self, *, run_name: str) -> None:
        self.run = run_name

    def log_params(self, params: dict[str, Any]) -> None:
        self.params |= params

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.metrics[step] = metrics

    def end_run(self) -> None:
        self.ended = True


def test_mlflow_gets_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    with open_loggers(load_config("digits", ["log.mlflow=true"]), tmp_path / "run") as loggers:
        for logger in loggers:
            logger.log(epoch(1, accuracy=0.25))
            logger.log(epoch(2, accuracy=0.5))
        assert not mlflow.ended
    assert (mlflow.experiment, mlflow.run, mlflow.ended) == ("qhc", "run", True)
    assert [mlflow.metrics[n]["validation/accuracy"] for n in (1, 2)] == [0.25, 0.5]
    assert mlflow.params["train.lr"] == 0.01
    # Numbers alone are metrics.
    assert all(isinstance(each, float | int) for each in mlflow.metrics[1].values())
