"""The status in a run's folder, kept in step with what happens to the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...errors import JobsPendingError, JobTimeoutError, QhcError
from .environment import without_home
from .ledger import has_jobs_under_way
from .state import Status
from .stored import StoredRun, now


@contextmanager
def kept_status(folder: StoredRun) -> Iterator[None]:
    """It runs while this lasts, and is finished or what stopped it afterwards; that is raised."""
    try:
        folder.note(status="running", process=os.getpid(), ended=None, error=None)
        yield
        folder.note(status="finished", ended=now())
    except KeyboardInterrupt:
        # The interruption may come between the sending of jobs and the wait for them.
        status: Status = "interrupted"
        with suppress(QhcError):
            if has_jobs_under_way(folder):
                status = "waiting"
        _note_end(folder, status)
        raise
    except (JobsPendingError, JobTimeoutError):
        _note_end(folder, "waiting")
        raise
    except BaseException as error:
        _note_end(folder, "failed", error)
        raise


def _note_end(folder: StoredRun, status: Status, error: BaseException | None = None) -> None:
    # What stopped the run is worth more to the caller than a second error about its record.
    with suppress(QhcError):
        folder.note(status=status, ended=now(), error=_words(error))


def _words(error: BaseException | None) -> str | None:
    """For the record; what others raise may tell more than it should."""
    if not isinstance(error, QhcError):
        return None if error is None else type(error).__name__
    return f"{type(error).__name__}: {without_home(str(error))}"
