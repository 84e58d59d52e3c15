"""Cells computed once, wherever and however often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.assembly.threads import use_threads
from experiments.studies import grid
from experiments.studies.grid import Workers, cell_name, read_outcomes, run_grid
from qbackend.errors import OptionError, TrainingError, UnknownNameError, WorkerLostError

HERE = Workers(jobs=1)
CLUSTERS = {"dask": "distributed", "ray": "ray"}
CELLS = {f"cell{n}": n for n in range(5)}


def square(n: int) -> dict[str, int]:
    return {"square": n * n, "process": os.getpid()}


def never(n: int) -> dict[str, int]:
    raise AssertionError(f"cell {n} was computed again")


def below_three(n: int) -> dict[str, int]:
    if n >= 3:
        raise TrainingError("stopped here")
    return square(n)


def squares(outcomes: dict[str, dict[str, int]]) -> dict[str, int]:
    return {name: outcome["square"] for name, outcome in outcomes.items()}


def test_every_cell_has_its_outcome_and_is_computed_once(tmp_path: Path) -> None:
    path, calls = tmp_path / "cells.jsonl", []
    first = run_grid(path, CELLS, square, HERE, lambda: calls.append(None))
    assert squares(first) == {name: n * n for name, n in CELLS.items()}
    assert len(calls) == len(CELLS)
    assert run_grid(path, CELLS, never, HERE) == first


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    with pytest.raises(TrainingError):
        run_grid(path, CELLS, below_three, HERE)
    assert sorted(read_outcomes(path)) == ["cell0", "cell1", "cell2"]
    calls: list[None] = []
    run_grid(path, CELLS, square, HERE, lambda: calls.append(None))
    assert len(calls) == 2


def test_half_a_line_is_computed_again_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    whole = run_grid(path, CELLS, square, HERE)
    text = path.read_text()
    path.write_text(text[:-4])
    assert len(read_outcomes(path)) == len(CELLS) - 1
    assert run_grid(path, CELLS, square, HERE) == whole
    assert [json.loads(line)["square"] for line in path.read_text().splitlines()] == [
        0, 1, 4, 9, 16,
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ["loky", "threading", "multiprocessing"])
def test_engines_agree(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # joblib's multiprocessing hands results over in blocks, as Ray's does.
    monkeypatch.setattr(grid, "ENGINES", (*grid.ENGINES, "multiprocessing"))
    cells = {f"cell{n}": n for n in range(11)}
    outcomes = run_grid(tmp_path / "cells.jsonl", cells, square, Workers(engine, 2))
    assert squares(outcomes) == {name: n * n for name, n in cells.items()}
    elsewhere = {outcome["process"] for outcome in outcomes.values()} - {os.getpid()}
    assert bool(elsewhere) == (engine != "threading")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none(), min_size=1))
def test_a_name_follows_from_the_inputs_in_any_order(inputs: dict[str, object]) -> None:
    backwards = dict(reversed(inputs.items()))
    assert cell_name(backwards) == cell_name(inputs)
    key = next(iter(inputs))
    assert cell_name({**inputs, key: [inputs[key]]}) != cell_name(inputs)


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown engine 'lokey': did you mean 'loky'\?"):
        Workers("lokey")
    with pytest.raises(OptionError, match="jobs must be at least 1, got 0"):
        Workers(jobs=0)


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_engine_says_what_to_install(
    tmp_path: Path, engine: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionError, match=r"pip install 'qhc\[cluster\]'"):
        run_grid(tmp_path / "cells.jsonl", CELLS, square, Workers(engine, 1))


def threads_in_use(n: int) -> dict[str, int]:
    return {"square": n * n, "threads": torch.get_num_threads()}


@pytest.mark.parametrize(("engine", "jobs"), [("loky", 2), ("threading", 2), ("loky", 1)])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_worker_uses_the_threads_of_a_cell(
    tmp_path: Path, engine: str, jobs: int, threads: int
) -> None:
    torch.set_num_threads(3 - threads)
    outcomes = run_grid(
        tmp_path / "cells.jsonl", CELLS, threads_in_use, Workers(engine, jobs, threads)
    )
    assert {outcome["threads"] for outcome in outcomes.values()} == {threads}
    use_threads(1)


def dies_once(given: tuple[int, str]) -> dict[str, int]:
    n, folder = given
    died = Path(folder, f"died{n}")
    if n in (0, 3) and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(n)


def dies(n: int) -> dict[str, int]:
    if n == 4:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return square(n)


@pytest.mark.slow
def test_what_a_killed_worker_had_is_computed_by_another(tmp_path: Path) -> None:
    """On clusters: `test_clusters.py`."""
    cells = {f"cell{n}": (n, str(tmp_path)) for n in range(5)}
    outcomes = run_grid(tmp_path / "cells.jsonl", cells, dies_once, Workers(jobs=2))
    assert squares(outcomes) == {f"cell{n}": n * n for n in range(5)}
    assert len(read_outcomes(tmp_path / "cells.jsonl")) == 5
    assert (tmp_path / "died0").exists()


@pytest.mark.slow
def test_a_cell_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match=r"died 3 times before one of 1 cells.*--jobs"):
        run_grid(tmp_path / "cells.jsonl", CELLS, dies, Workers(jobs=2))
    assert sorted(read_outcomes(tmp_path / "cells.jsonl")) == sorted(set(CELLS) - {"cell4"})


SLOW_GRID = """
import os, sys, time
from pathlib import Path
from experiments.studies.grid import Workers, run_grid

def wait(folder):
    Path(folder, f"worker{os.getpid()}").touch()
    time.sleep(300)

if __name__ == "__main__":
    cells = {f"cell{n}": sys.argv[1] for n in range(4)}
    run_grid(Path(sys.argv[1], "cells.jsonl"), cells, wait, Workers(sys.argv[2], 2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loky", "dask", "ray"])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(CLUSTERS.get(engine, "joblib"))
    script = tmp_path / "slow_grid.py"
    script.write_text(SLOW_GRID)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), engine],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    workers: list[int] = []
    deadline = time.monotonic() + 120
    while len(workers) < 2:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
        workers = [int(path.name.removeprefix("worker")) for path in tmp_path.glob("worker*")]
    parent.kill()
    # The parent is dead, and not yet buried: a zombie.
    left = [psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(left, timeout=60)
    parent.wait()
    assert alive == []
