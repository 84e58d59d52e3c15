"""What is asked of a service that executes: a vendor's, or what simulates it in this process.

Everything that a client library raises is translated behind this protocol into the errors of
`qbackend.errors`: `TransientError` for what a later try may do, `TokenRefusedError` for what needs
`reconnect`, the others for good.

Letters: N rows, P circuit parameters, M observables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np

from ..layers.inputs import Array
from ..seam.device import Device
from ..seam.jobs import JobStatus
from ..seam.requests import CompiledLayer
from .cost import Price
from .options import ExecutionOptions, Mitigation

LOCAL = "local"
"""Instance of a service in this process, whose jobs end with it."""


@dataclass(frozen=True)
class Call:
    """The content of one job.

    Attributes:
        compiled: over the machine's qubits, in its gates; of copies side by side, all together.
        parameters: (N, P), of copies wide rows.
        shots: per row.
        seed: of a simulator's sampling; a machine has none.
        options: how to execute.
        tags: of the job beside its own, see `tags`.
        read_as: the readout mitigation that counts are read with in place of the options'.
    """

    compiled: CompiledLayer
    parameters: Array
    shots: int
    seed: int | None
    options: ExecutionOptions
    tags: tuple[str, ...] = ()
    read_as: Mitigation | None = None

    @property
    def reading(self) -> Mitigation:
        """The readout mitigation that its result is read with."""
        return self.read_as or self.options.readout_mitigation

    def of_copies(self) -> list[Call]:
        """What each copy is asked for; itself where there is one.

        A simulator's seeds differ between them.
        """
        copies = self.compiled.copies
        if not copies:
            return [self]
        parts = np.split(self.parameters, len(copies), axis=1)
        seeds: list[int | None] = [None] * len(copies)
        if self.seed is not None:
            drawn = np.random.SeedSequence(self.seed).generate_state(len(copies))
            seeds = [int(each) >> 1 for each in drawn]
        return [
            replace(self, compiled=copy, parameters=part, seed=seed)
            for copy, part, seed in zip(copies, parts, seeds, strict=True)
        ]


@dataclass(frozen=True)
class MachineInfo:
    """A machine as its service reports it now."""

    name: str
    n_qubits: int
    two_qubit_gate: str
    pending_jobs: int
    operational: bool
    status: str


@dataclass(frozen=True)
class PlanInfo:
    """What the account's plan allows; `seconds_left` is None where the service does not say.

    `price` is that of a second, None for a plan that is free or whose price nobody told.
    """

    name: str
    has_sessions: bool
    seconds_left: float | None
    price: Price | None = None


@dataclass(frozen=True)
class RemoteState:
    """Where a job is: its status, the service's own words, its place in the queue if known."""

    status: JobStatus
    words: str = ""
    queue_position: int | None = None


@dataclass(frozen=True)
class TaggedJob:
    """A job that was found by one of its tags, at an instance of the account."""

    id: str
    instance: str
    tags: tuple[str, ...]


class Meaning(Enum):
    """What a service's words may mean, beside that something failed."""

    QUEUE_FULL = "too many jobs are pending"
    WORKLOAD_CLOSED = "the batch or session takes no more jobs"
    RAN_TOO_LONG = "the job took longer than it was allowed to"


class Workload(Protocol):
    """A batch or a session that jobs are started in; close it in `finally`."""

    @property
    def id(self) -> str: ...


class Service(Protocol):
    """A service on which one account executes."""

    @property
    def is_local(self) -> bool:
        """Whether it executes in this process, for nothing."""

    @property
    def instance(self) -> str:
        """What of the account pays, by a name of its own; `LOCAL` in this process."""

    def paying_for(self, machine: str) -> str:
        """The instance that pays for jobs on the machine, from now on for all there is to ask.

        Raises `MachineError` with alternatives.
        """

    def stay_with(self, instance: str) -> None:
        """Take this instance, where the account has it and the credentials name none."""

    def device(self, machine: str) -> Device:
        """The machine's target and calibration; raises `MachineError` with alternatives."""

    def machine(self, name: str) -> MachineInfo:
        """One of them; raises `MachineError` with alternatives."""

    def machines(self) -> list[MachineInfo]: ...

    def plan(self) -> PlanInfo: ...

    def open_workload(self, machine: str, *, session: bool) -> Workload:
        """A batch, or a session; raises `PlanError` where the plan has no sessions."""

    def close_workload(self, workload_id: str, *, session: bool) -> None:
        """Have a batch or a session take no more jobs; those that were accepted go on."""

    def session_seconds(self, session_id: str) -> float | None:
        """What a session took, from its first job to its end; None while that is not known."""

    def start(self, machine: str, call: Call, tag: str, workload: Workload | None) -> str:
        """Submit with this job tag; the job's id. Any exception may hide an accepted job."""

    def find(self, tag: str) -> Sequence[str]:
        """Ids of all jobs with this tag that are not cancelled, oldest first."""

    def tagged(self, tag: str) -> Sequence[TaggedJob]:
        """All jobs with this tag that are not cancelled, oldest first, with all their tags."""

    def state(self, job_id: str) -> RemoteState: ...

    def fetch(self, job_id: str) -> bytes:
        """The job's raw result, which its vendor decodes; call it once it is done."""

    def cancel(self, job_id: str) -> None:
        """End a job; raises `BackendError` if it had ended otherwise before."""

    def usage(self, job_id: str) -> float | None:
        """Seconds charged; None while the service has not settled it."""

    def reconnect(self) -> Service:
        """The same account by a new connection, after a token was refused."""
