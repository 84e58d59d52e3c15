"""Runs that a comparison is made of: each is trained once, and gone on with where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qbackend.errors import RunFolderError

from ..assembly.bounds import bounded
from ..assembly.thread_count import with_threads
from ..config.sections import Config
from ..records.folder import RunFolder, is_run
from ..run.display import Aside, Display
from ..run.resume import resume
from ..run.start import start
from .frame import Cell
from .grid import Workers


def check_same(path: Path, config: Config) -> None:
    """Raise `RunFolderError` if a run of another config, or something else, is at `path`."""
    if not is_run(path):
        RunFolder.check_free(path)
        return
    there = RunFolder.open(path).config()
    # A run records the limits that it was given for want of any.
    config, _ = bounded(config)
    if config.run.threads is None:
        # What was chosen on the machine where the run began holds for it.
        config = with_threads(config, there.run.threads)
    differing = _differences(there.compared(), config.compared())
    if differing:
        raise RunFolderError(
            f"{path} is a run of another recipe: {'; '.join(differing)}; choose another --out"
        )


def finish(cell: Cell[Any], title: str, display: Display) -> None:
    """Start a cell's run, or go on with it; a finished one is left as it is.

    The title is said before; an empty one is not.
    """
    if is_finished(cell):
        return
    if title:
        display.say(title)
    if is_run(cell.folder):
        resume(cell.folder, cell.place.data_root, display)
    else:
        start(cell.config, replace(cell.place, out=cell.folder), display)


def finish_in_turn(cells: Sequence[Cell[Any]], display: Display) -> None:
    """Finish one after the other; before each it is said how long the rest will take, about."""
    numbered = {number: cell for number, cell in enumerate(cells, start=1) if not is_finished(cell)}
    begun = time.monotonic()
    for done, (number, cell) in enumerate(numbered.items()):
        title = f"run {number} of {len(cells)}: {cell.folder.name}"
        if done:
            seconds = (time.monotonic() - begun) / done * (len(numbered) - done)
            title += f" (about {seconds:.0f} s left)"
        finish(cell, title, display)


def finish_aside(cell: Cell[Any]) -> None:
    """The same for one of several runs at a time, in whose process this is."""
    finish(cell, "", Aside(cell.folder.name))


def finish_together(cells: Sequence[Cell[Any]], workers: Workers, display: Display) -> None:
    """Finish several at a time; each has the threads, and so the bits, that it has alone."""
    left = {
        cell.folder.name: replace(cell, config=with_threads(cell.config))
        for cell in cells
        if not is_finished(cell)
    }
    with display.counting("runs", len(cells), len(cells) - len(left)) as count:
        for _ in workers.map(finish_aside, left):
            count()


def is_finished(cell: Cell[Any]) -> bool:
    """Whether the cell's run is there, and done."""
    return is_run(cell.folder) and RunFolder.open(cell.folder).status == "finished"


def _differences(there: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(there.keys() | asked.keys()):
        one, other = there.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append(f"{prefix}{key} is {one!r} there and {other!r} here")
    return found
