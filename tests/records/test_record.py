"""The run folder: what it holds, and what it never holds."""

from __future__ import annotations

import getpass
import json
import socket
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments.config.recipe import load_config
from experiments.records.environment import computer, peak_memory_mib, versions
from experiments.records.facts import best_epoch
from experiments.records.folder import RunFolder, command_line
from experiments.records.loggers import check_loggers, numbers, open_loggers
from qbackend.errors import OptionError, RunFolderError

CONFIG = load_config("digits", ["model.arm=linear"])


def epoch(number: int, accuracy: float = 0.5, loss: float = 1.0) -> dict[str, Any]:
    scores = {"loss": loss, "accuracy": accuracy}
    return {"kind": "epoch", "epoch": number, "train": scores, "validation": scores}


def test_a_folder_holds_the_whole_recipe(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, {"command": "qhc run", "notes": ["odd"]})
    assert RunFolder.open(tmp_path / "run").config() == CONFIG
    content = tomllib.loads(folder.config_file.read_text())
    assert (content["run"]["status"], content["run"]["notes"]) == ("running", ["odd"])
    assert content["versions"] == versions()
    folder.note("run", status="finished")
    folder.note("computer", **computer("cpu"))
    assert folder.status == "finished"
    assert folder.config() == CONFIG
    assert load_config(str(folder.path)) == CONFIG


def test_a_folder_is_named_by_time_recipe_and_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = RunFolder.create(None, CONFIG, {})
    other = RunFolder.create(None, CONFIG, {})
    quantum = RunFolder.create(None, load_config("digits"), {})
    assert one.path != other.path
    assert one.path.parent == Path("runs")
    assert one.path.name.split("-", 2)[2].startswith("digits-linear")
    assert quantum.path.name.split("-", 2)[2] == "digits"


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", CONFIG, {})
    with pytest.raises(RunFolderError, match=f"qhc resume {tmp_path / 'run'}") as caught:
        RunFolder.create(tmp_path / "run", CONFIG, {})
    assert caught.value.exit_code == 2
    (tmp_path / "mine").mkdir()
    RunFolder.create(tmp_path / "mine", CONFIG, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for taken in ("other", "other/thesis.tex"):
        with pytest.raises(RunFolderError, match="not an empty folder"):
            RunFolder.create(tmp_path / taken, CONFIG, {})
    with pytest.raises(RunFolderError, match="cannot be made"):
        RunFolder.create(tmp_path / "other" / "thesis.tex" / "run", CONFIG, {})


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="does not exist"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(RunFolderError, match=r"has no config\.toml"):
        RunFolder.open(tmp_path)
    (tmp_path / "config.toml").write_text("[run")
    with pytest.raises(RunFolderError, match=r"config\.toml is damaged"):
        RunFolder.open(tmp_path)


def test_lines_are_kept_in_order_and_forgotten_from_the_end(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, {})
    assert folder.epochs() == folder.evaluations() == []
    for number in (1, 2, 3):
        folder.append(epoch(number))
    folder.append({"kind": "evaluation", "accuracy": 0.1})
    assert [record["epoch"] for record in folder.epochs()] == [1, 2, 3]
    assert len(folder.evaluations()) == 1
    assert len((folder.path / "metrics.csv").read_text().splitlines()) == 4
    with open(folder.metrics, "a") as file:
        file.write('{"kind": "epo')
    assert len(folder.epochs()) == 3
    folder.rewind(2)
    folder.append(epoch(3))
    assert [record["epoch"] for record in folder.epochs()] == [1, 2, 3]
    assert folder.evaluations() == []
    assert all(json.loads(line) for line in folder.metrics.read_text().splitlines())


def test_a_record_is_valid_json(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, {})
    with pytest.raises(ValueError, match="JSON"):
        folder.append(epoch(1, loss=float("nan")))


def test_the_best_epoch_is_the_one_whose_model_was_kept() -> None:
    records = [epoch(1, 0.5, 1.0), epoch(2, 0.7, 1.0), epoch(3, 0.7, 0.9), epoch(4, 0.7, 0.9)]
    best = best_epoch(records)
    assert best is not None
    assert best["epoch"] == 3
    assert best_epoch([]) is None


def test_no_names_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "jane"
    monkeypatch.setattr(Path, "home", lambda: home)
    command = command_line(["run", "--data-root", f"{home}/my data", "--seed", "3"])
    assert command == "qhc run --data-root '~/my data' --seed 3"
    folder = RunFolder.create(tmp_path / "run", CONFIG, {"command": command})
    folder.note("computer", **computer("cpu"))
    text = folder.config_file.read_text()
    assert "jane" not in text
    assert socket.gethostname() not in text
    assert f"/{getpass.getuser()}" not in text


def test_the_computer_and_the_software_are_described() -> None:
    found = computer("a GPU")
    assert found["accelerator"] == "a GPU"
    assert int(found["cores"]) >= 1
    assert int(found["memory_mib"]) > peak_memory_mib() > 10
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
        "train/loss": 1.5,
        "train/accuracy": 0.5,
        "validation/loss": 1.5,
        "validation/accuracy": 0.5,
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
