"""A ledger that was lost, made anew from what its service has of the run.

The service has the jobs, with tags that say which rows of which request they execute. The compiled
layers it has not: they are kept beside the ledger, in a file of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import RecordError
from .ledger import Ledger
from .remote import TaggedJob
from .tags import read_tags


def layers_file(ledger: Path) -> Path:
    """Where the compiled layers of a ledger are kept once more."""
    return ledger.with_name(f"{ledger.stem}.layers.json")


def keep_layers(ledger: Ledger) -> None:
    """Keep a ledger's compiled layers beside it; raises `RecordError`."""
    if ledger.path is None:
        return
    path = layers_file(ledger.path)
    text = json.dumps([list(layer) for layer in ledger.layers()])
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        partial = path.with_name(f".{path.name}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise RecordError(
            f"{path} could not be written: {error.strerror or error}; nothing was sent. Make "
            f"room, then: qhc resume {ledger.run}"
        ) from error


def rebuild(path: Path, jobs: Sequence[TaggedJob]) -> int:
    """A new ledger of a run's jobs, in place of what is at `path`; how many jobs it knows of.

    What was there is kept under another name.
    """
    _put_aside(path)
    ledger = Ledger(path)
    read = [read_tags(job.id, job.instance, job.tags) for job in jobs]
    known = [job for job in read if job is not None]
    ledger.recover(known)
    for layer in _kept_layers(layers_file(path)):
        ledger.keep_layer(*layer)
    ledger.close()
    return len(known)


def _kept_layers(path: Path) -> list[tuple[str, str, str]]:
    if not path.exists():
        return []
    with suppress(ValueError, TypeError):
        return [
            (str(key), str(machine), str(compiled))
            for key, machine, compiled in json.loads(path.read_text(encoding="utf-8"))
        ]
    return []


def _put_aside(path: Path) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.lost-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
