"""Cells computed once, wherever and however often."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import grid
from experiments.grid import Workers, cell_name, read_outcomes, run_grid
from qbackend.errors import OptionError, TrainingError, UnknownNameError

HERE = Workers(jobs=1)
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
