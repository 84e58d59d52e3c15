"""A repeated run beside the one that it repeats."""

from __future__ import annotations

from ..drift.section import drift_section
from ..reading import Run
from ..render import Part


def repeated(run: Run) -> Part | None:
    """What has changed since; None for a run that repeats none."""
    if run.drift is None:
        return None
    found = drift_section(run.drift, run.drift_arrays())
    return Part({"drifts": [found]}, found.drawings)
