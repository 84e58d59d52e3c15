"""The list of runs as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..report.all_runs.lines import RunLine, epochs_words
from ..report.numbers import counted, duration


@dataclass(frozen=True)
class Column:
    """A column: what it says of a run, and how wide a terminal must be to have room for it."""

    title: str
    text: Callable[[RunLine], str]
    is_number: bool = False
    width: int = 0


COLUMNS = (
    Column("when", lambda line: line.when, width=90),
    Column("recipe", lambda line: line.recipe, width=120),
    Column("model", lambda line: line.model, width=200),
    Column("arm", lambda line: line.arm, width=140),
    Column("data", lambda line: line.data, width=180),
    Column("backend", lambda line: line.backend),
    Column("seed", lambda line: "" if line.seed is None else str(line.seed), True, 100),
    Column("state", lambda line: line.state),
    Column("validation", lambda line: _percent(line.validation), True, 110),
    Column("test", lambda line: _percent(line.test) or line.other, True),
    Column("epochs", lambda line: epochs_words(line), True, 100),
    Column("time", lambda line: _time(line.seconds), True),
    Column("parameters", lambda line: f"{line.parameters:,}" if line.parameters else "", True, 170),
    Column("device (s)", lambda line: _seconds(line.device_seconds), True),
)


def print_runs(lines: Sequence[RunLine], n_found: int, folder: Path, console: Console) -> None:
    """A line per run, what is wrong with those that have stopped, and what to type next.

    Args:
        lines: those that are shown.
        n_found: how many there are.
        folder: where.
        console: whose width decides on the columns.
    """
    if not n_found:
        words = f"no runs under {folder}/ yet; to make one: qhc run"
        console.print(words, markup=False, soft_wrap=True)
        return
    shown = [column for column in COLUMNS if _has_room(column, lines, console.width)]
    table = Table(box=SIMPLE_HEAD)
    longest = max((len(_name(line)) for line in lines), default=0)
    table.add_column("run", overflow="fold", min_width=min(longest, console.width // 3))
    for column in shown:
        table.add_column(
            column.title, justify="right" if column.is_number else "left", overflow="fold",
            no_wrap=column.is_number or column.title in ("state", "when"),
        )  # fmt: skip
    for line in lines:
        texts = [_name(line), *(column.text(line) for column in shown)]
        table.add_row(*map(escape, texts))
    console.print(table)
    for line in lines:
        if line.problem:
            console.print(f"{line.name}: {line.problem}", markup=False, soft_wrap=True)
    of_all = "" if len(lines) == n_found else f" of {n_found:,}"
    words = f"{counted(len(lines), 'run')}{of_all} under {folder}/; as a page: qhc report {folder}"
    console.print(words, markup=False, soft_wrap=True)


def runs_json(lines: Sequence[RunLine]) -> str:
    """The same for a program, in one line."""
    return json.dumps({"runs": [line.to_dict() for line in lines]})


def _has_room(column: Column, lines: Sequence[RunLine], width: int) -> bool:
    """Whether it has something to say, and the terminal the width."""
    return column.width <= width and any(column.text(line) for line in lines)


def _name(line: RunLine) -> str:
    if line.kind == "study":
        return f"{line.name}/ ({line.compares or 'study'}, {counted(line.cells or 0, 'cell')})"
    return f"{line.name} ({line.model})" if line.models else line.name


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:,.1f}"
