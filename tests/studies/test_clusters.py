"""A study on a cluster of two workers here, one of which is killed in the middle."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"dask": "distributed", "ray": "ray"}
WORKER = {"dask": "multiprocessing", "ray": "ray::PoolActor"}
"""Of the command line of an engine's workers."""
COMMAND = ("ablate", "arms", "--arms", "linear,none", "--seeds", "3,8", "--epochs", "3")


def begun(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """`qhc`, apart: what engines do to joblib and to their process ends with it."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "RAY_DEDUP_LOGS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(folder: Path) -> list[dict[str, str]]:
    """Of the table, without times."""
    with (folder / "arms.csv").open() as file:
        return [{**row, "seconds_per_epoch": ""} for row in csv.DictReader(file)]


def kill_a_worker(engine: str, of: subprocess.Popen[str], study: Path) -> None:
    """As soon as a run has begun to train, the worker that has used the most time."""
    deadline = time.monotonic() + 400
    while not list(study.glob("*/state.json")):
        assert of.poll() is None, of.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = [
        process
        for process in psutil.Process(of.pid).children(recursive=True)
        if any(WORKER[engine] in word for word in process.cmdline())
    ]
    assert len(workers) >= 2
    max(workers, key=lambda process: process.cpu_times().user).kill()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_study_that_loses_a_worker_has_the_rows_that_it_has_alone(
    tmp_path: Path, engine: str
) -> None:
    pytest.importorskip(PACKAGES[engine], reason=f"pip install 'qhc[cluster]' for {engine}")
    flags = ("--out", "together", "--engine", engine, "--jobs", "2")
    with begun(*COMMAND, *flags, folder=tmp_path) as together:
        try:
            kill_a_worker(engine, together, tmp_path / "together")
            said = together.communicate(timeout=400)[1]
        finally:
            together.kill()
    assert together.returncode == 0, said
    with begun(*COMMAND, "--out", "alone", folder=tmp_path) as alone:
        assert alone.wait(timeout=400) == 0
    assert rows(tmp_path / "together") == rows(tmp_path / "alone")
    states = [json.loads(path.read_text()) for path in tmp_path.glob("together/*/state.json")]
    assert [state["status"] for state in states] == ["finished"] * 4
    assert "Restarting worker" in said or "a worker process died" in said
    assert "runs: 4 of 4" in said
