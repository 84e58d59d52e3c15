"""What a job's end means: which rows may be sent again, and what to tell the user."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import BackendError, JobCancelledError, JobFailedError
from .entries import Entry, State

WORKLOAD_CLOSED = 1217
RAN_TOO_LONG = 1305
"""IBM's error codes. https://quantum.cloud.ibm.com/docs/errors"""

MOST_ATTEMPTS = 2
"""How often rows are sent without asking anybody."""


def error_code(words: str) -> int | None:
    """The code in a service's words: "Error code 1217; ..."."""
    found = re.search(r"\b[Cc]ode:?\s+(\d{4})\b", words)
    return int(found[1]) if found else None


def is_sent_again(entry: Entry) -> bool:
    """Whether a job ended unexecuted because its batch did, for the first time."""
    closed = error_code(entry.words) == WORKLOAD_CLOSED
    return entry.state is State.FAILED and closed and entry.attempt < MOST_ATTEMPTS


def come_back(run: str | None) -> str:
    """How to get at what was submitted, as the tail of a message."""
    if run is None:
        return "ask this job for its result again"
    return f"qhc resume {run} goes on, qhc jobs {run} shows them all"


def failure(ended: Sequence[Entry], machine: str, run: str | None, gone: bool) -> BackendError:
    """The error for jobs that ended without a result; the first of them gives its class."""
    first = ended[0]
    is_failed = first.state is State.FAILED
    happened = "failed" if is_failed else "was cancelled"
    message = f"job {first.job_id} on {machine} {happened}"
    if first.words:
        message += f": {first.words.rstrip('.')}"
    if len(ended) > 1:
        message += f" (and {len(ended) - 1} more)"
    message += "; results of other jobs are kept"
    if gone:
        message += f"; the account has no '{machine}' any more (qhc backends lists what it has)"
    if error_code(first.words) == RAN_TOO_LONG:
        message += "; allow it more time with --set machine.max_execution_time=SECONDS"
    again = "make the request again" if run is None else f"qhc resume {run}"
    message += f"; to send these rows once more: {again}"
    message += "" if run is None else f" (qhc jobs {run} shows them all)"
    kind = JobFailedError if is_failed else JobCancelledError
    return kind(message, job_id=first.job_id, backend=machine, state=first.state.value)
