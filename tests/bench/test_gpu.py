"""The benchmark for one GPU, where there is none: it gets through, whatever becomes of a stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.bench.accelerator import Place
from qbackend.errors import BackendError

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{BENCHMARKS}"}

WORKER = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from gpu_work import Lines, work

def measure(name):
    if name == "raises":
        raise ValueError("as it must\\nat length")
    if name == "dies":
        os._exit(7)
    if name == "hangs":
        time.sleep(600)
    return {"value": name}

def wait():
    if tasks_done[-1:] == ["spoils"]:
        raise RuntimeError("an illegal address")

tasks_done = []
def task(name):
    def do():
        tasks_done.append(name)
        return measure(name)
    return SimpleNamespace(name=name, measure=do)

lines, *names = sys.argv[1:]
sys.exit(work([task(name) for name in names], Lines(Path(lines)), wait))
"""


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of benchmarks, as its scripts see it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])


def found(names: list[str], folder: Path, seconds: float) -> dict[str, Any]:
    from gpu_work import Lines, run_all

    script, lines = folder / "worker.py", Lines(folder / "lines")
    script.write_text(WORKER)
    run_all(names, [sys.executable, str(script), str(lines.path)], lines, seconds)
    return lines.read()


def test_what_befalls_a_stage_does_not_stop_the_others(tmp_path: Path, scripts: None) -> None:
    names = ["first", "raises", "dies", "spoils", "last"]
    assert found(names, tmp_path, 60) == {
        "first": {"value": "first"},
        "raises": {"error": "ValueError: as it must"},
        "dies": {"error": "its process left with 7"},
        "spoils": {"value": "spoils"},
        "last": {"value": "last"},
    }


def test_what_time_was_too_short_for_is_not_begun(tmp_path: Path, scripts: None) -> None:
    known = found(["first", "hangs", "last"], tmp_path, 5)
    assert known["hangs"] == {"error": "not finished in time"}
    assert "last" not in known


def test_a_worker_that_cannot_begin_ends_it(tmp_path: Path, scripts: None) -> None:
    from gpu_work import Lines, run_all

    lines = Lines(tmp_path / "lines")
    run_all(["one", "two"], [sys.executable, "-c", "raise SystemExit(3)"], lines, 60)
    ended = {"error": "its process left with 3"}
    assert lines.read() == {"one": ended, "two": ended}


def test_the_page_tells_all_that_became_of_stages(scripts: None) -> None:
    from gpu_page import STAND_IN, page

    timing = {"median": 0.00025, "lower": 0.0002, "upper": 0.0003, "calls": 5}
    step = {"waited": timing, "graph": timing, "not_captured": None, "error_of_float64": 2e-7}
    epoch = {"waited": timing | {"median": 0.4}, "graph": None, "first": 1.5, "arm": "linear"}
    report = {
        "device": "A GPU",
        "measured_on_a_gpu": True,
        "command": "python benchmarks/gpu.py",
        "minutes": 7.5,
        "conditions": {
            "time": "now",
            "machine": {"processor": "P", "cores": 2},
            "versions": {"qhc": "1"},
        },
        "stages": [
            {"case": "amplitude4-b64", "who": "native", "target": [0.4, 0.03], **step},
            {"case": "epoch mnist", "who": "classical twin", "target": None, **epoch},
            {"case": "a", "who": "peer", "not_installed": "jax"},
            {"case": "b", "who": "peer", "error": "ValueError: no"},
            {"case": "c", "who": "peer", "not_measured": "no time was left"},
        ],
    }
    text = page(report)
    assert "| amplitude4-b64 | native | 0.250 [0.200, 0.300] | 0.250 " in text
    assert "| 0.4 | 0.03 | 2e-07 |" in text
    assert "| mnist | linear | 0.400 | 1.500 |" in text
    for line in ("a, peer: not installed: jax", "b, peer: error: ValueError: no"):
        assert f"\n- {line}\n" in text
    assert "c, peer: not measured: no time was left" in text
    assert STAND_IN not in text
    assert STAND_IN in page(report | {"measured_on_a_gpu": False})


@pytest.mark.slow
def test_the_script_runs_where_there_is_no_gpu(tmp_path: Path) -> None:
    patterns = ("amplitude4-b64:*", "strong6*", "qcnn*: native", "pointwise 16*", "epoch*quantum")
    options = [word for pattern in patterns for word in ("--stages", pattern)]
    out = tmp_path / "gpu.json"
    script = [sys.executable, str(BENCHMARKS / "gpu.py"), "--out", str(out), *options]
    subprocess.run(script, env=ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": ""}, cwd=tmp_path, check=True)
    report = json.loads(out.read_text())
    assert report["measured_on_a_gpu"] is False
    known = {(stage["case"], stage["who"]): stage for stage in report["stages"]}
    assert {case for case, _ in known} == {
        "amplitude4-b64",
        "strong6-b1024",
        "qcnn-b1024",
        "pointwise 16 → 32",
        "pointwise 16 → 32, tf32",
        "epoch digits",
    }
    for (case, who), stage in known.items():
        assert ("waited" in stage) != ("not_installed" in stage), (case, who, stage)
    assert known["strong6-b1024", "native"]["error_of_float64"] < 1e-5
    assert known["epoch digits", "quantum"]["arm"] == "quantum"
    assert "Nothing here was measured on a GPU" in out.with_suffix(".md").read_text()


@pytest.mark.slow
def test_noisy_steps_from_angles_are_compared(
    scripts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu_stages
    from noisy_layer import simulation_step

    # Ours takes NumPy's arrays where the peers take JAX's.
    monkeypatch.setattr(gpu_stages, "jax_array", np.asarray)
    place = Place(torch.device("cpu"))
    found = gpu_stages._noisy_peer("ours", simulation_step, place).measure()
    assert found["error_of_float64"] < 1e-5

    def wrong(layer: Any) -> Callable[..., tuple[Any, ...]]:
        step = simulation_step(layer)
        return lambda *given: (step(*given)[0] + 0.01,)

    with pytest.raises(BackendError, match=r"'ours' is .* off what float64 gives"):
        gpu_stages._noisy_peer("ours", wrong, place).measure()
