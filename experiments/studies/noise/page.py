"""The page of a noise ablation: which noise costs how much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...config.sections import Config
from ...report.render import Column, Drawing, Section, Table, write_page
from ...report.studies import noise_figures as figures
from ...report.words import counted, percent
from .axes import ALL, Setting
from .table import SettingScores, described, measured

NAMED, MEASURED = (
    ("Device", "Part", "Strength", "Shots", "Preparation", "Training"),
    ("Two-qubit gates", "Accuracy", "Points lost, 95 % interval", "RMSE"),
)


def write_noise_page(
    scores: Sequence[SettingScores], config: Config, command: str, folder: Path
) -> Path:
    """Write the report of an ablation into `folder`; returns the page.

    Args:
        scores: the settings', that without noise first.
        config: the recipe.
        command: that was typed.
        folder: of the ablation.

    Raises:
        RecordError: the folder could not be written to.
    """
    ideal, noisy = scores[0], scores[1:]
    drawings = _drawings(ideal, [(each.setting, each) for each in noisy if each.setting])
    sections = [Section("results", "Results")]
    if any(name.startswith("map") for name in drawings):
        sections.append(Section("maps", "What costs most"))
    if any(name.startswith("curve") for name in drawings):
        sections.append(Section("curves", "How it grows"))
    sections.append(Section("repeat", "Repeat it"))
    seeds = counted(ideal.accuracy.n, "seed")
    columns = [Column(name, False) for name in NAMED] + [Column(name) for name in MEASURED]
    context: dict[str, Any] = {
        "several": True,
        "title": f"{config.recipe} under noise",
        "sentence": (
            f"The model {config.model.name}, trained on {config.data.name} over {seeds}, answers "
            f"{percent(ideal.accuracy.mean)} of the test images rightly without noise. Here is "
            f"what is left of that under {counted(len(noisy), 'setting')} of devices' noise."
        ),
        "scores": Table(columns, [[*described(s.setting), *measured(s)] for s in scores]),
        "command": command,
        "notes": config.notes(),
        "sections": sections,
    }
    return write_page("noise.html", folder, drawings, context)


def _drawings(
    ideal: SettingScores, found: Sequence[tuple[Setting, SettingScores]]
) -> dict[str, Drawing]:
    """What the settings allow to be drawn: whatever varies, with all else as it is most often."""
    common = {
        axis: _commonest([getattr(setting, axis) for setting, _ in found])
        for axis in ("device", "part", "strength", "shots", "preparation", "training")
    }
    if any(setting.part == ALL for setting, _ in found):
        common["part"] = ALL

    def plane(*free: str) -> list[tuple[Setting, SettingScores]]:
        return [
            (setting, each)
            for setting, each in found
            if all(getattr(setting, a) == v for a, v in common.items() if a not in free)
        ]

    drawings = {}
    for axis, words in (("device", "device"), ("part", "part of the noise")):
        cells = plane(axis, "strength")
        if len({getattr(setting, axis) for setting, _ in cells}) > 1:
            drawings[f"map-{axis}"] = _map(cells, axis, words)
    for axis, words in (("part", "part of the noise"), ("device", "device")):
        cells = plane(axis, "strength")
        if len({setting.strength for setting, _ in cells}) > 1:
            drawings[f"curve-{axis}"] = _curve(cells, axis, words, ideal)
    cells = [(s, each) for s, each in plane("shots") if s.shots is not None]
    if len(cells) > 1:
        points = {float(s.shots or 0): (each.accuracy.mean, *each.interval) for s, each in cells}
        drawing = figures.lines(
            {"under noise": points}, ideal.accuracy.mean, "shots", logarithmic=True
        )
        drawings["curve-shots"] = Drawing(drawing, "Test accuracy over the number of shots.")
    return drawings


def _map(cells: Sequence[tuple[Setting, SettingScores]], axis: str, words: str) -> Drawing:
    rows = list(dict.fromkeys(str(getattr(setting, axis)) for setting, _ in cells))
    columns = sorted({setting.strength for setting, _ in cells})
    lost = np.full((len(rows), len(columns)), np.nan)
    for setting, each in cells:
        place = rows.index(str(getattr(setting, axis))), columns.index(setting.strength)
        lost[place] = 100 * each.lost
    drawing = figures.heat_map(lost, rows, [f"{value:g}" for value in columns], "strength")
    return Drawing(drawing, f"Points of accuracy lost, by {words} and by strength.")


def _curve(
    cells: Sequence[tuple[Setting, SettingScores]], axis: str, words: str, ideal: SettingScores
) -> Drawing:
    series: dict[str, dict[float, tuple[float, float, float]]] = {}
    for setting, each in cells:
        point = each.accuracy.mean, *each.interval
        series.setdefault(str(getattr(setting, axis)), {})[setting.strength] = point
    drawing = figures.lines(series, ideal.accuracy.mean, "strength of the noise")
    return Drawing(drawing, f"Test accuracy over the strength of the noise, a line per {words}.")


def _commonest(values: Sequence[Any]) -> Any:
    return max(dict.fromkeys(values), key=values.count)
