"""How `gpu.py` gets through its stages: guarded, in processes of their own, until time is up.

A worker writes a line when a stage begins and one with what it found. The process that started it
reads these lines when it has ended, however it ended, and starts another one for what is left.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

Found = dict[str, Any]


class Task(Protocol):
    """What a worker does."""

    name: str
    measure: Callable[[], Found]


@dataclass(frozen=True)
class Lines:
    """What workers leave: a line of JSON for every beginning and every end."""

    path: Path

    def write(self, name: str, found: Found | None) -> None:
        """That a stage begins, or what it found."""
        with self.path.open("a") as file:
            file.write(json.dumps([name, found]) + "\n")

    def read(self) -> dict[str, Found | None]:
        """What is known of every stage that began."""
        if not self.path.exists():
            return {}
        return dict(map(json.loads, self.path.read_text().splitlines()))


def work(tasks: Sequence[Task], lines: Lines, wait: Callable[[], None]) -> int:
    """Do the tasks one after the other; returns the status to leave with.

    One that raises leaves its error. If waiting for the device raises then, no other task would get
    anything from it in this process.
    """
    for task in tasks:
        lines.write(task.name, None)
        print(task.name, file=sys.stderr, flush=True)
        try:
            found = task.measure()
        except Exception as error:
            words = str(error).strip().splitlines() or [""]
            found = {"error": f"{type(error).__name__}: {words[0]}"}
        lines.write(task.name, found)
        try:
            wait()
        except RuntimeError:
            return 1
    return 0


def run_all(names: Sequence[str], command: Sequence[str], lines: Lines, seconds: float) -> None:
    """Let workers do the tasks of these names; what is not in `lines` then had no time.

    Args:
        names: in order.
        command: of a worker, without the names of its tasks.
        lines: where it writes.
        seconds: for all.
    """
    end = time.monotonic() + seconds
    left = list(names)
    while left and time.monotonic() < end:
        status = _worked([*command, *left], end)
        reason = "not finished in time" if status is None else f"its process left with {status}"
        known = lines.read()
        begun = [name for name in left if name in known]
        # One that dies before it begins anything would do so again.
        ended = [name for name in begun if known[name] is None] or ([] if begun else left)
        for name in ended:
            lines.write(name, {"error": reason})
        left = [name for name in left if name not in (begun or left)]


def _worked(command: Sequence[str], end: float) -> int | None:
    """Run a worker until it leaves, or until the end comes; returns the status of the former."""
    worker = psutil.Popen(command)
    try:
        return int(worker.wait(max(0.0, end - time.monotonic())))
    except psutil.TimeoutExpired:
        # What it started ends with it.
        for process in [*worker.children(recursive=True), worker]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait()
        return None
