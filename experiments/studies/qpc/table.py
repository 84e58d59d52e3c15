"""The ablation of pointwise convolutions as tables: a row per run, and per setting over seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...config.sections import Config
from ...records.files import csv_content, write_atomically
from ...records.folder import Record
from ...report.comparison.groups import PairedDifference, Spread, difference_by_seed, spread
from ...report.reading import Run
from ...run.results import table_text
from .axes import REFERENCE, Setting

HEADINGS = ("arm", "depth", "loss", "optimiser")
MEASURES = (
    "parameters",
    "quantum",
    "validation",
    "test, best",
    "test, last",
    f"best minus {REFERENCE}",
    "s/epoch",
    "CPU s/epoch",
)


@dataclass(frozen=True)
class SettingScores:
    """One setting over its seeds; accuracies are shares.

    Attributes:
        setting: the model and its training.
        parameters: of the network.
        quantum_parameters: of its circuits.
        validation: accuracy of the best epoch.
        test: accuracy of the best validation epoch's weights.
        last: test accuracy of the last epoch's weights.
        seconds: per epoch of training, each run's median.
        cpu_seconds: of all threads, in the same way.
        difference: of `test` to the reference's under the same loss and optimiser, paired by
            seed; None for the reference, without one, and for fewer than two seeds.
    """

    setting: Setting
    parameters: int
    quantum_parameters: int
    validation: Spread
    test: Spread
    last: Spread
    seconds: Spread
    cpu_seconds: Spread
    difference: PairedDifference | None


def outcome_of(run: Run) -> Record:
    """A finished run's numbers."""
    tested = {
        record.checkpoint: record.accuracy for record in run.evaluations if record.split == "test"
    }
    best = run.best_epoch
    assert best is not None
    assert run.headline is not None
    return {
        "n_images": run.headline.n_images,
        "parameters": run.state.parameters,
        "quantum_parameters": run.state.quantum_parameters,
        "epochs": len(run.epochs),
        "best_epoch": best.epoch,
        "validation": best.validation.accuracy,
        "test_best": tested["best"],
        "test_last": tested["last"],
        "seconds": run.median(lambda epoch: epoch.seconds),
        "cpu_seconds": run.median(lambda epoch: epoch.cpu_seconds),
        "peak_memory_mib": run.peak_memory_mib,
    }


def row(setting: Setting, seed: int, outcome: Record) -> Record:
    """A cell's row of the tidy table."""
    return {**asdict(setting), "seed": seed, **outcome}


def summarise(outcomes: Mapping[tuple[Setting, int], Record]) -> list[SettingScores]:
    """The settings in the order of first appearance."""
    groups: dict[Setting, dict[int, Record]] = {}
    for (setting, seed), outcome in outcomes.items():
        groups.setdefault(setting, {})[seed] = outcome
    return [_scores(setting, groups) for setting in groups]


def write_tables(
    folder: Path, rows: Sequence[Record], scores: Sequence[SettingScores], config: Config
) -> None:
    """Write `qpc.csv`, `qpc.json` and `qpc.txt`; raises `RecordError`."""
    write_atomically(folder / "qpc.csv", csv_content(rows))
    content = {
        "recipe": config.recipe,
        "notes": config.notes(),
        "cells": rows,
        "settings": [_finite(asdict(each)) for each in scores],
    }
    written = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(folder / "qpc.json", written.encode())
    write_atomically(folder / "qpc.txt", table_text(scores_table(scores, config)).encode())


def scores_table(scores: Sequence[SettingScores], config: Config) -> Table:
    """The settings for a person to read."""
    title = (
        f"{config.recipe}, {config.train.epochs} epochs: accuracy in %, mean ± standard deviation "
        f"over {scores[0].test.n} seeds; difference paired by seed, 95 % interval"
    )
    table = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True)
    for heading in MEASURES:
        table.add_column(heading, justify="right", no_wrap=True)
    for each in scores:
        table.add_row(*described(each.setting), *measured(each))
    return table


def described(setting: Setting) -> list[str]:
    """A setting's axes, in words."""
    depth = "" if setting.depth is None else str(setting.depth)
    return [setting.arm, depth, setting.loss, setting.optimiser]


def measured(scores: SettingScores) -> list[str]:
    """A setting's numbers, in words."""
    found = scores.difference
    return [
        f"{scores.parameters:,}",
        f"{scores.quantum_parameters:,}",
        *(_percent(each) for each in (scores.validation, scores.test, scores.last)),
        "" if found is None else _points(found),
        f"{scores.seconds.mean:.1f}",
        f"{scores.cpu_seconds.mean:.1f}",
    ]


def _scores(setting: Setting, groups: Mapping[Setting, Mapping[int, Record]]) -> SettingScores:
    found = groups[setting]
    other = {} if setting.arm == REFERENCE else groups.get(setting.reference, {})
    one = next(iter(found.values()))
    return SettingScores(
        setting=setting,
        parameters=one["parameters"],
        quantum_parameters=one["quantum_parameters"],
        validation=spread(each["validation"] for each in found.values()),
        test=spread(each["test_best"] for each in found.values()),
        last=spread(each["test_last"] for each in found.values()),
        seconds=spread(each["seconds"] for each in found.values()),
        cpu_seconds=spread(each["cpu_seconds"] for each in found.values()),
        difference=difference_by_seed(
            str(setting),
            str(setting.reference),
            {seed: each["test_best"] for seed, each in found.items()},
            {seed: each["test_best"] for seed, each in other.items()},
            1 / one.get("n_images", math.inf),
        ),
    )


def _percent(found: Spread) -> str:
    deviation = "" if math.isnan(found.deviation) else f" ± {100 * found.deviation:.2f}"
    return f"{100 * found.mean:.2f}{deviation}"


def _points(found: PairedDifference) -> str:
    low, high = (f"{100 * edge:+.2f}" for edge in (found.low, found.high))
    return f"{100 * found.mean:+.2f} ({low} to {high})"


def _finite(values: Any) -> Any:
    """The values with null for what a single seed leaves undefined."""
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    return None if isinstance(values, float) and math.isnan(values) else values
