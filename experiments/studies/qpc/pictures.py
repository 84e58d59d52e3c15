"""The pictures of what circuits add to pointwise convolutions, and of what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...report.render import Drawing
from ...report.studies import qpc_figures as figures
from ...report.studies.qpc_figures import Point
from ..trained import TrainedScores
from .axes import REFERENCE, QpcSetting


def drawings(scores: Sequence[TrainedScores[QpcSetting]]) -> dict[str, Drawing]:
    """Everything in one picture by accuracy; arms and depths of the first loss and optimiser by
    what they cost."""
    trainings = [(each.setting.loss, each.setting.optimiser) for each in scores]
    alike = [each for each, one in zip(scores, trainings, strict=True) if one == trainings[0]]
    several = len(set(trainings)) > 1
    found = {
        "accuracy": Drawing(
            figures.accuracies([_point(each, training=several) for each in scores]),
            "Test accuracy of every setting, with its standard deviation over the seeds.",
        )
    }
    points = [_point(each) for each in alike]
    for what, label in (
        ("parameters", "parameters of the network"),
        ("seconds", "CPU seconds per epoch"),
    ):
        found[what] = Drawing(
            figures.over_number(points, what, label), f"Test accuracy over {label}."
        )
    by_depth = {
        each.setting.depth: _point(each)
        for each in alike
        if each.setting.arm == "quantum" and each.setting.depth is not None
    }
    if len(by_depth) > 1:
        lines = [point for point in points if point.arm in (REFERENCE, "quantum-frozen")]
        found["depth"] = Drawing(
            figures.depths(by_depth, lines), "Test accuracy over the depth of the circuits."
        )
    return found


def _point(scores: TrainedScores[QpcSetting], *, training: bool = False) -> Point:
    setting = scores.setting
    words = [] if setting.depth is None else [f"L={setting.depth}"]
    if training:
        words += [setting.loss, setting.optimiser]
    deviation = scores.test.deviation
    return Point(
        setting.arm,
        " ".join(words),
        scores.test.mean,
        0.0 if math.isnan(deviation) else deviation,
        scores.parameters,
        scores.cpu_seconds.mean,
    )
