"""A service in memory that does what it is told to, and a clock that never waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from qiskit.primitives import DataBin, PrimitiveResult, PubResult, StatevectorSampler
from qiskit.transpiler import Target

from qbackend.errors import BackendError, JobNotFoundError, MachineError, TransientError
from qbackend.ibm.primitives import pubs
from qbackend.ibm.results import encode_result
from qbackend.ibm.vendor import IBM
from qbackend.layers.spec import LayerSpec
from qbackend.machines.backend import MachineBackend
from qbackend.machines.consent import approve_all
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.patience import Clock
from qbackend.machines.service import Call, MachineInfo, PlanInfo, RemoteState, TaggedJob, Workload
from qbackend.seam.device import Device
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import Request
from tests.loopback import Machine
from tests.support.cases import features, weights

MACHINE = "ibm_fake"
SPEC = LayerSpec(2)
SHOTS = 64
LOST = TransientError("connection reset")
placing: dict[str, Any] = {}
"""Execution's options of every backend here that are not given: how its layers are copied.

By itself the small machine has no room for a border between two copies.
"""
SIDE_BY_SIDE = {"copies": 2, "border": 0, "fidelity_within": 0.5}
"""Two copies on the four qubits."""
NOT_FOUND = JobNotFoundError("the service has no job job-0")


@cache
def small_target() -> Target:
    """Four qubits of a Heron."""
    return Machine.load(MACHINE, n_qubits=4, noisy=False).target


@dataclass
class Time:
    """Seconds that pass only where somebody sleeps."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self._sleep, jitter=lambda: 0.5)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class Fault:
    """`effect` on `count` calls of a method from the `first` one on, after it took place or not.

    An effect is raised if it is an exception, and called if not.
    """

    method: str
    effect: BaseException | Callable[[], object]
    first: int = 1
    count: int = 1
    after: bool = False
    seen: int = 0

    def strikes(self, method: str) -> bool:
        if method != self.method:
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.count

    def act(self) -> None:
        if isinstance(self.effect, BaseException):
            raise self.effect
        self.effect()


@dataclass
class FakeJob:
    """A job that was accepted; `looks` is how often it is seen in the queue."""

    id: str
    tag: str
    call: Call
    workload: str | None
    looks: int = 0
    ending: RemoteState | None = None
    deliveries: int = 0


@dataclass
class FakeWorkload:
    id: str
    is_session: bool
    closed: int = 0


class FakeService:
    """A `Service` whose jobs are done at once, unless told otherwise."""

    is_local = False
    instance = "crn:fake"

    def __init__(self, *, looks: int = 0, seconds_left: float | None = 600.0) -> None:
        self.jobs: list[FakeJob] = []
        self.workloads: list[FakeWorkload] = []
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.connections = 1
        self.looks = looks
        self.seconds_left = seconds_left
        self.machine_names = [MACHINE]
        self.most_pending = 10**6
        self.target = small_target()
        self.status = "active"
        self.executed = executed

    def count(self, method: str) -> int:
        return self.calls.count(method)

    def live(self) -> list[FakeJob]:
        """The jobs that were not cancelled."""
        return [
            job
            for job in self.jobs
            if not job.ending or job.ending.status is not JobStatus.CANCELLED
        ]

    def paying_for(self, machine: str) -> str:
        return self.instance

    def stay_with(self, instance: str) -> None:
        return None

    def device(self, machine: str) -> Device:
        return self._do("device", lambda: self._device(machine))

    def machine(self, name: str) -> MachineInfo:
        is_active = self.status == "active"
        return self._do("machine", lambda: MachineInfo(name, 4, "cz", 0, is_active, self.status))

    def machines(self) -> list[MachineInfo]:
        return self._do("machines", lambda: [self.machine(name) for name in self.machine_names])

    def plan(self) -> PlanInfo:
        return self._do("plan", lambda: PlanInfo("premium", True, self.seconds_left))

    def open_workload(self, machine: str, *, session: bool) -> Workload:
        def opened() -> Workload:
            self.workloads.append(FakeWorkload(f"workload-{len(self.workloads)}", session))
            return self.workloads[-1]

        return self._do("open_workload", opened)

    def close_workload(self, workload_id: str, *, session: bool) -> None:
        def closed() -> None:
            found = next(each for each in self.workloads if each.id == workload_id)
            assert found.is_session is session
            found.closed += 1

        self._do("close_workload", closed)

    def session_seconds(self, session_id: str) -> float | None:
        return self._do("session_seconds", lambda: 40.0)

    def start(self, machine: str, call: Call, tag: str, workload: Workload | None) -> str:
        def started() -> str:
            self._device(machine)
            pending = sum(job.ending is None and job.looks > 0 for job in self.jobs)
            if pending >= self.most_pending:
                raise BackendError("Error code 3458; too many pending jobs")
            group = None if workload is None else workload.id
            job = FakeJob(f"job-{len(self.jobs)}", tag, call, group, self.looks)
            self.jobs.append(job)
            return job.id

        return self._do("start", started)

    def find(self, tag: str) -> Sequence[str]:
        return self._do("find", lambda: [job.id for job in self.live() if job.tag == tag])

    def tagged(self, tag: str) -> Sequence[TaggedJob]:
        return self._do(
            "tagged",
            lambda: [
                TaggedJob(job.id, self.instance, (job.tag, *job.call.tags))
                for job in self.live()
                if tag in (job.tag, *job.call.tags)
            ],
        )

    def state(self, job_id: str) -> RemoteState:
        def seen() -> RemoteState:
            job = self.job(job_id)
            if job.ending is not None:
                return job.ending
            if job.looks > 0:
                job.looks -= 1
                return RemoteState(JobStatus.SUBMITTED, "Queued", job.looks)
            return RemoteState(JobStatus.DONE)

        return self._do("state", seen)

    def fetch(self, job_id: str) -> bytes:
        def fetched() -> bytes:
            job = self.job(job_id)
            job.deliveries += 1
            return self.executed(job.call)

        return self._do("fetch", fetched)

    def cancel(self, job_id: str) -> None:
        def cancelled() -> None:
            self.job(job_id).ending = RemoteState(JobStatus.CANCELLED, "cancelled by the user")

        self._do("cancel", cancelled)

    def usage(self, job_id: str) -> float | None:
        return self._do("usage", lambda: 3.0)

    def reconnect(self) -> FakeService:
        def reconnected() -> FakeService:
            self.connections += 1
            return self

        return self._do("reconnect", reconnected)

    def job(self, job_id: str) -> FakeJob:
        return next(job for job in self.jobs if job.id == job_id)

    def _device(self, machine: str) -> Device:
        if machine not in self.machine_names:
            known = ", ".join(self.machine_names)
            raise MachineError(f"the account has no machine '{machine}'; it has {known}")
        return Device(machine, self.target, "live", None)

    def _do(self, method: str, act: Callable[[], Any]) -> Any:
        self.calls.append(method)
        met = [fault for fault in self.faults if fault.strikes(method)]
        if not met:
            return act()
        answer = act() if met[0].after else None
        met[0].act()
        return answer if met[0].after else act()


def executed(call: Call) -> bytes:
    """What a machine without noise gives for a call, by its seed."""
    sampler = StatevectorSampler(default_shots=call.shots, seed=call.seed)
    return encode_result(sampler.run(pubs(call)).result())


def estimated(values: np.ndarray, stderr: np.ndarray | None = None) -> bytes:
    """An Estimator's result: values (M, N) and their standard errors, 0.1 unless given."""
    stds = np.full(values.shape, 0.1) if stderr is None else stderr
    data = DataBin(evs=values, stds=stds, shape=values.shape)
    return encode_result(PrimitiveResult([PubResult(data)]))


def backend_of(
    service: Any, time: Time | None = None, *, ledger: Path | None = None, **options: Any
) -> MachineBackend:
    """A backend of `MACHINE` on a service; options are its own, or execution's."""
    options.setdefault("approve", approve_all)
    names = ExecutionOptions.__dataclass_fields__
    execution = {name: options.pop(name) for name in list(options) if name in names}
    execution = {**placing, **execution}
    return MachineBackend(
        MACHINE,
        IBM,
        shots=SHOTS,
        options=ExecutionOptions(**execution),
        ledger=ledger,
        service=service,
        clock=(time or Time()).clock,
        **options,
    )


def ask(backend: MachineBackend, n_rows: int = 3, *, seed: int = 5, shots: int = SHOTS) -> Request:
    """A request for rows of `SPEC`."""
    compiled = backend.compile(SPEC)
    rows = compiled.rows(features(SPEC, n_rows, 0), weights(SPEC, 0))
    return Request(compiled, rows, shots=shots, seed=seed)


def undisturbed(n_rows: int = 3, **options: Any) -> np.ndarray:
    """The values of the same request where nothing goes wrong."""
    backend = backend_of(FakeService(), **options)
    return backend.evaluate(ask(backend, n_rows)).values
