"""Many independent cells, each computed once, on one machine's cores or on a cluster.

A cell has a name that follows from everything that its outcome depends on. Outcomes go to a file
of JSON lines as they arrive; the same call goes on where it was stopped, and a cell whose name is
in the file is not computed again. Parallel work is joblib's (https://joblib.readthedocs.io), whose
own backends reach Ray and Dask clusters.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.parallel import get_active_backend

from qbackend.errors import OptionError, RecordError, UnknownNameError, WorkerLostError, suggest
from qbackend.validation.records.files import append_line, write_atomically

from ..assembly.parents import end_with
from ..assembly.threads import use_threads
from ..records.folder import Record

ENGINES = ("loky", "threading", "dask", "ray")
"""joblib's names: processes and threads of this machine, and clusters of the two kinds."""

MOST_LOSSES = 3
"""Times in a row that workers may die before any of them has finished a cell."""

_log = logging.getLogger(__name__)

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Workers:
    """Where cells are computed.

    Attributes:
        engine: one of `ENGINES`. Dask and Ray find their cluster by their own settings
            (DASK_SCHEDULER_ADDRESS, RAY_ADDRESS), or start one on this machine that ends with the
            call; the files that the cells work on must be at the same path for all of them.
        jobs: cells at a time; where it is not given, as many as the cores have threads for. A Dask
            cluster elsewhere takes as many as it has threads.
        threads: of each cell. One unless the recipe says otherwise, whatever the engine and the
            number of jobs: neither may change a cell's outcome.

    Raises:
        UnknownNameError: no such engine.
        OptionError: fewer than one job.
    """

    engine: str = "loky"
    jobs: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UnknownNameError(
                f"unknown engine '{self.engine}': {suggest(self.engine, ENGINES)}"
            )
        if self.jobs is not None and self.jobs < 1:
            raise OptionError(f"jobs must be at least 1, got {self.jobs}")

    def map(
        self, function: Callable[[Given], Found], items: Mapping[str, Given]
    ) -> Iterator[tuple[str, Found]]:
        """What the function gives for each item, by its name, as it arrives.

        What a worker had that died is computed again, by another one.

        Raises:
            OptionError: the engine's package is not installed.
            WorkerLostError: workers die and nothing is finished.
        """
        if items:
            with _connected(self.engine, self._at_a_time):
                yield from self._outlived(function, items)

    @property
    def _at_a_time(self) -> int:
        return self.jobs or max(1, cpu_count() // self.threads)

    def _outlived(
        self, function: Callable[[Given], Found], items: Mapping[str, Given]
    ) -> Iterator[tuple[str, Found]]:
        """The same, connected: rounds until everything has outlived its worker."""
        # What is made of the results here must not differ from what is made of them elsewhere.
        use_threads(self.threads)
        # Dask and Ray see to it themselves that their workers end with them.
        parent = os.getpid() if self.engine == "loky" else None
        task = _Task(function, self.threads, parent)
        left = dict(items)
        losses = 0
        while left:
            try:
                for name, found in self._round(task, list(left.items()), cautious=losses > 0):
                    del left[name]
                    losses = 0
                    yield name, found
            except _worker_deaths(self.engine) as death:
                losses += 1
                first_line = str(death).partition("\n")[0].rstrip(".")
                reason = f"{type(death).__name__}: {first_line}"
                # The first one may be to blame: the others come before it now.
                suspect = next(iter(left))
                left[suspect] = left.pop(suspect)
                if losses == MOST_LOSSES:
                    raise WorkerLostError(
                        f"worker processes died {losses} times before one of {len(left)} cells was "
                        f"finished, the last time with {reason}. Often memory is short: choose "
                        "fewer --jobs. What is finished is kept; the same command goes on"
                    ) from death
                _log.warning("a worker process died (%s); its cells are computed again", reason)

    def _round(
        self, task: _Task[Given, Found], named: Sequence[tuple[str, Given]], *, cautious: bool
    ) -> Iterator[tuple[str, Found]]:
        """The results of as many as there are until a worker dies.

        An engine that hands over blocks loses a whole one then: a `cautious` round has single ones.
        """
        with parallel_config(self.engine, n_jobs=self._at_a_time):
            tasks = [delayed(task)(*each) for each in named]
            if get_active_backend()[0].supports_return_generator:
                yield from Parallel(return_as="generator_unordered")(tasks)
                return
            # Block by block, so that what is finished is on disk before the end.
            block = 1 if cautious else 4 * self._at_a_time
            for first in range(0, len(tasks), block):
                yield from Parallel()(tasks[first : first + block])


@dataclass(frozen=True)
class _Task(Generic[Given, Found]):
    """The function as every engine's workers call it.

    Attributes:
        function: what is called.
        threads: to compute with.
        parent: the process that the worker ends with, if it does not see to that itself.
    """

    function: Callable[[Given], Found]
    threads: int
    parent: int | None

    def __call__(self, name: str, item: Given) -> tuple[str, Found]:
        if self.parent is not None and self.parent != os.getpid():
            end_with(self.parent)
        use_threads(self.threads)
        return name, self.function(item)


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
    missing = {name: given for name, given in cells.items() if name not in finished}
    for name, outcome in workers.map(compute, missing):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"{path.parent} could not be made: {error.strerror}") from None
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


def _worker_deaths(engine: str) -> tuple[type[Exception], ...]:
    """What an engine raises when a worker process has died."""
    if engine == "dask":
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        return KilledWorker, FutureCancelledError
    if engine == "ray":
        from ray.exceptions import RayActorError, WorkerCrashedError

        return RayActorError, WorkerCrashedError
    return (BrokenProcessPool,)


@contextmanager
def _connected(engine: str, jobs: int) -> Iterator[None]:
    """Make joblib know an engine's cluster: the one that is set, else one here of so many workers.

    Raises `OptionError` where its package is missing.
    """
    try:
        if engine == "dask":
            import dask
            from distributed import Client
        elif engine == "ray":
            import ray
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError:
        raise OptionError(
            f"engine '{engine}' is not installed; type: pip install 'qhc[cluster]'"
        ) from None
    here: dict[str, Any]
    if engine == "dask":
        here = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
        with Client(**({} if dask.config.get("scheduler-address", None) else here)):
            yield
    elif engine == "ray" and not ray.is_initialized():
        local: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False}
        ray.init(**({} if os.environ.get("RAY_ADDRESS") else local))
        try:
            yield
        finally:
            ray.shutdown()
    else:
        yield
