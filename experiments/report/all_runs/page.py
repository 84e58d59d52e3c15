"""The page of all runs of a folder: a table to be sorted and filtered, with a curve in each row."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from qbackend.errors import RunFolderError
from qbackend.validation.records.environment import without_home
from qbackend.validation.records.files import write_atomically

from ..numbers import counted, duration, number
from ..render import page_text
from .curve import small_curve
from .lines import RunLine, epochs_words
from .listing import find_runs

PAGE = "runs.html"
"""A study's own page, in the same folder, is `report.html`."""


@dataclass(frozen=True)
class Cell:
    """What a row has in a column: words, a fainter line below, and what it is sorted by."""

    text: str = ""
    below: str = ""
    value: float | str | None = None
    title: str = ""


@dataclass(frozen=True)
class Row:
    """A run on the page.

    Attributes:
        name: its folder, below that of the page.
        link: to its own page, if there is one.
        path: as it is typed.
        remark: below the name.
        kind, state: for the style and the filters.
        curve: of its training.
        cells: in the order of the columns.
        filters: values by the name of a filter.
    """

    name: str
    link: str | None
    path: str
    remark: str
    kind: str
    state: str
    curve: Markup
    cells: Sequence[Cell]
    filters: dict[str, str]


COLUMNS = (
    *(("When", False), ("Recipe", False), ("Model", False), ("Data", False), ("Backend", False)),
    *(("Seed", True), ("State", False), ("Validation (%)", True), ("Test (%)", True)),
    *(("Epochs", True), ("Time", True), ("Parameters", True), ("Device (s)", True)),
)
"""Titles behind the run's name, and whether numbers stand below; the curve follows the state."""


def write_runs_page(root: Path, folder: Path | None = None) -> Path:
    """Write `runs.html`, with a line for every run below `root`; returns it.

    Args:
        root: folder of runs.
        folder: where the page goes; `root` without.

    Raises:
        RunFolderError: there is no such folder, or no run in it.
        RecordError: the page could not be written; one that was there before is untouched.
    """
    lines = find_runs(root)
    if not lines:
        raise RunFolderError(
            f"{root} is not a run: it has no config.toml, nor has any folder in it; give a folder "
            "that `qhc run` made, or one of several: qhc report runs/"
        )
    folder = folder or root
    page = folder / PAGE
    text = page_text(
        "runs.html",
        title=f"{_counts(lines)} in {_name_of(root)}/",
        sentence=_sentence(lines),
        columns=COLUMNS,
        rows=[_row(line, folder) for line in lines],
        sections=[],
        several=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(page, text.encode())
    return page


def _name_of(root: Path) -> str:
    return without_home(str(root)) if str(root) != "." else root.resolve().name


def _counts(lines: Sequence[RunLine]) -> str:
    studies = sum(line.kind == "study" for line in lines)
    words = counted(len(lines) - studies, "run")
    if not studies:
        return words
    return f"{words} and {studies:,} {'study' if studies == 1 else 'studies'}"


def _sentence(lines: Sequence[RunLine]) -> str:
    """How many of which kind and state, and what devices were charged."""
    states = [line.state for line in lines]
    told = [f"{states.count(state):,} {state}" for state in dict.fromkeys(sorted(states))]
    charged = [line.device_seconds for line in lines if line.device_seconds]
    words = f"{', '.join(told)}."
    if charged:
        words += f" Devices were charged {sum(charged):,.1f} s."
    return words


def _row(line: RunLine, folder: Path) -> Row:
    kind = f"study of {line.compares}" if line.compares else line.kind
    remarks = [kind if kind != "training" else ""]
    remarks += [f"in {line.study}" if line.study else "", line.problem]
    if line.cells is not None:
        remarks.append(counted(line.cells, "cell"))
    if line.report is None:
        remarks.append("no report")
    return Row(
        name=line.name,
        link=_relative(line.report, folder) if line.report else None,
        path=shlex.quote(without_home(str(line.path))),
        remark=" · ".join(filter(None, remarks)),
        kind=line.kind,
        state=line.state,
        curve=small_curve(line.curve, line.curve_of),
        cells=_cells(line),
        filters={
            "Kind": line.kind,
            "Recipe": line.recipe,
            "Model": line.model,
            "Data": line.data,
            "Backend": line.backend,
            "State": line.state,
        },
    )


def _cells(line: RunLine) -> list[Cell]:
    quantum = ""
    if line.quantum_parameters:
        quantum = f"{line.quantum_parameters:,} quantum"
    images = "" if line.images is None else counted(line.images, "image")
    return [
        Cell(line.started[:10], line.started[11:16], line.started),
        Cell(line.recipe),
        Cell(line.model, line.arm),
        Cell(line.data),
        Cell(line.backend, counted(line.shots, "shot") if line.shots else ""),
        Cell("" if line.seed is None else str(line.seed), value=line.seed),
        Cell(line.state, title=line.problem),
        _share(line.validation),
        Cell(_share(line.test).text or line.other, images, line.test),
        Cell(epochs_words(line), value=line.epochs or None),
        Cell(duration(line.seconds) if line.seconds is not None else "", value=line.seconds),
        Cell(number(line.parameters, 0) if line.parameters else "", quantum, line.parameters),
        Cell(
            "" if line.device_seconds is None else f"{line.device_seconds:,.1f}",
            value=line.device_seconds,
        ),
    ]


def _share(value: float | None) -> Cell:
    return Cell("" if value is None else f"{100 * value:.2f}", value=value)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
