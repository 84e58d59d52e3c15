"""The file of a ledger: its lock, its transactions, its version, and whether it is whole.

SQLite in WAL mode; what is written survives the process and the power.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...errors import RecordError, RunFolderError
from .entries import FIRST_SCHEMA, FIRST_VERSION, SECOND_SCHEMA, VERSION

QUIET_SECONDS = 2.0
"""That another process may act on a ledger before somebody is told: most are done at once."""


class DamagedLedgerError(RunFolderError):
    """A ledger of which a part is missing."""


class LedgerFile:
    """The ledger's tables in a file, or in memory for None.

    Args:
        path: of the file.
        tell: is told, once for each wait, which process is waited for.
        read_only: write nothing, not even beside the file, as in a folder that takes no files.

    Raises:
        DamagedLedgerError: the file is no ledger, or only a part of one.
        RunFolderError: it is a ledger of another version.
        RecordError: it cannot be read or written.
    """

    def __init__(
        self,
        path: Path | None = None,
        tell: Callable[[str], None] = lambda words: None,
        *,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.is_closed = False
        self._tell = tell
        self._acting, self._using = threading.RLock(), threading.RLock()
        self._file = None if path is None or read_only else FileLock(f"{path}.lock")
        try:
            if read_only and path is not None:
                self._connection, self.version = _read_only(path)
            else:
                self._connection = _connected(":memory:" if path is None else str(path))
                self.version = self._prepare()
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from error
        except sqlite3.DatabaseError as error:
            raise DamagedLedgerError(
                f"'{path}' is not a ledger of jobs, or only a part of one: {error}"
            ) from error

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

    def close(self) -> None:
        """Close the file."""
        with self._using:
            self._connection.close()
            self.is_closed = True

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

    def _prepare(self) -> int:
        """Make the tables of a new file; a file of old is read without waiting for its lock."""
        # An intent must be on the disk before the request that it announces.
        self._connection.execute("PRAGMA synchronous = FULL")
        if _version(self._connection) in (0, FIRST_VERSION):
            with self.locked():
                self._bring_up_to_date()
        return _checked(self._connection, self.path)

    def _bring_up_to_date(self) -> None:
        version = _version(self._connection)
        if version == VERSION:
            return  # another process was faster
        if version == 0:
            self._connection.execute("PRAGMA journal_mode = WAL")
        first = FIRST_SCHEMA if version == 0 else ""
        self._connection.executescript(
            f"BEGIN IMMEDIATE; {first} {SECOND_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
        )

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


def _connected(address: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        address, timeout=60.0, isolation_level=None, check_same_thread=False, uri=uri
    )


def _read_only(path: Path) -> tuple[sqlite3.Connection, int]:
    """The file as it is, with its version.

    Beside a ledger in use lies what is not in the file yet; where that is not there, or cannot be
    read because SQLite would have to write for it, the file alone is.
    """
    address = path.absolute().as_uri()
    if Path(f"{path}-wal").exists():
        with suppress(sqlite3.OperationalError):
            connection = _connected(f"{address}?mode=ro", uri=True)
            return connection, _checked(connection, path)
    connection = _connected(f"{address}?immutable=1", uri=True)
    return connection, _checked(connection, path)


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _checked(connection: sqlite3.Connection, path: Path | None) -> int:
    """The version, one that can be read; raises for another, and for a file that is not whole."""
    (complaint,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if complaint != "ok":
        raise sqlite3.DatabaseError(complaint)
    version = _version(connection)
    if version == 0:
        raise sqlite3.DatabaseError("it is empty")
    if not FIRST_VERSION <= version <= VERSION:
        raise RunFolderError(
            f"'{path}' is a ledger of version {version}, this qhc reads {VERSION}: go on "
            "with the qhc that the run began with"
        )
    return version
