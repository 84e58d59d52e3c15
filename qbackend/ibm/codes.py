"""The codes of IBM's errors, and what its words mean by them.

https://quantum.cloud.ibm.com/docs/errors
"""

from __future__ import annotations

import re

from ..machines.service import Meaning

USED_UP, NO_SESSIONS = 4317, 1352
WORKLOAD_CLOSED, RAN_TOO_LONG, PENDING_LIMIT = 1217, 1305, 3458

TOO_LONG = "longer than maximum execution time"
"""What the client makes of a job that ran too long."""

_MEANINGS = {
    WORKLOAD_CLOSED: Meaning.WORKLOAD_CLOSED,
    RAN_TOO_LONG: Meaning.RAN_TOO_LONG,
    PENDING_LIMIT: Meaning.QUEUE_FULL,
}


def meaning(words: str) -> Meaning | None:
    """By the code, `Error code 1217; ...` or `"code": 1217`, or by the client's own words."""
    found = re.search(r'code"?:?\s*(\d{4})\b', words, re.IGNORECASE)
    known = _MEANINGS.get(int(found[1])) if found else None
    return Meaning.RAN_TOO_LONG if TOO_LONG in words else known
