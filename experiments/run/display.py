"""What a person sees of a run on its way, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.control import Control
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import ControlType
from rich.status import Status

from qbackend.validation.telling import progress_words

from ..config.sections import Config
from ..records.folder import RunFolder
from ..records.lines import EpochRecord
from ..report.numbers import percent

if TYPE_CHECKING:
    from qbackend.machines.gateway import Progress as MachineProgress

REFRESH = 0.1
"""Seconds between two updates of the progress bar."""

LINES = 20
"""Lines that a count of any length is told in, where there is no terminal."""


class Display:
    """Says on standard error how a run gets on; the bar only where a person is looking."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._spinner: Status | None = None
        self._done, self._shown = 0, 0.0
        self._told: dict[str | None, tuple[str, int | None]] = {}

    def say(self, message: str) -> None:
        """A line of its own."""
        self.console.print(message, markup=False, soft_wrap=True)

    def begin_run(self, config: Config, folder: RunFolder, parameters: int, quantum: int) -> None:
        """What is about to happen, where, and what is unusual about it."""
        shots = "" if config.run.shots is None else f", {config.run.shots} shots"
        self.say(
            f"{config.model.name} ({config.model.arm}) on {config.data.name}, "
            f"backend {config.run.backend}{shots}, seed {config.run.seed}: "
            f"{parameters:,} parameters, {quantum} of them quantum"
        )
        for note in folder.state.notes:
            self.say(f"note: {note}")
        self.say(f"run folder: {folder.path}")

    @contextmanager
    def training(self) -> Iterator[Display]:
        """Shows a bar with the time left while it lasts, on a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        columns = _columns(TextColumn("{task.percentage:3.0f} %"))
        with Progress(*columns, console=self.console, transient=True) as self._progress:
            yield self
        self._progress = None

    @contextmanager
    def counting(self, what: str, total: int, done: int) -> Iterator[Callable[[], None]]:
        """Yields what is to be called when one more is done: a bar on a terminal, else lines."""
        if done == total:
            yield lambda: None
            return
        if self.console.is_terminal:
            columns = _columns(MofNCompleteColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                task = progress.add_task(what, total=total, completed=done)
                yield lambda: progress.advance(task)
            return
        yield _Lines(self, what, total, done)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Shows where a machine's jobs are, from the first `progress` on."""
        try:
            yield
        finally:
            self._stop_spinner()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Nothing moves while it lasts: a bar or spinner would be drawn over the question."""
        self._stop_spinner()
        if self._progress is not None:
            self._progress.stop()
        try:
            yield
        finally:
            if self._progress is not None:
                self._progress.start()

    def progress(self, progress: MachineProgress) -> None:
        """Where a machine's jobs are: a spinner's words, without a terminal a line for each event.

        What is said of the service, and of no job, is a line in either case. Beside a bar there is
        no spinner.
        """
        if progress.tag is None:
            self.say(progress.words)
        elif not self.console.is_terminal:
            if self._is_news(progress):
                self.say(progress_words(progress))
        elif self._progress is None:
            if self._spinner is None:
                self._spinner = self.console.status("")
                self._spinner.start()
            words = f"{progress_words(progress)}; Ctrl-C leaves the jobs running"
            self._spinner.update(escape(words))

    def _is_news(self, progress: MachineProgress) -> bool:
        """Whether a job is told of otherwise than before, or its place in the queue has halved."""
        words, place = self._told.get(progress.tag, ("", None))
        now = progress.queue_position
        is_nearer = now is not None and (place is None or 2 * now <= place)
        if progress.words == words and not is_nearer:
            return False
        self._told[progress.tag] = progress.words, now
        return True

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        if self._progress is None:
            return
        self._done = (epoch - 1) * n_steps
        if not self._progress.tasks:
            # A resumed run starts where it was, or the time left would be an illusion.
            self._progress.add_task("", total=n_epochs * n_steps, completed=self._done)
        self._progress.update(
            self._progress.task_ids[0], description=f"epoch {epoch} of {n_epochs}"
        )

    def step(self) -> None:
        self._done += 1
        if self._progress is not None and time.monotonic() - self._shown > REFRESH:
            self._shown = time.monotonic()
            self._progress.update(self._progress.task_ids[0], completed=self._done)

    def end(self, record: EpochRecord) -> None:
        train, validation = record.train, record.validation
        self.say(
            f"epoch {record.epoch:3d}   loss {train.loss:.4f}   "
            f"accuracy {percent(train.accuracy)}   "
            f"validation: loss {validation.loss:.4f}   "
            f"accuracy {percent(validation.accuracy)}   F1 {validation.f1:.4f}   "
            f"{record.seconds + record.validation_seconds:.2f} s"
        )


class Aside(Display):
    """Of one of several runs at a time: what it says has its name before it; no bar, no epochs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def say(self, message: str) -> None:
        if self.console.is_terminal:
            # The bar of all of them is there, and is drawn again below.
            self.console.control(
                Control((ControlType.CARRIAGE_RETURN,), (ControlType.ERASE_IN_LINE, 2))
            )
        super().say(f"{self._name}: {message}")

    def progress(self, progress: MachineProgress) -> None:
        """A line for each event, on a terminal too."""
        if progress.tag is None or self._is_news(progress):
            self.say(progress_words(progress))

    def begin_run(self, config: Config, folder: RunFolder, parameters: int, quantum: int) -> None:
        for note in folder.state.notes:
            self.say(f"note: {note}")

    @contextmanager
    def training(self) -> Iterator[Display]:
        yield self

    def end(self, record: EpochRecord) -> None:
        """What the epoch has come to stands in the run's folder."""


def _columns(done: ProgressColumn) -> tuple[ProgressColumn, ...]:
    """Of a progress bar, with the time left."""
    return TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn()


class _Lines:
    """Counts, and says so from time to time."""

    def __init__(self, display: Display, what: str, total: int, done: int) -> None:
        self.display, self.what, self.total, self.done = display, what, total, done
        self.left, self.start = total - done, time.monotonic()

    def __call__(self) -> None:
        self.done += 1
        counted = self.left - (self.total - self.done)
        if self.done % max(1, self.left // LINES) and self.done < self.total:
            return
        seconds = (time.monotonic() - self.start) / counted * (self.total - self.done)
        self.display.say(f"{self.what}: {self.done} of {self.total}, about {seconds:.0f} s left")
