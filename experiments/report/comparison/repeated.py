"""Runs of the same weights on the same images: the later ones beside the first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from qbackend.errors import RunFolderError

from ...evaluation.drift import compare_runs, weights_sha256
from ...records.folder import RunFolder
from ..drift.section import DriftSection, drift_section
from ..reading import Run


def repeated(runs: Sequence[Run]) -> list[DriftSection]:
    """What has changed since the first of those that devices answered; empty without two."""
    families: dict[str, list[RunFolder]] = {}
    for run in sorted(runs, key=lambda run: run.state.started):
        if run.state.status == "finished" and _is_of_device(run):
            folder = RunFolder(run.folder)
            with suppress(RunFolderError):
                families.setdefault(weights_sha256(folder), []).append(folder)
    pairs = [(first, later) for first, *others in families.values() for later in others]
    found = []
    for number, (first, later) in enumerate(pairs, start=1):
        # Other images than the first run's leave nothing to compare.
        with suppress(RunFolderError):
            comparison = compare_runs(first, later)
            arrays = comparison.arrays()
            found.append(drift_section(comparison.record, arrays, prefix=f"drift-{number}"))
    return found


def _is_of_device(run: Run) -> bool:
    if run.rows is not None or run.validation is not None:
        return True
    return run.headline is not None and run.headline.compiled is not None
