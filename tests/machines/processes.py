"""Other processes that ask for the same request, and die where they are told to."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from qbackend.ibm import limits
from qbackend.ibm.vendor import IBM
from qbackend.machines.gateway import Gateway

from .fakes import placing
from .machine_room import HASTE, asked, loopback_backend

ROOT = Path(__file__).parents[2]
PLANNING = ("keep_layer", "plan", "plan_again")
LEDGER = (*PLANNING, "doubted", "submitted", "answered", "only", "done", "ended", "charged")
SERVICE = ("start", "find", "state", "fetch", "usage")


@dataclass(frozen=True)
class Point:
    """Before or after the `nth` call of a method; of any method for "*", counting both sides."""

    method: str
    nth: int = 1
    after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.method} {self.nth}"


class Executioner:
    """Kills its own process at a point, as `kill -9` does."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._seen = 0

    def pass_by(self, method: str, after: bool) -> None:
        wanted = self._point
        if wanted.method == "*" or (method, after) == (wanted.method, wanted.after):
            self._seen += 1
            if self._seen == wanted.nth:
                os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """An object whose calls of some methods an executioner watches."""

    def __init__(self, inner: Any, methods: Collection[str], executioner: Executioner) -> None:
        self._inner, self._methods, self._executioner = inner, methods, executioner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._methods:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._executioner.pass_by(name, after=False)
            answer = found(*arguments, **options)
            self._executioner.pass_by(name, after=True)
            return answer

        return call


def ask_elsewhere(
    path: Path, environment: Mapping[str, str], point: Point | None = None, n_rows: int = 3
) -> multiprocessing.process.BaseProcess:
    """Another process, started, that evaluates the request with this ledger."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(
        target=_evaluate,
        args=(
            path,
            dict(environment),
            point,
            n_rows,
            limits.EXECUTIONS_PER_SAMPLER_JOB,
            dict(placing),
        ),
        daemon=True,
    )
    # The server of processes finds the modules that it loads beforehand only by this.
    with mock.patch.dict(os.environ, PYTHONPATH=str(ROOT)):
        process.start()
    return process


def _evaluate(
    path: Path,
    environment: dict[str, str],
    point: Point | None,
    n_rows: int,
    executions: int,
    how: dict[str, Any],
) -> None:
    os.environ.update(environment)
    placing.update(how)
    limits.EXECUTIONS_PER_SAMPLER_JOB = executions
    backend = loopback_backend(path)
    if point is not None:
        executioner = Executioner(point)
        connect = backend._service
        backend.ledger = Watched(backend.ledger, LEDGER, executioner)
        backend.gateway = Gateway(
            lambda: Watched(connect(), SERVICE, executioner),
            meanings=IBM.meaning,
            clock=HASTE,
            tell=backend._tell,
            doubt_seconds=0.0,
        )
    backend.evaluate(asked(backend, n_rows))
