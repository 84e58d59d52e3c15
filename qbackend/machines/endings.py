"""What a job's end means: which rows may be sent again, and what to tell the user."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import (
    BackendError,
    JobCancelledError,
    JobFailedError,
    JobsPendingError,
    JobTimeoutError,
    QhcError,
    SendingInterruptedError,
    TokenRefusedError,
    TransientError,
)
from .budget import LONGER, SHORTEST_LIMIT
from .ledger.entries import Entry, State
from .ledger.ledger import Ledger
from .options import ExecutionOptions
from .service import LOCAL, MachineInfo, Meaning

TOO_MANY_REQUESTS = 429
"""HTTP's status of a submission beyond the account's rate."""

Meanings = Callable[[str], Meaning | None]
"""A vendor's, of its service's words."""

GONE = "not found by its id or tag"
"""How the words begin of an entry whose job was not found, which is not to say that it ended."""

USELESS = "its result is of no use"
"""How the words begin of an entry whose job was done, and paid for, with a result that is none."""

MOST_ATTEMPTS = 2
"""How often rows are sent without asking anybody."""


def is_refused(error: QhcError, meaning: Meaning | None) -> bool:
    """Whether the service turned a submission down, or did not get it; it may take it later."""
    if isinstance(error, TransientError) and (
        error.is_unsent or error.status_code == TOO_MANY_REQUESTS
    ):
        return True
    return isinstance(error, TokenRefusedError) or meaning is Meaning.QUEUE_FULL


def is_sent_again(entry: Entry, meanings: Meanings) -> bool:
    """Whether a job ended unexecuted because its batch did, for the first time."""
    closed = meanings(entry.words) is Meaning.WORKLOAD_CLOSED
    return entry.state is State.FAILED and closed and entry.attempt < MOST_ATTEMPTS


def is_gone(entry: Entry) -> bool:
    """Whether an entry was given up because the service did not know its job."""
    return entry.state is State.FAILED and entry.words.startswith(GONE)


def are_under_way(entries: Sequence[Entry]) -> bool:
    """Whether the service has them all, or did their work, so that none is sent."""
    return all(entry.state in (State.SUBMITTED, State.DONE) for entry in entries)


def is_useless(entry: Entry) -> bool:
    """Whether an entry was given up because of what its result is."""
    return entry.state is State.FAILED and entry.words.startswith(USELESS)


@dataclass(frozen=True)
class Whereabouts:
    """Where the jobs of a request are, as errors tell it that leave them alone.

    Attributes:
        entries: of the request.
        machine: its name.
        run: the run's folder; None where the ledger is in memory.
    """

    entries: Sequence[Entry]
    machine: str
    run: str | None

    def pending(self, reason: str) -> JobsPendingError:
        """Nobody waits for the jobs here."""
        return JobsPendingError(f"{reason}: {self._words}", **self._attributes)

    def interrupted(self) -> SendingInterruptedError:
        """Somebody stopped the sending of jobs."""
        words = f"interrupted while jobs were sent: {self._words}"
        return SendingInterruptedError(words, **self._attributes)

    def late(self, seconds: float, remark: str = "") -> JobTimeoutError:
        """The results did not come in time; `remark` is what there is to say of the machine."""
        words = f"no result after {seconds:g} s: {self._words}"
        return JobTimeoutError(f"{words}; {remark}" if remark else words, **self._attributes)

    def named(self, error: BackendError) -> BackendError:
        """A failure of the network, told together with what it leaves behind."""
        return type(error)(f"{error}; {self._words}", **self._attributes)

    @property
    def _words(self) -> str:
        sent = [e.job_id for e in self.entries if e.state is State.SUBMITTED and e.job_id]
        planned = sum(entry.state is State.PLANNED for entry in self.entries)
        words = []
        if sent and any(entry.instance == LOCAL for entry in self.entries):
            were = "job was" if len(sent) == 1 else "jobs were"
            words.append(f"{len(sent)} {were} simulated here for {self.machine}")
        elif sent:
            words.append(
                f"job{'s' if len(sent) > 1 else ''} {', '.join(sent)} on {self.machine} "
                f"{'go' if len(sent) > 1 else 'goes'} on unharmed"
            )
        if planned:
            words.append(f"{planned} of {len(self.entries)} jobs for {self.machine} not sent yet")
            if any(e.state is State.PLANNED and e.doubtful_since for e in self.entries):
                words[-1] += ", as far as is known"
        if self.run is None:
            return "; ".join([*words, "make the same request again for the results"])
        way = f"qhc resume {self.run} goes on, qhc jobs {self.run} shows all jobs"
        return "; ".join([*words, way])

    @property
    def _attributes(self) -> dict[str, str | None]:
        sent = [e.job_id for e in self.entries if e.state is State.SUBMITTED and e.job_id]
        state = State.SUBMITTED if sent else State.PLANNED
        return {"job_id": sent[0] if sent else None, "backend": self.machine, "state": state.value}


def remark_on(machine: str, machines: Sequence[MachineInfo]) -> str:
    """What a user should know of a machine on which nothing goes on; empty if it works."""
    for info in machines:
        if info.name == machine:
            return "" if info.operational else f"{machine} is {info.status}"
    return f"the account has no '{machine}' any more (qhc backends lists what it has)"


def was_stopped(entry: Entry, meanings: Meanings) -> bool:
    """Whether the service ended a job because it took longer than it was allowed to."""
    return meanings(entry.words) is Meaning.RAN_TOO_LONG


def seconds_again(entry: Entry, meanings: Meanings) -> float:
    """What an entry's rows are taken to need again: where it was stopped, twice what is known."""
    if not was_stopped(entry, meanings):
        return entry.estimate_seconds
    return max(SHORTEST_LIMIT, LONGER * max(entry.estimate_seconds, entry.qpu_seconds or 0.0))


def failure(
    ledger: Ledger,
    request: str,
    machine: str,
    options: ExecutionOptions,
    meanings: Meanings,
    remark: str = "",
) -> BackendError:
    """The error for a request of which jobs ended without a result; the first gives its class.

    One that was stopped comes before others, which may have ended with it. `meanings` are the
    vendor's, `remark` is what there is to say of the machine.
    """
    entries, run = ledger.current(request), ledger.run
    ended = [entry for entry in entries if entry.state in (State.FAILED, State.CANCELLED)]
    first = next((entry for entry in ended if was_stopped(entry, meanings)), ended[0])
    is_failed = first.state is State.FAILED
    job = "a job that was not sent" if first.job_id is None else f"job {first.job_id}"
    message = f"{job} on {machine} {'failed' if is_failed else 'was cancelled'}"
    if first.words:
        message += f": {_plain(first.words)}"
    if len(ended) > 1:
        message += f" (and {len(ended) - 1} more)"
    if len(ended) < len(entries):
        message += "; the results of the other jobs are kept"
    if remark:
        message += f"; {remark}"
    in_python = in_shell = ""
    if was_stopped(first, meanings):
        limit, budget = options.max_execution_time, options.max_qpu_seconds
        again = sum(seconds_again(entry, meanings) for entry in ended)
        needed = math.ceil(ledger.committed_seconds() + again)
        if limit is not None:
            message += (
                f"; {limit} s are its max_execution_time: allow more by --max-execution-time in a "
                "new run"
            )
        else:
            message += (
                f"; its max_execution_time was for an estimate of {first.estimate_seconds:.0f} s, "
                f"now it is taken to need {seconds_again(first, meanings):.0f} s"
            )
        if needed > budget:
            in_python, in_shell = f" with max_qpu_seconds={needed}", f" --max-qpu-seconds {needed}"
    if run is None:
        message += f"; to send these rows once more, make the request again{in_python}"
    else:
        message += (
            f"; to send these rows once more: qhc resume {run}{in_shell} (all jobs: qhc jobs {run})"
        )
    kind = JobFailedError if is_failed else JobCancelledError
    return kind(message, job_id=first.job_id, backend=machine, state=first.state.value)


def _plain(words: str) -> str:
    """A machine's words on one line, without what the client puts before them."""
    line = " ".join(words.split()).rstrip(".")
    return re.sub(r"^Job \S+ (has failed: )?", "", line)
