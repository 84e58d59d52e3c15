"""Runs in processes of their own: stopped by signals, gone on with, and in two at once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.numpy import load_file

from experiments.assembly.threads import use_threads
from experiments.records.checkpoint import Best
from experiments.records.folder import RunFolder
from experiments.training.train import Training
from tests.support.command_line import exit_code, start_qhc, without_reports
from tests.support.runs import as_of_old

from .small import same_files, timeless

STOPPABLE = ("run", "--epochs", "4", "--set", "train.batch_size=8", "--limit", "60")


def after_epochs(run: Path, n: int, process: subprocess.Popen[str], sign: signal.Signals) -> None:
    """Send a signal as soon as `n` epochs are on record."""
    while len((run / "metrics.csv").read_text().splitlines() if (run / "metrics.csv").exists()
              else []) <= n:  # fmt: skip
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)
    process.send_signal(sign)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody stops, in this process."""
    # As many threads as the other processes have: sums in another order are other bits.
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "straight"
    with without_reports():
        assert exit_code(*STOPPABLE, "--out", str(folder)) == 0
    return RunFolder.open(folder)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_the_same_bits(
    straight: RunFolder, tmp_path: Path
) -> None:
    """From the shell's side: `kill -9` in the middle of an epoch."""
    killed = start_qhc(tmp_path, *STOPPABLE, "--out", "stopped")
    after_epochs(tmp_path / "stopped", 2, killed, signal.SIGKILL)
    killed.communicate(timeout=300)
    folder = RunFolder.open(tmp_path / "stopped")
    assert 2 <= len(folder.epochs()) < 4
    resumed = start_qhc(tmp_path, "resume", "stopped", "--json", with_reports=True)
    out, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    for name in ("checkpoint.safetensors", "training.safetensors"):
        one, other = (load_file(run.path / name) for run in (straight, folder))
        assert one.keys() == other.keys()
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)
    for records in ("epochs", "evaluations"):
        one, other = (timeless(getattr(run, records)()) for run in (straight, folder))
        assert one == other
    assert json.loads(out)["accuracy"] == straight.evaluations()[-1].accuracy
    assert (folder.path / "report.html").exists()


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    flags = ("--set", "fabric.devices=2", "--set", "fabric.accelerator=cpu",
             "--set", "fabric.strategy=ddp", "--set", "train.batch_size=32")  # fmt: skip
    process = start_qhc(tmp_path, "run", "--epochs", "2", *flags, "--out", "two", "--json")
    out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert len(out.splitlines()) == 1
    folder = RunFolder.open(tmp_path / "two")
    assert folder.status == "finished"
    assert [record.epoch for record in folder.epochs()] == [1, 2]
    losses = [record.train.loss for record in folder.epochs()]
    assert losses == sorted(losses, reverse=True)
    assert list((tmp_path).iterdir()) == [folder.path]


def content(folder: Path) -> dict[str, object]:
    """All that a run's folder says, apart from times and from where it is."""
    run, state = RunFolder.open(folder), json.loads((folder / "state.json").read_text())
    for key in ("started", "ended", "process"):
        del state[key]
    config = tomllib.loads(run.config_file.read_text())
    del config["run"]["command"]
    files = ("checkpoint.safetensors", "training.safetensors", "evaluation.npz")
    return {
        "config": config,
        "keys in order": [list(config["run"]), list(state)],
        "state": state,
        "metrics": timeless([*run.epochs(), *run.evaluations()]),
        **{name: (folder / name).read_bytes() for name in files},
    }


@pytest.mark.slow
def test_the_same_command_leaves_the_same_bytes(tmp_path: Path) -> None:
    """In a fresh process, and in one that computed other things with other threads before."""
    command = ("run", "--epochs", "2", "--set", "run.threads=2", "--seed", "3")
    fresh = start_qhc(tmp_path, *command, "--out", "fresh")
    assert fresh.wait(timeout=240) == 0, fresh.stderr and fresh.stderr.read()
    torch.set_num_threads(1)
    with without_reports():
        assert exit_code(*command, "--out", str(tmp_path / "here")) == 0
    use_threads(1)
    one, other = content(tmp_path / "fresh"), content(tmp_path / "here")
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == []


def as_before_threads_were_recorded(folder: Path) -> None:
    """What a run of an older qhc left in its folder."""
    text = (folder / "config.toml").read_text()
    assert text.count("threads = 1\n") == 1
    (folder / "config.toml").write_text(text.replace("threads = 1\n", ""))
    as_of_old(folder)


def older_run(path: Path, monkeypatch: pytest.MonkeyPatch, *, epochs: int) -> None:
    """A run with every bias trained, as by an older qhc, stopped after so many epochs."""
    with monkeypatch.context() as patch, without_reports():
        patch.setattr("models.hybrid.hold_norm_biases", lambda model: model)
        if epochs < 4:
            begin = Training._epoch

            def stopping(self: Training, epoch: int, best: Best | None) -> Best:
                if epoch > epochs:
                    raise KeyboardInterrupt
                return begin(self, epoch, best)

            patch.setattr(Training, "_epoch", stopping)
        assert exit_code(*STOPPABLE, "--out", str(path)) == (0 if epochs == 4 else 130)
    as_before_threads_were_recorded(path)


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_run_of_an_older_qhc_goes_on_as_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """It recorded no threads, and trained the biases in front of BatchNorm."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    older_run(straight, monkeypatch, epochs=4)
    older_run(stopped, monkeypatch, epochs=epochs)
    torch.set_num_threads(1)
    with without_reports():
        assert exit_code("resume", str(stopped)) == 0
    assert same_files(straight / "checkpoint.safetensors", stopped / "checkpoint.safetensors")
    assert same_files(straight / "training.safetensors", stopped / "training.safetensors")
    assert RunFolder.open(stopped).config().run.threads is None


@pytest.mark.slow
def test_processes_that_help_end_with_the_one_that_is_killed(tmp_path: Path) -> None:
    flags = ("--set", "fabric.devices=2", "--set", "fabric.accelerator=cpu",
             "--set", "fabric.strategy=ddp", "--set", "train.batch_size=32")  # fmt: skip
    first = start_qhc(tmp_path, "run", "--epochs", "1000", *flags, "--out", "two")
    helpers: list[psutil.Process] = []
    while not helpers:
        assert first.poll() is None, first.stderr and first.stderr.read()
        helpers = psutil.Process(first.pid).children()
        time.sleep(0.05)
    # It has hardly begun: it would wait for the first one for half an hour.
    first.kill()
    _, alive = psutil.wait_procs(helpers, timeout=120)
    first.communicate()
    assert alive == []
