"""The page that a run, or several side by side, is looked at on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from qbackend.errors import RunFolderError
from qbackend.validation.folder import is_own


def write_report(runs: Sequence[Path], out: Path | None = None) -> Path:
    """Write `report.html` and `figures/*.png`, or a folder's `runs.html`; returns the page.

    Args:
        runs: run folders, or one folder with runs in it, however deep.
        out: folder of the report; by default the run's own, of several `comparison-<time>` beside
            the first, of a folder that itself.

    Raises:
        RunFolderError: no folder given, or one that is missing, has no run, or is damaged.
        RecordError: a file could not be written.
    """
    if not runs:
        raise RunFolderError("no run given; type: qhc report runs/<time>-<recipe>")
    if len(runs) == 1 and _has_runs(Path(runs[0])):
        from .all_runs.page import write_runs_page

        return write_runs_page(Path(runs[0]), out)
    # Drawing takes a second to import; a command that only ends with a report should not wait.
    from .comparison.page import write_comparison_page
    from .reading import read_run
    from .run.own import write_own_page
    from .run.page import write_run_page

    own = [Path(path) for path in runs if is_own(Path(path))]
    if own and len(runs) > 1:
        raise RunFolderError(
            f"{own[0]} is of a model from Python, which has a page of its own: qhc report {own[0]}"
        )
    if own:
        return write_own_page(own[0], out or own[0])
    found = [read_run(Path(path)) for path in runs]
    if len(found) == 1:
        return write_run_page(found[0], out or found[0].folder)
    beside = Path(runs[0]).parent / f"comparison-{datetime.now():%Y%m%d-%H%M%S}"
    return write_comparison_page(found, out or beside)


def _has_runs(path: Path) -> bool:
    """Whether it is a folder that is no run itself."""
    return path.is_dir() and not (path / "config.toml").is_file()
