"""The client's waits, without waiting.

The client backs off for 0, 1, 2, 4 and 8 seconds between its retries, and waits for as long as a
`Retry-After` says. Tests of what it does after that need not take the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from urllib3.util import retry


@contextmanager
def instant_retries() -> Iterator[list[float]]:
    """Let urllib3 go on at once where it would sleep; yields the seconds that it asked for."""
    asked: list[float] = []
    clock = SimpleNamespace(sleep=asked.append, time=time.time)
    with mock.patch.object(retry, "time", clock):
        yield asked
