"""Many independent cells, each computed once, on one machine's cores or on a cluster.

A cell has a name that follows from everything that its outcome depends on. Outcomes go to a file
of JSON lines as they arrive; the same call goes on where it was stopped, and a cell whose name is
in the file is not computed again. Parallel work is joblib's (https://joblib.readthedocs.io), whose
own backends reach Ray and Dask clusters.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel, delayed, parallel_config
from joblib.parallel import get_active_backend

from qbackend.errors import OptionError, UnknownNameError, suggest

from .files import append_line, write_atomically
from .record import Record

ENGINES = ("loky", "threading", "dask", "ray")
"""joblib's names: processes and threads of this machine, and clusters of the two kinds."""

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Workers:
    """Where cells are computed.

    Attributes:
        engine: one of `ENGINES`. Dask and Ray find their cluster by their own settings
            (DASK_SCHEDULER_ADDRESS, RAY_ADDRESS), or start on this machine; the files that the
            cells work on must be at the same path for all of them.
        jobs: cells at a time; all cores where it is not given.

    Raises:
        UnknownNameError: no such engine.
        OptionError: fewer than one job.
    """

    engine: str = "loky"
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UnknownNameError(
                f"unknown engine '{self.engine}': {suggest(self.engine, ENGINES)}"
            )
        if self.jobs is not None and self.jobs < 1:
            raise OptionError(f"jobs must be at least 1, got {self.jobs}")

    def map(self, function: Callable[[Given], Found], items: Sequence[Given]) -> Iterator[Found]:
        """What the function gives for each item, as it arrives.

        Raises:
            OptionError: the engine's package is not installed.
        """
        _connect(self.engine)
        jobs = self.jobs or os.cpu_count() or 1
        with parallel_config(self.engine, n_jobs=jobs):
            tasks = [delayed(function)(item) for item in items]
            if get_active_backend()[0].supports_return_generator:
                yield from Parallel(return_as="generator_unordered")(tasks)
                return
            # Block by block, so that what is finished is on disk before the end.
            block = 4 * jobs
            for first in range(0, len(tasks), block):
                yield from Parallel()(tasks[first : first + block])


def cell_name(inputs: Mapping[str, Any]) -> str:
    """The name of a cell whose outcome depends on these JSON values and on nothing else."""
    text = json.dumps(inputs, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_grid(
    path: Path,
    cells: Mapping[str, Given],
    compute: Callable[[Given], Record],
    workers: Workers,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Record]:
    """The outcome of every cell, by name, in the cells' order.

    Args:
        path: the file of outcomes, a line per cell.
        cells: what `compute` is given, by the cell's name.
        compute: a function that other processes can import.
        workers: where.
        done: called after each new outcome is on disk.

    Raises:
        OptionError: the workers cannot be had.
        RecordError: the file could not be written to.
        QhcError: what `compute` raised; finished outcomes are kept.
    """
    finished = read_outcomes(path)
    missing = [_Cell(name, given, compute) for name, given in cells.items() if name not in finished]
    for name, outcome in workers.map(_computed, missing):
        append_line(path, json.dumps({"cell": name, **outcome}, allow_nan=False))
        finished[name] = outcome
        done()
    return {name: finished[name] for name in cells}


def read_outcomes(path: Path) -> dict[str, Record]:
    """The outcomes on disk by name; what a killed process left of its last line is cut off."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_atomically(path, whole.encode())
    outcomes = (json.loads(line) for line in whole.splitlines())
    return {outcome.pop("cell"): outcome for outcome in outcomes}


@dataclass(frozen=True)
class _Cell:
    name: str
    given: Any
    compute: Callable[[Any], Record]


def _computed(cell: _Cell) -> tuple[str, Record]:
    return cell.name, cell.compute(cell.given)


def _connect(engine: str) -> None:
    """Make joblib know a cluster's engine; raises `OptionError` where its package is missing."""
    try:
        if engine == "dask":
            from distributed import Client

            Client()
        elif engine == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError:
        raise OptionError(
            f"engine '{engine}' is not installed; type: pip install 'qhc[cluster]'"
        ) from None
