"""The pictures of a noise ablation: what costs most, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...report.render import Drawing
from ...report.studies import noise_figures as figures
from .axes import ALL, AXES
from .summary import NoiseScores


def drawings(ideal: NoiseScores, noisy: Sequence[NoiseScores]) -> dict[str, Drawing]:
    """What the settings allow to be drawn: whatever varies, with all else as it is most often."""
    common = {
        axis.name: _commonest([getattr(each.setting, axis.name) for each in noisy]) for axis in AXES
    }
    if any(each.setting.part == ALL for each in noisy):
        common["part"] = ALL

    def plane(*free: str) -> list[NoiseScores]:
        return [
            each
            for each in noisy
            if all(getattr(each.setting, a) == v for a, v in common.items() if a not in free)
        ]

    found = {}
    for axis, words in (("device", "device"), ("part", "part of the noise")):
        cells = plane(axis, "strength")
        if len({getattr(each.setting, axis) for each in cells}) > 1:
            found[f"map-{axis}"] = _map(cells, axis, words)
    for axis, words in (("part", "part of the noise"), ("device", "device")):
        cells = plane(axis, "strength")
        if len({each.setting.strength for each in cells}) > 1:
            found[f"curve-{axis}"] = _curve(cells, axis, words, ideal)
    points = {
        float(each.setting.shots): (each.accuracy.mean, *each.interval)
        for each in plane("shots")
        if each.setting.shots is not None
    }
    if len(points) > 1:
        drawing = figures.lines(
            {"under noise": points}, ideal.accuracy.mean, "shots", logarithmic=True
        )
        found["curve-shots"] = Drawing(drawing, "Test accuracy over the number of shots.")
    return found


def _map(cells: Sequence[NoiseScores], axis: str, words: str) -> Drawing:
    rows = list(dict.fromkeys(str(getattr(each.setting, axis)) for each in cells))
    columns = sorted({each.setting.strength for each in cells})
    lost = np.full((len(rows), len(columns)), np.nan)
    for each in cells:
        row = rows.index(str(getattr(each.setting, axis)))
        lost[row, columns.index(each.setting.strength)] = 100 * each.lost
    drawing = figures.heat_map(lost, rows, [f"{value:g}" for value in columns], "strength")
    return Drawing(drawing, f"Points of accuracy lost, by {words} and by strength.")


def _curve(cells: Sequence[NoiseScores], axis: str, words: str, ideal: NoiseScores) -> Drawing:
    series: dict[str, dict[float, tuple[float, float, float]]] = {}
    for each in cells:
        line = series.setdefault(str(getattr(each.setting, axis)), {})
        line[each.setting.strength] = each.accuracy.mean, *each.interval
    drawing = figures.lines(series, ideal.accuracy.mean, "strength of the noise")
    return Drawing(drawing, f"Test accuracy over the strength of the noise, a line per {words}.")


def _commonest(values: Sequence[Any]) -> Any:
    return max(dict.fromkeys(values), key=values.count)
