"""What tests do with the client: reach a server, submit a small job, fetch its result."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from qiskit import QuantumCircuit
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2

from .account import Instance
from .jobs import State
from .machines import Machine
from .server import LoopbackServer

SHOTS = 64
"""Of every job of `submit`."""


def tiny(name: str = "ibm_loopback") -> Machine:
    """Four qubits without noise."""
    return Machine.load(name, n_qubits=4, noisy=False)


@contextmanager
def served(
    machines: Iterable[Machine] | None = None,
    instances: Iterable[Instance] | None = None,
    **options: Any,
) -> Iterator[LoopbackServer]:
    """A server, of `tiny` unless machines are given, to which this process's environment leads."""
    server = LoopbackServer([tiny()] if machines is None else machines, instances, **options)
    with server, mock.patch.dict(os.environ, server.environment):
        yield server


def connect(name: str = "ibm_loopback") -> Any:
    """The client's object for a machine."""
    return QiskitRuntimeService().backend(name)


def coin() -> QuantumCircuit:
    """Executable as it is: one qubit that is 0 or 1 with equal probability."""
    circuit = QuantumCircuit(4, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    return circuit


def submit(mode: Any, *, sampler: Any = SamplerV2, tag: str = "") -> Any:
    """A job of one `coin`, by either Sampler class."""
    primitive = sampler(mode=mode)
    primitive.options.environment.job_tags = [tag] if tag else []
    return primitive.run([(coin(),)], shots=SHOTS)


def fetch(job: Any) -> Any:
    """The result, asked for as often as the client allows."""
    return job.result(poll_interval=0.1)


def finished(server: LoopbackServer, mode: Any, **options: Any) -> Any:
    """A job like that of `submit` which has its result at the server, not yet fetched."""
    job = submit(mode, **options)
    server.wait_for(State.COMPLETED, n_jobs=len(server.jobs))
    return job
