"""A ledger that was lost, or that is not the run's last, completed by what its service has.

The service has the jobs, with tags that say which rows of which request they execute. The compiled
layers it has not: they are kept beside the ledger, in a file of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...errors import RecordError
from ..service import TaggedJob
from .entries import Recovered, State
from .ledger import Ledger
from .tags import KEY_LENGTH, read_tags


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


def catch_up(ledger: Ledger, jobs: Sequence[TaggedJob]) -> None:
    """Enter what the service has of a run and its ledger does not tell; the ledger is locked.

    Another run's ledger may have been put in place of the run's, or an older one of its own; and a
    copy of the run's folder may have sent something.
    """
    known = {entry.tag: entry for entry in ledger.entries()}
    strange = []
    for job in _read(jobs):
        entry = known.get(job.tag)
        if entry is None:
            strange.append(job)
        elif entry.state is State.PLANNED and entry.job_id is None:
            ledger.submitted(entry.tag, job.job_id)
    ledger.recover(strange)
    again = {(entry.request[:KEY_LENGTH], entry.first_row): entry for entry in known.values()}
    for job in sorted(strange, key=lambda job: job.attempt):
        before = again.get((job.request, job.first_row))
        if before is not None and job.attempt > before.attempt:
            ledger.sent_again(before, job)


def rebuild(path: Path, jobs: Sequence[TaggedJob]) -> int:
    """A new ledger of a run's jobs, in place of what is at `path`; how many jobs it knows of.

    What was there is kept under another name.
    """
    _put_aside(path)
    ledger = Ledger(path)
    known = _read(jobs)
    ledger.recover(known)
    for layer in _kept_layers(layers_file(path)):
        ledger.keep_layer(*layer)
    ledger.close()
    return len(known)


def _read(jobs: Sequence[TaggedJob]) -> list[Recovered]:
    read = (read_tags(job.id, job.instance, job.tags) for job in jobs)
    return [job for job in read if job is not None]


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
