"""Everything that qhc raises on purpose.

One root, two families: a `UserError` is a mistake that the caller can mend (exit code 2), every
other `QhcError` is a failure of something else (exit code 1). Messages name the value, the limit
and what to type next, so that a command line can print them as they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QhcError(Exception):
    """Root of every error that qhc raises; `exit_code` is what the command line leaves with."""

    exit_code = 1


class UserError(QhcError):
    """Something that the caller asked for cannot be done as asked."""

    exit_code = 2


class SpecError(UserError, ValueError):
    """A layer description that no circuit corresponds to."""


class InputError(UserError, ValueError):
    """Features or weights with the wrong shape, or with a NaN or infinite entry."""


class OptionError(UserError, ValueError):
    """An option that is out of range, or that the chosen backend cannot honour."""


class UnknownNameError(UserError, KeyError):
    """A name that is not in its table: backend, device, recipe, model, dataset."""

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(UserError, ValueError):
    """A recipe, or a value given for one; carries every mistake found, not only the first."""

    def __init__(self, message: str, mistakes: Iterable[str] = ()) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join([message, *(f"  - {mistake}" for mistake in self.mistakes)]))


class DataError(UserError):
    """Image data that is missing or damaged."""


class CheckpointError(UserError):
    """A checkpoint that is damaged, or that does not belong to the model at hand."""


class RunFolderError(UserError):
    """A run folder that is missing, taken, or not a run."""


class CredentialsError(UserError):
    """No credentials, or ones that the service does not accept."""


class MachineError(UserError):
    """A machine that the account does not have, or that takes no jobs."""


class PlanError(UserError):
    """Something that the account's plan does not include."""


class BudgetError(UserError):
    """More QPU time than the budget or the plan has left; nothing was sent."""


class ApprovalError(UserError):
    """A plan that nobody said yes to; nothing was sent."""


class TrainingError(QhcError):
    """Training that cannot go on; the last good checkpoint is kept."""


class WorkerLostError(QhcError):
    """A worker process that died each time; what the others finished is kept."""


class RecordError(QhcError):
    """A record that could not be written; what was there before is untouched."""


class BackendError(QhcError):
    """A backend that failed to execute what it accepted.

    `job_id`, `backend` and `state` are attributes, so that a caller need not parse the message.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        backend: str | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.backend = backend
        self.state = state


class JobCancelledError(BackendError):
    """The job was cancelled before it had a result."""


class JobFailedError(BackendError):
    """The job ended without a result, in the machine's words."""


class JobNotFoundError(BackendError):
    """The service has no such job, or has it no more."""


class TransientError(BackendError):
    """A service or a network that did not answer as hoped, and may do so later.

    `status_code` is HTTP's where there was an answer; `retry_after` the seconds that the service
    asks to be left alone for; `is_unsent` whether it certainly was not told to change anything.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        retry_after: float | None = None,
        is_unsent: bool = False,
        job_id: str | None = None,
        backend: str | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, backend=backend, state=state)
        self.status_code = status_code
        self.retry_after = retry_after
        self.is_unsent = is_unsent


class TokenRefusedError(BackendError):
    """The service no longer takes the token in use; a new connection fetches a new one."""


class JobsPendingError(BackendError):
    """The jobs are on their way and nobody waits for them here; `qhc resume` collects them."""


class SendingInterruptedError(JobsPendingError):
    """Ctrl-C while jobs were sent; its message says how many are not."""


class JobTimeoutError(BackendError):
    """The result did not arrive in the time given; the job itself is unharmed."""


def suggest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: names near to `name`, or all known ones.

    >>> suggest("are", ["aer", "native"])
    "did you mean 'aer'?"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{choice}'" for choice in near) + "?"
    return "known: " + ", ".join(choices)
