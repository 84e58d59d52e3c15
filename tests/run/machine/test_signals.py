"""Ctrl-C, SIGTERM and SIGHUP end commands with 130, a record, and nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from experiments.records.folder import RunFolder
from qbackend.machines.backend import MachineBackend
from qbackend.machines.job import RemoteJob
from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc, start_qhc

from .commands import sent

pytestmark = pytest.mark.slow


def wait_until(path: Path, running: subprocess.Popen[str]) -> None:
    """Until the file is there."""
    until = time.monotonic() + 120
    while not path.exists():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)


def ended(running: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> str:
    """What a process says that was asked to terminate."""
    running.send_signal(by)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP], ids=lambda by: by.name)
def test_a_machines_jobs_go_on(
    qhc: Qhc, tmp_path: Path, trained: Path, server: LoopbackServer, by: signal.Signals
) -> None:
    server.workload.hold(State.QUEUED)
    running = start_qhc(tmp_path, *sent(trained, "--yes", "--out", "a"))
    server.wait_for(State.QUEUED, timeout=120)
    server.wait(lambda: bool(server.received("GET", "/jobs/{id}")), timeout=30)
    assert "qhc resume a" in ended(running, by)
    (job,) = server.jobs
    assert job.state is State.QUEUED
    assert RunFolder.open(tmp_path / "a").status == "waiting"


@pytest.mark.parametrize("place", ["RemoteJob.send", "RemoteJob.result", "MachineBackend.submit"])
def test_an_interruption_leaves_sent_jobs_waiting(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Wherever between the sending of jobs and the wait for them it comes."""
    kind = {"RemoteJob": RemoteJob, "MachineBackend": MachineBackend}[place.partition(".")[0]]
    name = place.rpartition(".")[2]
    usual = getattr(kind, name)

    def interrupted(*arguments: Any) -> None:
        if name != "result":
            usual(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kind, name, interrupted)
        code, _, err = qhc(*sent(trained, "--yes", "--out", "a"))
    assert code == 130
    assert "qhc resume a" in err
    assert RunFolder.open(Path("a")).status == "waiting"
    assert qhc("resume", "a")[0] == 0
    assert len(server.jobs) == 1


def test_a_training_goes_on_later(tmp_path: Path) -> None:
    running = start_qhc(tmp_path, "run", "--epochs", "2000", "--out", "a")
    wait_until(tmp_path / "a" / "training.safetensors", running)
    said = ended(running, signal.SIGINT)
    assert said.strip().splitlines()[-1] == "interrupted; go on with: qhc resume a"
    assert RunFolder.open(tmp_path / "a").status == "interrupted"


def test_an_ablation_goes_on_later(tmp_path: Path) -> None:
    running = start_qhc(
        tmp_path, "ablate", "arms", "--epochs", "300", "--arms", "quantum,linear", "--seeds", "2",
        "--out", "a",
    )  # fmt: skip
    wait_until(tmp_path / "a" / "quantum-seed0" / "training.safetensors", running)
    ended(running)
    assert RunFolder.open(tmp_path / "a" / "quantum-seed0").status == "interrupted"


def test_an_ablation_leaves_no_worker_behind(tmp_path: Path) -> None:
    running = start_qhc(
        tmp_path, "ablate", "noise", "--epochs", "1", "--seeds", "1", "--jobs", "2", "--full",
        "--device", "fake_brisbane", "--shots", "exact,64,4096", "--out", "a",
    )  # fmt: skip
    until = time.monotonic() + 120
    while len(workers := loky_workers(running.pid)) < 2:
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    ended(running)
    until = time.monotonic() + 30
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < until, "workers go on by themselves"
        time.sleep(0.1)


def loky_workers(pid: int) -> list[int]:
    return [each for each in family(pid) if b"loky" in _read(f"/proc/{each}/cmdline")]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def family(pid: int) -> list[int]:
    """The process's children, and theirs."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    own = [int(child) for child in found.read_text().split()] if found.exists() else []
    return own + [each for child in own for each in family(child)]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
