"""How long to wait for a service, how often to ask again, and when to look at a job."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from ..errors import BackendError, JobTimeoutError, TransientError

T = TypeVar("T")

ATTEMPTS = 10
"""Pauses between tries of one call: 1, 2, 4, ... 60 seconds, about five minutes together."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_RETRY_AFTER = 900.0
"""Seconds that a service may ask to be left alone for where nobody named a deadline."""
CALL_SECONDS = 150.0
"""Of one question: the client retries 15 seconds, and after a lost token stands still for 60."""
START_SECONDS = 300.0
"""Of a submission, which may be many megabytes; the client itself waits for 15 minutes."""
DOUBT_SECONDS = 60.0
"""After a submission in doubt, in which its job may still come to light: a list may be read from a
replica that lags behind. IBM gives no number; of a queue of hours a minute is little, and a second
job would be paid for."""
DOUBT_PAUSES = (5.0, 30.0)
"""Between two searches for such a job."""
LATE_SECONDS = 900.0
"""After a submission in doubt, in which it may still be accepted: so long the client waits."""
CHARGE_SECONDS = 30.0
"""Of the question what a job cost, with all its tries: the service may answer it later."""
REMARK_SECONDS = 10.0
"""Of the question what has become of a machine, for a better message."""
POLL_SECONDS = (5.0, 30.0)
"""Shortest and longest pause between two looks at a job, where nobody names others."""
GROWTH = 1.5
"""Of the pause between two looks at a job."""


@dataclass(frozen=True)
class Clock:
    """Where time comes from; `jitter` is uniform in [0, 1)."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


def retry_pauses(clock: Clock) -> Iterator[float]:
    """Seconds before each further try; ends where patience does."""
    for attempt in range(ATTEMPTS):
        pause = min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE)
        yield pause * (0.75 + 0.5 * clock.jitter())


def pause_after(error: BackendError, pauses: Iterator[float], left: float) -> float:
    """Seconds before the next try, at least those that the service asks for.

    `left` are those until the deadline, which is infinite where there is none.

    Raises:
        JobTimeoutError: the service asks for more than is left.
        TransientError: or for more than is waited without a deadline.
        BackendError: the error itself, where patience is at its end.
    """
    pause = next(pauses, None)
    if pause is None:
        raise error
    asked = getattr(error, "retry_after", None) or 0.0
    words = f"{error}; it asks to be left alone for {asked:,.0f} s"
    if asked > max(left, 0.0):
        raise JobTimeoutError(f"{words}, and {max(left, 0.0):,.0f} s are left to wait") from error
    if asked > LONGEST_RETRY_AFTER and math.isinf(left):
        longest = f"more than the {LONGEST_RETRY_AFTER:,.0f} s that are waited without a --deadline"
        raise TransientError(f"{words}, {longest}") from error
    return max(pause, asked)


def poll_pauses(clock: Clock, shortest: float, longest: float) -> Iterator[float]:
    """Seconds between two looks at a job, without end: rising, up to a tenth off either way."""
    pause = shortest
    while True:
        yield min(max(pause * (0.9 + 0.2 * clock.jitter()), shortest), longest)
        pause = min(pause * GROWTH, longest)


class Limit(threading.local):
    """Until when a thread waits for a service, by its clock."""

    until = math.inf

    @contextmanager
    def by(self, until: float) -> Iterator[None]:
        """Until then, whatever it was before, while it lasts."""
        before, self.until = self.until, until
        try:
            yield
        finally:
            self.until = before


class NoAnswerError(TransientError):
    """A call that was left behind."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises, in a thread that is left behind when it takes longer.

    The client sets no time limit on reading: a server that hangs would hold it for ever.

    Raises:
        NoAnswerError: no answer in time.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    finished = threading.Event()

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # handed to the thread that waits
            failure.append(error)
        finally:
            finished.set()

    threading.Thread(target=run, name="qhc-service", daemon=True).start()
    if not finished.wait(seconds):
        raise NoAnswerError(f"the service has not answered within {seconds:.0f} s")
    if failure:
        raise failure[0]
    return outcome[0]
