"""The tags that a job has at its service, by which it is found again.

Each job has one of its own, one of its run, and one that says which rows of which request it
executes: from the latter two a ledger that was lost is made anew.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from .entries import Entry, Recovered

KEY_LENGTH = 16
"""Of a key in a tag: 64 bits of a hash tell a run's requests apart."""

_OWN = re.compile(r"qhc-[0-9a-f]{32}")
_ROWS = re.compile(
    rf"qhc-rows-([0-9a-f]{{{KEY_LENGTH}}})-([0-9a-f]{{{KEY_LENGTH}}})-(\d+)-(\d+)-(\d+)"
)


def new_tag() -> str:
    """A job's own."""
    return f"qhc-{uuid.uuid4().hex}"


def new_run_tag() -> str:
    """Of all jobs of a run."""
    return f"qhc-run-{uuid.uuid4().hex}"


def rows_tag(what: str, entry: Entry) -> str:
    """Which rows a job executes, of which request; `what` is its `identity.what_key`."""
    request = entry.request[:KEY_LENGTH]
    rows = f"{entry.first_row}-{entry.n_rows}-{entry.attempt}"
    return f"qhc-rows-{what[:KEY_LENGTH]}-{request}-{rows}"


def read_tags(job_id: str, instance: str, tags: Sequence[str]) -> Recovered | None:
    """What a job's tags say of it; None for one that is no request's."""
    own = next((tag for tag in tags if _OWN.fullmatch(tag)), None)
    rows = next((found for tag in tags if (found := _ROWS.fullmatch(tag))), None)
    if own is None or rows is None:
        return None
    what, request, *numbers = rows.groups()
    return Recovered(own, job_id, instance, what, request, *map(int, numbers))
