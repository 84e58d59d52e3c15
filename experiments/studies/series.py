"""Runs that a comparison is made of: each is trained once, and gone on with where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qbackend.errors import RunFolderError

from ..assembly.thread_count import with_threads
from ..config.sections import Config
from ..records.folder import RunFolder
from ..run.display import Display
from ..run.resume import resume
from ..run.start import Place, start


def check_same(path: Path, config: Config) -> None:
    """Raise `RunFolderError` if a run of another config is at `path`."""
    if not path.exists():
        return
    there = RunFolder.open(path).config()
    if config.run.threads is None:
        # What was chosen on the machine where the run began holds for it.
        config = with_threads(config, there.run.threads)
    differing = _differences(there.to_dict(), config.to_dict())
    if differing:
        raise RunFolderError(
            f"{path} is a run of another recipe: {'; '.join(differing)}; choose another --out"
        )


def finish(path: Path, config: Config, place: Place, title: str, display: Display) -> None:
    """Start the run at `path`, or go on with it; a finished one is left as it is."""
    there = path.exists()
    if there and RunFolder.open(path).status == "finished":
        return
    display.say(title)
    try:
        if there:
            resume(path, place.data_root, display)
        else:
            start(config, Place(place.data_root, path, place.command), display)
    except KeyboardInterrupt:
        display.say("type the same command to go on with the comparison")
        raise


def _differences(there: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(there.keys() | asked.keys()):
        one, other = there.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append(f"{prefix}{key} is {one!r} there and {other!r} here")
    return found
