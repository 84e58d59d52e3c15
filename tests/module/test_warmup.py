"""`qhc warmup`: after it no run compiles anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from qbackend.kernels.cache import kernels, sources

ROOT = Path(__file__).parents[2]
RUNS = (
    ("--backend", "native"),
    ("--backend", "native:fake_manila", "--set", "layer.n_wires=2"),
    ("--recipe", "qpc-fashionmnist", "--dataset", "digits", "--set", "train.batch_size=64"),
)


def qhc(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """In a process that has not loaded a kernel yet."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


def all_kernels() -> set[str]:
    package = ROOT / "qbackend"
    parts = [path.relative_to(package).with_suffix("").parts for path in sources()]
    modules = [import_module(".".join(["qbackend", *each])) for each in parts]
    return {kernel._cache.name for module in modules for kernel in kernels(module)}


@pytest.mark.slow
def test_after_a_warmup_nothing_is_compiled(tmp_path: Path) -> None:
    assert "kernels, kept in:" in qhc("warmup", folder=tmp_path).stdout
    again = qhc("warmup", "--json", folder=tmp_path)
    assert "compil" not in again.stderr
    found = json.loads(again.stdout)
    assert {each["seconds"] for each in found} == {None}
    # One that is missing here is called by no layer of `warmup.work`: add one that takes it.
    assert {each["name"] for each in found} == all_kernels()
    assert len({each["name"] for each in found if each["numbers"] == "float32"}) > 20
    for flags in RUNS:
        done = qhc("run", *flags, "--epochs", "1", "--limit", "20", folder=tmp_path)
        assert "compil" not in done.stderr
