"""The ledger of a run's jobs: intent before each submission, its id after, its result before use.

One file in the run's folder. `locked` lets one process at a time act on what it reads, so that two
that go on with the same run submit and fetch everything once.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ...errors import RunFolderError
from ...layers.inputs import Array
from .entries import COLUMNS, FIRST_VERSION, Entry, Intent, OpenWorkload, Recovered, State, entry_of
from .file import LedgerFile
from .identity import are_same, request_key
from .tags import new_tag


class Ledger(LedgerFile):
    """What is known of a run's jobs; arguments and errors are those of `LedgerFile`."""

    @classmethod
    def existing(
        cls,
        path: Path,
        tell: Callable[[str], None] = lambda words: None,
        *,
        read_only: bool = False,
    ) -> Ledger:
        """The ledger of a run that has one; raises `RunFolderError`."""
        if not path.is_file():
            raise RunFolderError(f"no jobs were ever planned in '{path.parent}': no {path.name}")
        return cls(path, tell, read_only=read_only)

    def entries(self, request: str | None = None) -> list[Entry]:
        """All jobs, or those of one request, by time of planning."""
        where = "" if request is None else "WHERE request = ?"
        columns = COLUMNS
        if self.version == FIRST_VERSION:
            columns = columns.replace("workload", "NULL")
        rows = self._read(
            f"SELECT {columns} FROM jobs {where} ORDER BY rowid",
            () if request is None else (request,),
        )
        return [entry_of(row) for row in rows]

    def current(self, request: str) -> list[Entry]:
        """Of each range of rows the last attempt, in the order of the rows."""
        last = {entry.first_row: entry for entry in self.entries(request)}
        return [last[first_row] for first_row in sorted(last)]

    def find_request(self, content: str, parameters: Array) -> str | None:
        """Key of the request with this content and these parameters (N, P), up to rounding."""
        exact = request_key(content, parameters)
        if self._read("SELECT 1 FROM requests WHERE key = ?", (exact,)):
            return exact
        rows = self._read(
            "SELECT key, n_rows, n_parameters, parameters FROM requests WHERE content = ?",
            (content,),
        )
        for key, n_rows, n_parameters, stored in rows:
            known = np.frombuffer(stored, dtype="<f8").reshape(n_rows, n_parameters)
            if are_same(known, parameters):
                return key
        return None

    def parameters(self, request: str) -> Array:
        """(N, P) of a request, as they were when it was planned."""
        (row,) = self._read(
            "SELECT n_rows, n_parameters, parameters FROM requests WHERE key = ?", (request,)
        )
        return np.frombuffer(row[2], dtype="<f8").reshape(row[0], row[1]).copy()

    def plan(
        self,
        intent: Intent,
        parameters: Array,
        ranges: Sequence[range],
        seconds: Sequence[float],
        there: Sequence[Recovered] = (),
        seconds_there: Sequence[float] = (),
    ) -> list[Entry]:
        """Enter a request of rows (N, P) and its jobs, all or nothing.

        `seconds` are the estimated QPU times of the jobs, which take these `ranges` of rows;
        `there` are jobs that the service has already, with their estimates.
        """
        key = request_key(intent.content, parameters)
        stored = np.ascontiguousarray(parameters, dtype="<f8").tobytes()
        known = (key, intent.content, _now(), intent.machine, *parameters.shape, intent.shots)
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*known, json.dumps(asdict(intent.options)), stored),
            )
            for rows, estimate in zip(ranges, seconds, strict=True):
                _enter(connection, key, rows, 1, estimate, intent.instance)
            for job, estimate in zip(there, seconds_there, strict=True):
                _enter_sent(connection, key, job, estimate)
        return self.current(key)

    def plan_again(
        self, ended: Sequence[Entry], instance: str, seconds: Sequence[float] | None = None
    ) -> None:
        """Enter the rows of entries that ended without a result once more, all or nothing.

        `seconds` are the estimated QPU times; without them those of before.
        """
        seconds = [entry.estimate_seconds for entry in ended] if seconds is None else seconds
        with self._writing() as connection:
            for entry, estimate in zip(ended, seconds, strict=True):
                rows = range(entry.first_row, entry.first_row + entry.n_rows)
                _enter(connection, entry.request, rows, entry.attempt + 1, estimate, instance)

    def sent_again(self, before: Entry, job: Recovered) -> None:
        """Enter a later attempt at an entry's rows, which the service has already."""
        with self._writing() as connection:
            _enter_sent(connection, before.request, job, before.estimate_seconds)

    def doubted(self, tag: str) -> datetime:
        """From now on the service may have a job that nobody knows of; the time."""
        now = _now()
        self._write("UPDATE jobs SET doubtful_since = ? WHERE tag = ?", (now, tag))
        return datetime.fromisoformat(now)

    def answered(self, tag: str) -> None:
        """Of every submission it is known whether the service took it."""
        self._write("UPDATE jobs SET doubtful_since = NULL WHERE tag = ?", (tag,))

    def begun_in(self, tag: str, workload: str | None) -> None:
        """The job is about to be sent in that batch or session, or outside of one."""
        self._write("UPDATE jobs SET workload = ? WHERE tag = ?", (workload, tag))

    def submitted(self, tag: str, job_id: str) -> None:
        """The service has the job."""
        self._write(
            "UPDATE jobs SET state = ?, job_id = ?, submitted_at = ?, finished_at = NULL, "
            "words = '' WHERE tag = ?",
            (State.SUBMITTED.value, job_id, _now(), tag),
        )

    def only(self, tag: str) -> None:
        """No other job with the tag is left."""
        self._write("UPDATE jobs SET is_only = 1 WHERE tag = ?", (tag,))

    def done(self, tag: str, raw: bytes) -> None:
        """The job's result, as it came; the first one stays."""
        self._write(
            "UPDATE jobs SET state = ?, raw = ?, finished_at = ?, words = '' "
            "WHERE tag = ? AND raw IS NULL",
            (State.DONE.value, raw, _now(), tag),
        )

    def refetched(self, tag: str, raw: bytes) -> None:
        """The job's result once more, in place of one that was of no use."""
        self._write(
            "UPDATE jobs SET state = ?, raw = ?, words = '' WHERE tag = ?",
            (State.DONE.value, raw, tag),
        )

    def ended(self, tag: str, state: State, words: str) -> None:
        """The job ended without a result."""
        self._write(
            "UPDATE jobs SET state = ?, words = ?, finished_at = ? WHERE tag = ? AND raw IS NULL",
            (state.value, words, _now(), tag),
        )

    def rejected(self, tag: str, words: str) -> None:
        """The job's result, which is kept, is none that can be used."""
        self._write(
            "UPDATE jobs SET state = ?, words = ? WHERE tag = ?", (State.FAILED.value, words, tag)
        )

    def forgotten(self, tag: str) -> None:
        """The job is gone with the process that it ran in: it is planned as before."""
        self._write(
            "UPDATE jobs SET state = ?, job_id = NULL, submitted_at = NULL, doubtful_since = NULL "
            "WHERE tag = ?",
            (State.PLANNED.value, tag),
        )

    def charged(self, tag: str, seconds: float) -> None:
        """What the job cost."""
        self._write("UPDATE jobs SET qpu_seconds = ? WHERE tag = ?", (seconds, tag))

    def raw(self, tag: str) -> bytes:
        """The result of a job that is done."""
        return bytes(self._read("SELECT raw FROM jobs WHERE tag = ?", (tag,))[0][0])

    def opened(self, workload: OpenWorkload, machine: str) -> None:
        """A batch or a session takes jobs from now on."""
        self._write(
            "INSERT OR REPLACE INTO workloads VALUES (?, ?, ?, ?, ?, NULL, NULL)",
            (workload.id, workload.is_session, machine, workload.instance, _now()),
        )

    def open_workloads(self) -> list[OpenWorkload]:
        """Batches and sessions that were not closed, by time of opening."""
        rows = self._read(
            "SELECT id, is_session, instance FROM workloads WHERE closed_at IS NULL ORDER BY rowid",
            (),
        )
        return [OpenWorkload(each, bool(session), crn) for each, session, crn in rows]

    def closed(self, workload: str) -> None:
        """It takes no more jobs."""
        self._write("UPDATE workloads SET closed_at = ? WHERE id = ?", (_now(), workload))

    def sessions(self) -> dict[str, float | None]:
        """Seconds charged for each session, None while that is not known."""
        if self.version == FIRST_VERSION:
            return {}
        return dict(self._read("SELECT id, qpu_seconds FROM workloads WHERE is_session = 1", ()))

    def session_charged(self, session: str, seconds: float) -> None:
        """What a session cost, from its first job to its end."""
        self._write("UPDATE workloads SET qpu_seconds = ? WHERE id = ?", (seconds, session))

    def charged_seconds(self) -> float:
        """QPU time charged as far as it is known: of sessions, and of jobs outside of one."""
        sessions = self.sessions()
        alone = [entry for entry in self.entries() if entry.workload not in sessions]
        known = [*sessions.values(), *(entry.qpu_seconds for entry in alone)]
        return sum(seconds or 0.0 for seconds in known)

    def committed_seconds(self, without: Collection[str] = ()) -> float:
        """QPU time charged, and estimated where the charge is not known yet.

        A job that failed or was cancelled may have executed before. A session's charge is known
        once it has ended; until then it is what its jobs were estimated to take. Jobs with the
        tags of `without` do not count.
        """
        sessions = self.sessions()
        committed = sum(seconds for seconds in sessions.values() if seconds is not None)
        for entry in self.entries():
            if entry.job_id is None and entry.state is State.CANCELLED:
                continue
            if entry.tag in without:
                continue
            charged = entry.qpu_seconds
            if entry.workload is not None and entry.workload in sessions:
                charged = None if sessions[entry.workload] is None else 0.0
            committed += entry.estimate_seconds if charged is None else charged
        return committed

    def recover(self, jobs: Sequence[Recovered]) -> None:
        """Enter what the service has of a run, and its ledger does not tell."""
        with self._writing() as connection:
            for job in jobs:
                connection.execute(
                    "INSERT OR IGNORE INTO recovered VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    tuple(asdict(job).values()),
                )

    def recovered(self, what: str) -> list[Recovered]:
        """Jobs of a lost ledger for such requests, in the order of the rows and attempts."""
        rows = self._read(
            "SELECT * FROM recovered WHERE what = ? ORDER BY first_row, attempt", (what,)
        )
        return [Recovered(*row) for row in rows]

    def layer(self, key: str) -> str | None:
        """The compiled layer of that key, as text."""
        rows = self._read("SELECT compiled FROM layers WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def layers_of(self, machine: str) -> list[str]:
        """All layers compiled for a machine, as text."""
        rows = self._read("SELECT compiled FROM layers WHERE machine = ?", (machine,))
        return [row[0] for row in rows]

    def keep_layer(self, key: str, machine: str, compiled: str) -> str:
        """Keep a compiled layer unless there is one already; the one that is kept."""
        self._write(
            "INSERT OR IGNORE INTO layers VALUES (?, ?, ?, ?)", (key, machine, _now(), compiled)
        )
        kept = self.layer(key)
        assert kept is not None
        return kept

    def layers(self) -> list[tuple[str, str, str]]:
        """Of every compiled layer its key, its machine and the text."""
        return self._read("SELECT key, machine, compiled FROM layers ORDER BY rowid", ())

    def forget_layer(self, key: str) -> None:
        """Have the layer compiled anew."""
        self._write("DELETE FROM layers WHERE key = ?", (key,))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _enter(
    connection: sqlite3.Connection,
    request: str,
    rows: range,
    attempt: int,
    seconds: float,
    instance: str,
) -> None:
    tag, state = new_tag(), State.PLANNED.value
    connection.execute(
        "INSERT INTO jobs (tag, request, first_row, n_rows, attempt, state, estimate_seconds, "
        "instance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (tag, request, rows.start, len(rows), attempt, state, seconds, instance),
    )


def _enter_sent(
    connection: sqlite3.Connection, request: str, job: Recovered, seconds: float
) -> None:
    """A job that the service has; nothing where the ledger has this attempt by another job."""
    connection.execute(
        "INSERT OR IGNORE INTO jobs (tag, request, first_row, n_rows, attempt, state, job_id, "
        "submitted_at, estimate_seconds, instance) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (job.tag, request, job.first_row, job.n_rows, job.attempt, State.SUBMITTED.value,
         job.job_id, _now(), seconds, job.instance),
    )  # fmt: skip
