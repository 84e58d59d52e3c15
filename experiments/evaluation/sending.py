"""Several requests to a machine, all of them sent before the first is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qbackend.errors import JobsPendingError, SendingInterruptedError
from qbackend.seam.jobs import Job


def all_sent(submissions: Iterable[Callable[[], Job]]) -> list[Job]:
    """The jobs of requests, each of which a call submits.

    Raises:
        JobsPendingError: all are sent, and nobody waits for them.
        SendingInterruptedError: by Ctrl-C; those behind it are not sent.
        QhcError: as the backend's `submit`.
    """
    jobs: list[Job] = []
    pending: JobsPendingError | None = None
    for submit in submissions:
        try:
            jobs.append(submit())
        except SendingInterruptedError:
            raise
        except JobsPendingError as sent:
            pending = sent
    if pending is not None:
        raise pending
    return jobs
