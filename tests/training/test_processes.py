"""Runs in processes of their own: stopped by signals, gone on with, and in two at once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

from experiments.record import RunFolder
from tests.command_line import exit_code, start_qhc, without_reports

from .small import timeless

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
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(
    straight: RunFolder, tmp_path: Path, sign: signal.Signals
) -> None:
    """From the shell's side: `kill -9`, and Ctrl-C, in the middle of an epoch."""
    stopped = start_qhc(tmp_path, *STOPPABLE, "--out", "stopped")
    after_epochs(tmp_path / "stopped", 2, stopped, sign)
    _, said = stopped.communicate(timeout=300)
    folder = RunFolder.open(tmp_path / "stopped")
    assert 2 <= len(folder.epochs()) < 4
    if sign is signal.SIGINT:
        assert stopped.returncode == 130
        assert said.strip().splitlines()[-1] == "interrupted; go on with: qhc resume stopped"
        assert folder.status == "interrupted"
    resumed = start_qhc(tmp_path, "resume", "stopped", "--json")
    out, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    for name in ("checkpoint.safetensors", "training.safetensors"):
        one, other = (load_file(run.path / name) for run in (straight, folder))
        assert one.keys() == other.keys()
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)
    for records in ("epochs", "evaluations"):
        one, other = (timeless(getattr(run, records)()) for run in (straight, folder))
        assert one == other
    assert json.loads(out)["accuracy"] == straight.evaluations()[-1]["accuracy"]
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
    assert [record["epoch"] for record in folder.epochs()] == [1, 2]
    losses = [record["train"]["loss"] for record in folder.epochs()]
    assert losses == sorted(losses, reverse=True)
    assert list((tmp_path).iterdir()) == [folder.path]
