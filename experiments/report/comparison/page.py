"""What the page of several runs says: groups, their spread over seeds, their differences."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..numbers import ABSENT, counted, number, signed
from ..pictures.style import Look, looks
from ..reading import Run
from ..render import Column, Drawing, Section, Table, write_page
from ..words import described_status
from . import figures
from .groups import (
    Group,
    Measure,
    PairedDifference,
    differing_settings,
    group_runs,
    paired_differences,
)
from .repeated import repeated

CURVES = (
    ("validation", "accuracy"),
    ("validation", "f1"),
    ("validation", "loss"),
    ("train", "loss"),
)


def accuracy(run: Run) -> float:
    """Of the evaluation that speaks for the run."""
    return run.headline.accuracy if run.headline else math.nan


def f1(run: Run) -> float:
    """Macro F1 of the evaluation that speaks for the run."""
    return run.headline.f1 if run.headline else math.nan


def validation_accuracy(run: Run) -> float:
    """Of the epoch whose model was kept."""
    return run.best_epoch.validation.accuracy if run.best_epoch else math.nan


Measures = tuple[tuple[str, Measure, float, int], ...]
"""Of a table of groups: title, measure, factor, decimals."""

SCORES: Measures = (
    ("Test accuracy (%)", accuracy, 100.0, 2),
    ("Test macro F1 (%)", f1, 100.0, 2),
    ("Validation accuracy (%)", validation_accuracy, 100.0, 2),
)
COSTS: Measures = (
    ("Training per epoch (s)", lambda run: run.median(lambda epoch: epoch.seconds), 1.0, 3),
    ("CPU time per epoch (s)", lambda run: run.median(lambda epoch: epoch.cpu_seconds), 1.0, 3),
    ("Peak memory (MiB)", lambda run: run.peak_memory_mib, 1.0, 0),
)


def write_comparison_page(runs: Sequence[Run], folder: Path) -> Path:
    """Write the report of several runs into `folder`; returns the page.

    Raises `RecordError` if the folder could not be written to.
    """
    groups = group_runs(runs)
    styles = looks([(group.runs[0].arm, group.runs[0].config.run.backend) for group in groups])
    found = paired_differences(groups, accuracy)
    drifts = repeated(runs)
    context: dict[str, Any] = {
        "several": True,
        "title": f"{counted(len(runs), 'run')} side by side",
        "sentence": _sentence(groups),
        "warnings": _warnings(runs, groups),
        "scores": _scores(groups),
        "costs": _costs(groups),
        "differences": _differences(found, paired_differences(groups, f1)),
        "settings": _settings(groups),
        "shared": _shared(groups),
        "drifts": drifts,
        "rows": [_row(run, group, folder) for group in groups for run in group.runs],
    }
    drawings = _curves(groups, styles)
    for drift in drifts:
        drawings |= drift.drawings
    label = "test accuracy (%)"
    drawings["accuracy"] = Drawing(
        figures.dots(groups, styles, accuracy, label),
        "Test accuracy of every run, a row per group, with mean and standard deviation over seeds.",
    )
    if found:
        drawings["differences"] = Drawing(
            figures.differences(found, "paired difference in test accuracy (percentage points)"),
            "Mean paired difference in test accuracy of every two groups with 95 % intervals.",
        )
    sections = [Section("results", "Results")]
    sections += [Section("differences", "Paired differences")] if found else []
    sections += [Section("drift", "The same images again")] if drifts else []
    sections += [Section("curves", "Training")] if any(run.epochs for run in runs) else []
    sections += [Section("cost", "Cost"), Section("settings", "Settings"), Section("runs", "Runs")]
    return write_page("comparison.html", folder, drawings, {**context, "sections": sections})


def _sentence(groups: Sequence[Group]) -> str:
    """What is compared."""
    seeds = sorted({run.seed for group in groups for run in group.runs})
    keys = differing_settings([group.settings for group in groups])
    what = f"{counted(len(groups), 'group')} of runs over {counted(len(seeds), 'seed')}"
    if keys:
        return f"{what}. The groups differ in {', '.join(keys)}; inside a group only the seed does."
    return f"{what}, alike in all settings but the seed."


def _warnings(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    """What limits the comparison."""
    used = [run for group in groups for run in group.runs]
    found = []
    if len(used) < len(runs):
        found.append(
            f"{counted(len(runs) - len(used), 'run')} left out: of runs alike in everything, "
            "the seed too, only the one started last counts."
        )
    unfinished = [run.folder.name for run in used if run.state.status != "finished"]
    if unfinished:
        found.append(f"Not finished: {', '.join(unfinished)}. Their numbers are those so far.")
    if len({repr(run.state.computer) for run in used}) > 1:
        found.append("The runs were made on different computers: their times do not compare.")
    if len({repr(run.versions) for run in used}) > 1:
        found.append("The runs were made with different versions of the software.")
    if len({run.headline.n_images for run in used if run.headline is not None}) > 1:
        found.append("The runs were evaluated on different numbers of images.")
    return found


def _scores(groups: Sequence[Group]) -> Table:
    """A row per group: mean and standard deviation over seeds."""
    columns = [Column("Group", False), Column("Seeds"), *_columns(SCORES)]
    rows = [[group.name, str(len(group.runs)), *_spreads(group, SCORES)] for group in groups]
    return Table(columns, rows)


def _costs(groups: Sequence[Group]) -> Table:
    """A row per group: parameters, times, memory."""
    columns = [Column("Group", False), Column("Parameters"), Column("Quantum"), *_columns(COSTS)]
    rows = []
    for group in groups:
        state = group.runs[0].state
        known = state.parameters > 0
        counts = [
            number(n if known else None, 0) for n in (state.parameters, state.quantum_parameters)
        ]
        rows.append([group.name, *counts, *_spreads(group, COSTS)])
    return Table(columns, rows)


def _columns(measures: Measures) -> list[Column]:
    """Mean and standard deviation each."""
    return [column for title, *_ in measures for column in (Column(title), Column("sd"))]


def _spreads(group: Group, measures: Measures) -> list[str]:
    """The group's entries in the columns of those measures."""
    found = [(group.spread(measure), factor, digits) for _, measure, factor, digits in measures]
    return [
        number(factor * value, digits)
        for spread, factor, digits in found
        for value in (spread.mean, spread.deviation)
    ]


def _differences(accuracies: Sequence[PairedDifference], f1s: Sequence[PairedDifference]) -> Table:
    """A row per pair of groups."""
    columns = [Column("First", False), Column("Second", False), Column("Seeds")]
    columns += [Column("Test accuracy (points)"), Column("95 % interval")]
    columns += [Column("Test macro F1 (points)"), Column("95 % interval")]
    rows = []
    for one, other in zip(accuracies, f1s, strict=True):
        row = [one.first, one.second, str(one.n_seeds)]
        for each in (one, other):
            row.append(signed(100 * each.mean))
            row.append(f"{signed(100 * each.low)} to {signed(100 * each.high)}")
        rows.append(row)
    return Table(columns, rows)


def _curves(groups: Sequence[Group], styles: Sequence[Look]) -> dict[str, Drawing]:
    """Metrics over epochs, a band per group."""
    if not any(run.epochs for group in groups for run in group.runs):
        return {}
    return {
        f"{part}-{metric}": Drawing(
            figures.bands(groups, styles, part, metric),
            f"Line plot of {part} {metric} per epoch, mean and standard deviation per group.",
        )
        for part, metric in CURVES
    }


def _settings(groups: Sequence[Group]) -> Table | None:
    """What sets the groups apart, None for a single one."""
    keys = differing_settings([group.settings for group in groups])
    if not keys:
        return None
    columns = [Column("Group", False), *(Column(key, False) for key in keys)]
    return Table(
        columns,
        [[group.name, *(str(group.settings.get(k, ABSENT)) for k in keys)] for group in groups],
    )


def _shared(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Settings that all groups have in common."""
    differing = differing_settings([group.settings for group in groups])
    return [(k, str(v)) for k, v in groups[0].settings.items() if k not in differing]


def _row(run: Run, group: Group, folder: Path) -> dict[str, Any]:
    """One run, with the way to its own report where there is one."""
    page = run.folder / "report.html"
    link = Path(os.path.relpath(page, folder)).as_posix() if page.exists() else None
    return {
        "name": run.folder.name,
        "link": link,
        "values": [
            group.name,
            str(run.seed),
            number(100 * accuracy(run), 2),
            number(100 * f1(run), 2),
            number(100 * validation_accuracy(run), 2),
            str(len(run.epochs)),
            described_status(run),
        ],
    }
