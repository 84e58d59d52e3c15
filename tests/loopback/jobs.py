"""Jobs and sessions as the service keeps them."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from qiskit import QuantumCircuit

from .execution.programs import Program


class State(Enum):
    """The life of a job, in the service's words; the last three are final."""

    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        return self in (State.COMPLETED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Ending:
    """How a job ends otherwise than with a result."""

    state: State
    code: int | None = None
    reason: str = ""


FAILED = Ending(State.FAILED, 9701, "the device reported an internal error")
CANCELLED_ELSEWHERE = Ending(State.CANCELLED, None, "cancelled by the user")
RAN_TOO_LONG = Ending(State.CANCELLED, 1305, "job ran longer than its maximum execution time")
BATCH_OVER = Ending(State.FAILED, 1217, "the session is closed: its maximum time is over")
MACHINE_RETIRED = Ending(State.FAILED, 1004, "the backend is not available: it was retired")


def new_id() -> str:
    """An id of the length that IBM's have."""
    return "d" + secrets.token_hex(10)[:19]


def stamp(moment: datetime | None) -> str | None:
    """A time as the service writes it."""
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Session:
    """A batch or a session.

    Attributes:
        mode: "batch" or "dedicated".
        seconds: that it lives from the start of its first job.
        accepting: whether jobs may still be submitted; `close` of the client ends that.
        expires: when its time is over, in seconds of `time.monotonic`; known once it started.
    """

    mode: str
    machine: str
    instance: str
    seconds: float
    id: str = field(default_factory=new_id)
    accepting: bool = True
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    closed: datetime | None = None
    expires: float = math.inf


@dataclass
class Job:
    """One accepted submission.

    Attributes:
        program: what it executes, decoded.
        params: the same as it was posted.
        instance: CRN.
        max_seconds: of QPU time, `max_execution_time` of the client.
        payload_bytes: size of the request's body.
        ready: when it may start running, in seconds of `time.monotonic`.
        number: 1 for the first job that started, 0 before it starts.
        ending: how it ended without a result.
        deleted: the client had it deleted, and does not see it any more.
        charged: seconds of QPU time.
    """

    program: Program = field(repr=False)
    params: dict[str, Any] = field(repr=False)
    machine: str
    instance: str
    tags: list[str]
    session_id: str | None
    max_seconds: float | None
    private: bool
    payload_bytes: int
    id: str = field(default_factory=new_id)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    ready: float = 0.0
    number: int = 0
    state: State = State.QUEUED
    ending: Ending | None = None
    result: str | None = field(default=None, repr=False)
    started: datetime | None = None
    finished: datetime | None = None
    charged: float = 0.0
    deleted: bool = False

    @property
    def shots(self) -> tuple[int, ...]:
        """Of each PUB."""
        return tuple(work.shots for work in self.program.work)

    @property
    def pubs(self) -> int:
        return len(self.program.work)

    @property
    def rows(self) -> int:
        """Parameter sets of all PUBs."""
        return sum(work.rows for work in self.program.work)

    @property
    def circuits(self) -> tuple[QuantumCircuit, ...]:
        """As they were sent, one for each PUB."""
        return tuple(work.circuit for work in self.program.work)

    @property
    def executed(self) -> int:
        """Circuits that run: rows, in each measurement basis, in each randomisation."""
        return sum(work.executed for work in self.program.work)

    @property
    def executions(self) -> int:
        """Circuits that run, times their shots."""
        return self.program.executions

    @property
    def options(self) -> dict[str, Any]:
        """As the client sent them."""
        return self.program.options
