"""Tests of the whole backend on the loopback service: how to ask, and what must hold."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from qbackend.ibm.vendor import IBM
from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.machines.consent import approve_all
from qbackend.machines.gateway import Gateway
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.patience import Clock
from qbackend.seam.requests import CompiledLayer, Request
from tests.loopback import LoopbackServer, State
from tests.loopback.client import served
from tests.loopback.retries import instant_retries
from tests.support.cases import features, weights

from .fakes import SHOTS, SPEC, ask, placing

NAME = "ibm_loopback"
POLL = ("GET", "/jobs/{id}")
RESULTS = ("GET", "/jobs/{id}/results")
LIST = ("GET", "/jobs")
SUBMIT = ("POST", "/jobs")
HASTE = Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.02)))
"""Waits are asked for as ever, and are short."""


def loopback_backend(
    ledger: Path | None = None,
    *,
    clock: Clock = HASTE,
    call_seconds: float = 20.0,
    start_seconds: float = 20.0,
    doubt_seconds: float = 0.0,
    poll: tuple[float, float] = (0.02, 0.05),
    **options: Any,
) -> MachineBackend:
    """A backend of the server's machine, as in a new process."""
    names = ExecutionOptions.__dataclass_fields__
    execution = {name: options.pop(name) for name in list(options) if name in names}
    execution = {**placing, **execution}
    backend = MachineBackend(
        NAME,
        IBM,
        shots=SHOTS,
        ledger=ledger,
        approve=approve_all,
        options=ExecutionOptions(poll=poll, **execution),
        **options,
    )
    backend.gateway = Gateway(
        backend._service,
        meanings=IBM.meaning,
        clock=clock,
        tell=backend._tell,
        call_seconds=call_seconds,
        start_seconds=start_seconds,
        doubt_seconds=doubt_seconds,
        deadline=backend.options.deadline,
    )
    return backend


def asked(backend: MachineBackend, n_rows: int = 3) -> Request:
    """A request for rows of `SPEC`, compiled for the machine by this backend."""
    return ask(backend, n_rows)


def compiled() -> CompiledLayer:
    """`SPEC` on the server's machine, which takes longer to compile for than to execute on."""
    return _compiled(**placing)


@cache
def _compiled(**how: Any) -> CompiledLayer:
    with served():
        return loopback_backend(**how).compile(SPEC)


def ready(n_rows: int = 3) -> Request:
    """The request of `asked`, compiled before."""
    rows = compiled().rows(features(SPEC, n_rows, 0), weights(SPEC, 0))
    return Request(compiled(), rows, shots=SHOTS, seed=5)


def expected(n_rows: int = 3, **options: Any) -> Array:
    """The values of the request where nothing goes wrong."""
    return _expected(n_rows, **{**placing, **options})


@cache
def _expected(n_rows: int, **options: Any) -> Array:
    with served() as server:
        backend = loopback_backend(**options)
        server.workload.hold(State.QUEUED)
        job = backend.submit(ready(n_rows))
        server.workload.release()
        return job.result().values


def evaluated(backend: MachineBackend, n_rows: int = 3) -> Array:
    """The values of the request, which the client need not wait for."""
    with instant_retries():
        return backend.evaluate(ready(n_rows)).values


def check_whole(
    server: LoopbackServer, values: Array, *, n_jobs: int = 1, n_rows: int = 3, **options: Any
) -> None:
    """The values are right, the jobs that ran are those needed, no result went out twice."""
    np.testing.assert_array_equal(values, expected(n_rows, **options))
    kept = [job for job in server.jobs if job.state is not State.CANCELLED]
    assert [job.state for job in kept] == [State.COMPLETED] * n_jobs
    assert [server.deliveries(job) for job in kept] == [1] * n_jobs
    assert not server.key_exposed
