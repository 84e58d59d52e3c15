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


def codes_in(words: str) -> list[int]:
    """Those that stand there, `Error code 1217; ...` or `"code": 1217`, in order."""
    found = re.findall(r'code"?:?\s*(\d{4})\b', words, re.IGNORECASE)
    return [int(code) for code in found]


def meaning(words: str) -> Meaning | None:
    """By the code, or by the client's own words."""
    known = next((_MEANINGS[code] for code in codes_in(words) if code in _MEANINGS), None)
    return Meaning.RAN_TOO_LONG if TOO_LONG in words else known
