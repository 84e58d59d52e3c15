"""The life of a request that a backend has accepted."""

from __future__ import annotations

import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum

from ..errors import JobCancelledError, JobTimeoutError
from .requests import Result


class JobStatus(Enum):
    """The life of a job; the last three are final."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)


class Job(ABC):
    """A request that was accepted."""

    @property
    @abstractmethod
    def id(self) -> str:
        """Unique name of the job at its backend."""

    @abstractmethod
    def status(self) -> JobStatus:
        """Where the job is in its life."""

    @abstractmethod
    def result(self, timeout: float | None = None) -> Result:
        """Wait up to `timeout` seconds (None: for ever) for the result, which is kept.

        Raises `JobTimeoutError`, `JobCancelledError`, or the error that the job failed with.
        """

    @abstractmethod
    def cancel(self) -> bool:
        """Ask the job to stop; True if it had not finished."""

    @abstractmethod
    def usage(self) -> float:
        """Seconds of QPU time charged so far."""


class LocalJob(Job):
    """A computation in a thread of this process that lives the same life as a remote job."""

    def __init__(self, compute: Callable[[str], Result]) -> None:
        self._id = f"local-{uuid.uuid4().hex[:12]}"
        self._compute = compute
        self._status = JobStatus.SUBMITTED
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._finished = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name=self._id, daemon=True).start()

    @property
    def id(self) -> str:
        return self._id

    def status(self) -> JobStatus:
        with self._lock:
            return self._status

    def result(self, timeout: float | None = None) -> Result:
        if not self._finished.wait(timeout):
            raise JobTimeoutError(
                f"job {self._id} has no result after {timeout} s; ask again with a longer timeout",
                job_id=self._id,
                state=self.status().value,
            )
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise JobCancelledError(
                f"job {self._id} was cancelled", job_id=self._id, state=self._status.value
            )
        return self._result

    def cancel(self) -> bool:
        with self._lock:
            if self._status.is_final:
                return False
            self._status = JobStatus.CANCELLED
        self._finished.set()
        return True

    def usage(self) -> float:
        return 0.0

    def _run(self) -> None:
        with self._lock:
            if self._status is JobStatus.CANCELLED:
                return
            self._status = JobStatus.RUNNING
        result, error = None, None
        try:
            result = self._compute(self._id)
        except BaseException as caught:  # handed to whoever asks for the result
            error = caught
        with self._lock:
            if self._status is JobStatus.CANCELLED:
                return
            self._result, self._error = result, error
            self._status = JobStatus.DONE if error is None else JobStatus.FAILED
        self._finished.set()
