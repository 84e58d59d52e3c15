"""The ledger of a run's jobs: intent before each submission, its id after, its result before use.

SQLite in WAL mode, one file in the run's folder; what is written survives the process and the
power. `locked` lets one process at a time act on what it reads, so that two that go on with the
same run submit and fetch everything once.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ..base import Array
from ..errors import RecordError, RunFolderError
from .entries import COLUMNS, SCHEMA, VERSION, Entry, Intent, State, entry_of
from .identity import are_same, request_key

QUIET_SECONDS = 2.0
"""That another process may act on a ledger before somebody is told: most are done at once."""


class Ledger:
    """The ledger in a file, or in memory for None.

    Args:
        path: of the file.
        tell: is told, once for each wait, which process is waited for.

    Raises:
        RunFolderError: the file is no ledger, or one of another version.
        RecordError: it cannot be read or written.
    """

    def __init__(
        self, path: Path | None = None, tell: Callable[[str], None] = lambda words: None
    ) -> None:
        self.path = path
        self._tell = tell
        self._acting, self._using = threading.RLock(), threading.RLock()
        self._file = None if path is None else FileLock(f"{path}.lock")
        try:
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=60.0,
                isolation_level=None,
                check_same_thread=False,
            )
            self._prepare()
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from error
        except sqlite3.DatabaseError as error:
            raise RunFolderError(f"'{path}' is not a ledger of jobs: {error}") from error

    @classmethod
    def existing(cls, path: Path, tell: Callable[[str], None] = lambda words: None) -> Ledger:
        """The ledger of a run that has one; raises `RunFolderError`."""
        if not path.is_file():
            raise RunFolderError(f"no jobs were ever planned in '{path.parent}': no {path.name}")
        return cls(path, tell)

    @property
    def run(self) -> str | None:
        """The folder of the run; None in memory."""
        return None if self.path is None else str(self.path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else acts on this ledger meanwhile, in this process or another."""
        with self._acting:
            if self._file is None:
                yield
                return
            try:
                self._acquire(self._file)
            except OSError as error:
                raise self._unusable(error) from error
            try:
                yield
            finally:
                self._file.release()

    def entries(self, request: str | None = None) -> list[Entry]:
        """All jobs, or those of one request, by time of planning."""
        where = "" if request is None else "WHERE request = ?"
        rows = self._read(
            f"SELECT {COLUMNS} FROM jobs {where} ORDER BY rowid",
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
    ) -> list[Entry]:
        """Enter a request of rows (N, P) and its jobs, all or nothing.

        `seconds` are the estimated QPU times of the jobs, which take these `ranges` of rows.
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
        return self.current(key)

    def plan_again(self, ended: Sequence[Entry], instance: str) -> None:
        """Enter the rows of entries that ended without a result once more, all or nothing."""
        with self._writing() as connection:
            for entry in ended:
                rows = range(entry.first_row, entry.first_row + entry.n_rows)
                attempt, estimate = entry.attempt + 1, entry.estimate_seconds
                _enter(connection, entry.request, rows, attempt, estimate, instance)

    def doubted(self, tag: str) -> datetime:
        """From now on the service may have a job that nobody knows of; the time."""
        now = _now()
        self._write("UPDATE jobs SET doubtful_since = ? WHERE tag = ?", (now, tag))
        return datetime.fromisoformat(now)

    def answered(self, tag: str) -> None:
        """Of every submission it is known whether the service took it."""
        self._write("UPDATE jobs SET doubtful_since = NULL WHERE tag = ?", (tag,))

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

    def committed_seconds(self) -> float:
        """QPU time charged, and estimated where the charge is not known yet.

        A job that failed or was cancelled may have executed before.
        """
        return sum(
            entry.estimate_seconds if entry.qpu_seconds is None else entry.qpu_seconds
            for entry in self.entries()
            if entry.job_id is not None or entry.state is not State.CANCELLED
        )

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

    def close(self) -> None:
        """Close the file."""
        with self._using:
            self._connection.close()

    def _acquire(self, lock: FileLock) -> None:
        """Take the lock, and leave word who has it."""
        holder = Path(f"{self.path}.pid")
        try:
            lock.acquire(timeout=QUIET_SECONDS)
        except Timeout:
            process = "another process"
            with suppress(OSError):
                process = f"process {holder.read_text(encoding='utf-8')}"
            self._tell(
                f"waiting for {process}, which acts on the jobs of {self.run}; Ctrl-C ends this "
                f"wait and nothing else, qhc jobs {self.run} shows the jobs meanwhile"
            )
            lock.acquire()
        # Nothing depends on it: a full disk, for one, must not stop what is to be done.
        with suppress(OSError):
            holder.write_text(str(os.getpid()), encoding="utf-8")

    def _prepare(self) -> None:
        """Make the tables of a new file; a file of old is read without waiting for its lock."""
        # An intent must be on the disk before the request that it announces.
        self._connection.execute("PRAGMA synchronous = FULL")
        if self._version() == 0:
            with self.locked():
                if self._version() == 0:
                    self._connection.execute("PRAGMA journal_mode = WAL")
                    self._connection.executescript(
                        f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
                    )
        if (version := self._version()) != VERSION:
            raise RunFolderError(
                f"'{self.path}' is a ledger of version {version}, this qhc reads {VERSION}: go on "
                "with the qhc that the run began with"
            )

    def _version(self) -> int:
        return self._connection.execute("PRAGMA user_version").fetchone()[0]

    def _read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._using:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        with self._writing() as connection:
            connection.execute(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; what cannot be written leaves the ledger as it was."""
        with self._using:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._unusable(error) from error
                raise

    def _unusable(self, error: Exception) -> RecordError:
        again = "" if self.run is None else f"; make room, then: qhc resume {self.run}"
        return RecordError(f"the ledger '{self.path}' cannot be used: {error}{again}")


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
    tag, state = f"qhc-{uuid.uuid4().hex}", State.PLANNED.value
    connection.execute(
        "INSERT INTO jobs (tag, request, first_row, n_rows, attempt, state, estimate_seconds, "
        "instance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (tag, request, rows.start, len(rows), attempt, state, seconds, instance),
    )
