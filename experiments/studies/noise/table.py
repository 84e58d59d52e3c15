"""The noise ablation's outcomes as tables: a row per cell, and a row per setting over the seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.table import Table

from qbackend.seam.uncertainty import Interval, mean_interval

from ...config.sections import Config
from ...records.facts import percent
from ...records.files import csv_content, write_atomically
from ...records.folder import Record
from ...report.comparison.groups import Spread, spread
from ...run.results import table_text
from .axes import EXACT, Setting

NONE = "none"
"""Device, part and preparation of the rows without noise."""


@dataclass(frozen=True)
class SettingScores:
    """One setting over its seeds; accuracies are shares of the evaluation images.

    Attributes:
        setting: the noise, None for the models as they are without any.
        accuracy: over the seeds.
        interval: of the accuracy, 95 %: Wilson's over the images for a single seed, otherwise
            Student's t for the mean over the seeds.
        lost: accuracy lost to the ideally trained model without noise, mean over the seeds.
        lost_interval: of `lost`, in the same way: Newcombe's for paired proportions, or
            Student's t; None for the model that the others are compared with.
        rmse: of the expectation values, over images, outputs and seeds.
        two_qubit_gates: of the compiled layer.
    """

    setting: Setting | None
    accuracy: Spread
    interval: Interval
    lost: float
    lost_interval: Interval | None
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
    write_atomically(folder / "noise.txt", table_text(scores_table(scores, config)).encode())


def scores_table(scores: Sequence[SettingScores], config: Config) -> Table:
    """The settings for a person to read."""
    table = Table(title=f"{config.recipe}, {config.protocol}, {scores[0].accuracy.n} seeds")
    for heading in ("device", "part", "strength", "shots", "preparation", "training"):
        table.add_column(heading, no_wrap=True)
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
    return [*named, setting.preparation, setting.training]


def measured(scores: SettingScores) -> list[str]:
    """A setting's numbers, in words."""
    accuracy = percent(scores.accuracy.mean)
    if scores.accuracy.n > 1:
        accuracy += f" ± {100 * scores.accuracy.deviation:.2f}"
    lost = ""
    if scores.lost_interval is not None:
        low, high = (f"{100 * edge + 0.0:.2f}" for edge in scores.lost_interval)
        lost = f"{100 * scores.lost + 0.0:.2f} ({low} to {high})"
    return [str(scores.two_qubit_gates), accuracy, lost, f"{scores.rmse:.4f}"]


def _scores(setting: Setting | None, found: Sequence[Record]) -> SettingScores:
    first = found[0]
    return SettingScores(
        setting=setting,
        accuracy=spread(each["accuracy"] for each in found),
        interval=_interval(found, "accuracy", (0.0, 1.0)),
        lost=spread(each["lost"] for each in found).mean,
        lost_interval=None if setting is None else _interval(found, "lost", (-1.0, 1.0)),
        rmse=math.sqrt(spread(each["rmse"] ** 2 for each in found).mean),
        two_qubit_gates=first["two_qubit_gates"],
    )


def _interval(found: Sequence[Record], key: str, bounds: Interval) -> Interval:
    """Over the images of a single seed, over the seeds of several."""
    first = found[0]
    if len(found) == 1:
        return first[f"{key}_low"], first[f"{key}_high"]
    return mean_interval([each[key] for each in found], bounds, 1 / first["n_images"])


def _finite(content: Record) -> str:
    """JSON, in which a deviation over a single seed is null."""
    for each in content["settings"]:
        if math.isnan(each["accuracy"]["deviation"]):
            each["accuracy"]["deviation"] = None
    return json.dumps(content, indent=1, allow_nan=False)
