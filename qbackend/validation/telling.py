"""What a person sees of a validation on its way, on standard error."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.status import Status
    from rich.table import Table

    from ..machines.gateway import Progress

QUIET_SECONDS = 2.0
"""That something may take before anybody is told how far it is."""
WIDTH = 10_000
"""Characters of a line; no table is as wide."""
BETWEEN_SECONDS = 10.0
"""Between two lines on it where there is no terminal."""


class Telling:
    """Says how a validation gets on; bars only where a person is looking."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._told: dict[str | None, str] = {}

    def say(self, words: str) -> None:
        """A line of its own."""
        self.console.print(words, markup=False, soft_wrap=True)

    def show(self, table: Table) -> None:
        """A table, whole, however narrow the terminal is."""
        self.say(table_text(table).rstrip("\n"))

    def progress(self, progress: Progress) -> None:
        """Where a machine's job is: a line where that is news."""
        words = progress_words(progress)
        if self._told.get(progress.tag) != words:
            self._told[progress.tag] = words
            self.say(words)

    @contextmanager
    def counting(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Yields what is told how many rows more are done, of a total where that is known."""
        count = _Count(self, what, total)
        try:
            yield count
        finally:
            count.close()


class _Count:
    def __init__(self, telling: Telling, what: str, total: int | None) -> None:
        self.telling, self.what, self.total = telling, what, total
        self.done, self.start = 0, time.monotonic()
        self._next = self.start + QUIET_SECONDS
        self._status: Status | None = None

    def __call__(self, rows: int) -> None:
        self.done += rows
        now = time.monotonic()
        if now < self._next:
            return
        console = self.telling.console
        if not console.is_terminal:
            self._next = now + BETWEEN_SECONDS
            self.telling.say(self._words(now))
            return
        self._next = now
        if self._status is None:
            self._status = console.status("")
            self._status.start()
        self._status.update(self._words(now))

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()

    def _words(self, now: float) -> str:
        if self.total is None or not self.done:
            return f"{self.what}: {self.done:,} rows of quantum layers done"
        left = (now - self.start) / self.done * max(0, self.total - self.done)
        return f"{self.what}: {self.done:,} of {self.total:,} rows, about {left:.0f} s left"


def table_text(table: Table) -> str:
    """A table as a file keeps it: as wide as its longest names and numbers take."""
    text = io.StringIO()
    width = Console(width=WIDTH).measure(table).maximum
    Console(file=text, width=width).print(table)
    return text.getvalue()


def progress_words(progress: Progress) -> str:
    """Where a machine's jobs are, in a line."""
    words = progress.words
    if progress.job_id is not None:
        words = f"job {progress.job_id}: {words}"
    if progress.queue_position is not None:
        words += f", place {progress.queue_position} in the queue"
    if progress.jobs:
        words += f" ({progress.done} of {progress.jobs} jobs done)"
    return words


def in_python(words: str, run: Path, *, is_fake: bool) -> str:
    """The words of a machine's error without the command that would need to build the model."""
    call = f"the same call of qbackend.validate, with run='{run}', goes on"
    collect = "" if is_fake else f", qhc resume {run} --collect fetches what is done"
    return words.replace(f"qhc resume {run} goes on", call + collect)
