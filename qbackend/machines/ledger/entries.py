"""An entry of the ledger: one job, from the intent on; and the tables that keep it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from ..options import ExecutionOptions

VERSION = 3
FIRST_VERSION = 2
"""The oldest that is still read."""

FIRST_SCHEMA = """
CREATE TABLE layers (
    key TEXT PRIMARY KEY, machine TEXT NOT NULL, created TEXT NOT NULL, compiled TEXT NOT NULL
);
CREATE TABLE requests (
    key TEXT PRIMARY KEY, content TEXT NOT NULL, created TEXT NOT NULL, machine TEXT NOT NULL,
    n_rows INTEGER NOT NULL, n_parameters INTEGER NOT NULL, shots INTEGER NOT NULL,
    options TEXT NOT NULL, parameters BLOB NOT NULL
);
CREATE TABLE jobs (
    tag TEXT PRIMARY KEY, request TEXT NOT NULL REFERENCES requests (key),
    first_row INTEGER NOT NULL, n_rows INTEGER NOT NULL, attempt INTEGER NOT NULL,
    state TEXT NOT NULL, job_id TEXT, instance TEXT NOT NULL, is_only INTEGER NOT NULL DEFAULT 0,
    submitted_at TEXT, finished_at TEXT, estimate_seconds REAL NOT NULL, qpu_seconds REAL,
    words TEXT NOT NULL DEFAULT '', raw BLOB, doubtful_since TEXT,
    UNIQUE (request, first_row, attempt)
);
CREATE INDEX requests_by_content ON requests (content);
"""

SECOND_SCHEMA = """
ALTER TABLE jobs ADD COLUMN workload TEXT;
CREATE TABLE workloads (
    id TEXT PRIMARY KEY, is_session INTEGER NOT NULL, machine TEXT NOT NULL,
    instance TEXT NOT NULL, opened_at TEXT NOT NULL, closed_at TEXT, qpu_seconds REAL
);
CREATE TABLE recovered (
    tag TEXT PRIMARY KEY, job_id TEXT NOT NULL, instance TEXT NOT NULL, what TEXT NOT NULL,
    request TEXT NOT NULL, first_row INTEGER NOT NULL, n_rows INTEGER NOT NULL,
    attempt INTEGER NOT NULL
);
"""
"""What a ledger of the first version lacks."""

COLUMNS = (
    "tag, request, first_row, n_rows, attempt, state, job_id, instance, is_only, submitted_at, "
    "finished_at, estimate_seconds, qpu_seconds, words, doubtful_since, workload"
)


@dataclass(frozen=True)
class Intent:
    """What the jobs of a request have in common.

    Attributes:
        content: key of the request but for its parameters.
        machine: its name.
        instance: of the account, where the jobs will be.
        shots: per row.
        options: how to execute.
    """

    content: str
    machine: str
    instance: str
    shots: int
    options: ExecutionOptions


class State(Enum):
    """The life of an entry; the last three are final."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Entry:
    """One job, from the intent on.

    Attributes:
        tag: unique; what the service is asked for when nobody knows whether it has the job.
        request: key of the request that the rows belong to.
        first_row, n_rows: of the request.
        attempt: 1, or more where the rows had to be sent again.
        state: where it is in its life.
        job_id: once it is submitted.
        instance: of the account that it was planned for.
        is_only: the service was asked for others with the same tag.
        submitted_at, finished_at: UTC.
        estimate_seconds: of QPU time, when it was planned.
        qpu_seconds: charged; None while that is not known.
        words: of the machine, about its end.
        doubtful_since: when the last submission began, or failed, of which nobody knows whether the
            service took it; None while there is none, UTC.
        workload: id of the batch or session that it was sent in, None outside of one.
    """

    tag: str
    request: str
    first_row: int
    n_rows: int
    attempt: int
    state: State
    job_id: str | None
    instance: str
    is_only: bool
    submitted_at: datetime | None
    finished_at: datetime | None
    estimate_seconds: float
    qpu_seconds: float | None
    words: str
    doubtful_since: datetime | None
    workload: str | None


@dataclass(frozen=True)
class OpenWorkload:
    """A batch or a session of the ledger that nobody has closed yet.

    Attributes:
        id: at the service.
        is_session: billed from its first job to its end, not by the job.
        instance: of the account that it was opened for.
    """

    id: str
    is_session: bool
    instance: str


@dataclass(frozen=True)
class Recovered:
    """A job of a run that its ledger does not tell of, as its tags tell it.

    Attributes:
        tag: its own.
        job_id: at the service.
        instance: of the account where it is.
        what: of the request, see `identity.what_key`; shortened.
        request: key of the request, shortened.
        first_row, n_rows: of the request.
        attempt: 1, or more where the rows had been sent again.
    """

    tag: str
    job_id: str
    instance: str
    what: str
    request: str
    first_row: int
    n_rows: int
    attempt: int


def entry_of(row: tuple[Any, ...]) -> Entry:
    """The entry whose `COLUMNS` these are."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    for column in ("submitted_at", "finished_at", "doubtful_since"):
        values[column] = values[column] and datetime.fromisoformat(values[column])
    return Entry(**values | {"state": State(values["state"]), "is_only": bool(values["is_only"])})
