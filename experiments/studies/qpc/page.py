"""The page of an ablation of pointwise convolutions: what circuits add, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...config.sections import Config
from ...report.render import Column, Drawing, Section, Table, write_page
from ...report.studies import qpc_figures as figures
from ...report.studies.qpc_figures import Point
from ...report.words import counted
from .axes import REFERENCE
from .table import HEADINGS, MEASURES, SettingScores, described, measured


def write_qpc_page(
    scores: Sequence[SettingScores], config: Config, command: str, folder: Path
) -> Path:
    """Write the report of an ablation into `folder`; returns the page.

    Args:
        scores: the settings'.
        config: the recipe.
        command: that was typed.
        folder: of the ablation.

    Raises:
        RecordError: the folder could not be written to.
    """
    drawings = _drawings(scores)
    sections = [
        Section("results", "Results"),
        Section("pictures", "Accuracy and cost"),
        Section("repeat", "Repeat it"),
    ]
    columns = [Column(name.capitalize(), False) for name in HEADINGS]
    columns += [Column(name[0].upper() + name[1:]) for name in MEASURES]
    context: dict[str, Any] = {
        "several": True,
        "title": f"{config.recipe}: circuits and controls",
        "sentence": (
            f"The model {config.model.name} with its 1x1 convolutions exchanged, trained on "
            f"{config.data.name} for {counted(config.train.epochs, 'epoch')} in "
            f"{counted(len(scores), 'setting')}, over {counted(scores[0].test.n, 'seed')}."
        ),
        "scores": Table(columns, [[*described(s.setting), *measured(s)] for s in scores]),
        "reference": REFERENCE,
        "command": command,
        "notes": config.notes(),
        "sections": sections,
    }
    return write_page("qpc.html", folder, drawings, context)


def _drawings(scores: Sequence[SettingScores]) -> dict[str, Drawing]:
    """Everything in one picture by accuracy; arms and depths of the first loss and optimiser by
    what they cost."""
    first = scores[0].setting
    alike = [
        each
        for each in scores
        if (each.setting.loss, each.setting.optimiser) == (first.loss, first.optimiser)
    ]
    trainings = {(each.setting.loss, each.setting.optimiser) for each in scores}
    drawings = {
        "accuracy": Drawing(
            figures.accuracies([_point(each, training=len(trainings) > 1) for each in scores]),
            "Test accuracy of every setting, with its standard deviation over the seeds.",
        )
    }
    points = [_point(each) for each in alike]
    for what, label in (
        ("parameters", "parameters of the network"),
        ("seconds", "CPU seconds per epoch"),
    ):
        drawings[what] = Drawing(
            figures.over_number(points, what, label), f"Test accuracy over {label}."
        )
    by_depth = {
        each.setting.depth: _point(each)
        for each in alike
        if each.setting.arm == "quantum" and each.setting.depth is not None
    }
    if len(by_depth) > 1:
        lines = [point for point in points if point.arm in (REFERENCE, "quantum-frozen")]
        drawings["depth"] = Drawing(
            figures.depths(by_depth, lines), "Test accuracy over the depth of the circuits."
        )
    return drawings


def _point(scores: SettingScores, *, training: bool = False) -> Point:
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
