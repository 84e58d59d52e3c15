"""The noise ablation's outcomes as tables: a row per cell, and a row per setting over the seeds."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scipy import stats

from .config import Config
from .files import csv_content, write_atomically
from .noise_axes import EXACT, Setting
from .record import Record
from .report.comparison import CONFIDENCE, Spread, spread
from .results import percent

TABLE_WIDTH = 150
NONE = "none"
"""Device, part and encoder of the rows without noise."""


@dataclass(frozen=True)
class SettingScores:
    """One setting over its seeds; accuracies are shares of the evaluation images.

    Attributes:
        setting: the noise, None for the models as they are without any.
        accuracy: over the seeds.
        interval: of the accuracy, 95 %: Wilson's over the images for a single seed, otherwise
            Student's t for the mean over the seeds.
        lost: accuracy lost to the ideally trained model without noise, mean over the seeds.
        lost_interval: of `lost`, in the same way: Wald's for paired proportions, or Student's t.
        rmse: of the expectation values, over images, outputs and seeds.
        two_qubit_gates: of the compiled layer.
    """

    setting: Setting | None
    accuracy: Spread
    interval: tuple[float, float]
    lost: float
    lost_interval: tuple[float, float]
    rmse: float
    two_qubit_gates: int


def row(setting: Setting | None, seed: int, outcome: Record) -> Record:
    """A cell's row of the tidy table."""
    names = [axis.name for axis in fields(Setting)]
    named = asdict(setting) if setting else dict.fromkeys(names, NONE)
    if setting is None:
        named |= {"strength": 0.0, "shots": None, "training": "ideal"}
    return {**named, "shots": named["shots"] or EXACT, "seed": seed, **outcome}


def summarise(outcomes: Iterable[tuple[Setting | None, Record]]) -> list[SettingScores]:
    """The settings in the order of first appearance."""
    groups: dict[Setting | None, list[Record]] = {}
    for setting, outcome in outcomes:
        groups.setdefault(setting, []).append(outcome)
    return [_scores(setting, found) for setting, found in groups.items()]


def write_tables(
    folder: Path, rows: Sequence[Record], scores: Sequence[SettingScores], config: Config
) -> None:
    """Write `noise.csv`, `noise.json` and `noise.txt`; raises `RecordError`."""
    write_atomically(folder / "noise.csv", csv_content(rows))
    content = {
        "recipe": config.recipe,
        "protocol": config.protocol,
        "notes": config.notes(),
        "cells": rows,
        "settings": [asdict(each) for each in scores],
    }
    write_atomically(folder / "noise.json", _finite(content).encode())
    drawn = io.StringIO()
    Console(file=drawn, width=TABLE_WIDTH).print(scores_table(scores, config))
    write_atomically(folder / "noise.txt", drawn.getvalue().encode())


def scores_table(scores: Sequence[SettingScores], config: Config) -> Table:
    """The settings for a person to read."""
    table = Table(title=f"{config.recipe}, {config.protocol}, {scores[0].accuracy.n} seeds")
    for heading in ("device", "part", "strength", "shots", "encoder", "training"):
        table.add_column(heading)
    for heading in ("2q gates", "accuracy", "points lost, 95 % interval", "RMSE"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in scores:
        table.add_row(*described(each.setting), *measured(each))
    return table


def described(setting: Setting | None) -> list[str]:
    """A setting's axes, in words."""
    if setting is None:
        return [NONE, NONE, "0", EXACT, NONE, "ideal"]
    shots = EXACT if setting.shots is None else f"{setting.shots:,}"
    named = setting.device, setting.part, f"{setting.strength:g}", shots
    return [*named, setting.encoder, setting.training]


def measured(scores: SettingScores) -> list[str]:
    """A setting's numbers, in words."""
    accuracy = percent(scores.accuracy.mean)
    if scores.accuracy.n > 1:
        accuracy += f" ± {100 * scores.accuracy.deviation:.2f}"
    low, high = (f"{100 * edge + 0.0:.2f}" for edge in scores.lost_interval)
    return [
        str(scores.two_qubit_gates),
        accuracy,
        f"{100 * scores.lost + 0.0:.2f} ({low} to {high})",
        f"{scores.rmse:.4f}",
    ]


def _scores(setting: Setting | None, found: Sequence[Record]) -> SettingScores:
    accuracy, lost = (spread(each[key] for each in found) for key in ("accuracy", "lost"))
    first = found[0]
    return SettingScores(
        setting=setting,
        accuracy=accuracy,
        interval=_interval(accuracy, (first["accuracy_low"], first["accuracy_high"])),
        lost=lost.mean,
        lost_interval=_interval(lost, (first["lost_low"], first["lost_high"])),
        rmse=math.sqrt(spread(each["rmse"] ** 2 for each in found).mean),
        two_qubit_gates=first["two_qubit_gates"],
    )


def _interval(found: Spread, of_one_seed: tuple[float, float]) -> tuple[float, float]:
    if found.n == 1:
        return of_one_seed
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, found.n - 1))
    reach = quantile * found.deviation / math.sqrt(found.n)
    return found.mean - reach, found.mean + reach


def _finite(content: Record) -> str:
    """JSON, in which a deviation over a single seed is null."""
    for each in content["settings"]:
        if math.isnan(each["accuracy"]["deviation"]):
            each["accuracy"]["deviation"] = None
    return json.dumps(content, indent=1, allow_nan=False)
