"""The tables of the ablations in a text file: nothing in them is cut, however long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.table import Table

from experiments.commands.ablate import STUDIES
from experiments.config.recipe import load_config
from experiments.report.comparison.groups import PairedDifference, Spread
from experiments.studies.arms import ArmSetting, ArmStudy
from experiments.studies.frame import Results, Study
from experiments.studies.noise.study import NoiseStudy
from experiments.studies.noise.summary import NoiseScores
from experiments.studies.qpc.axes import QpcSetting
from experiments.studies.qpc.study import QpcStudy
from experiments.studies.table import scores_table
from experiments.studies.trained import TrainedScores
from models import ARMS, POINTWISE_ARMS
from qbackend.devices.snapshots import list_snapshots
from qbackend.validation.telling import table_text

WIDE = Spread(1.0, 0.5, 12)
DIFFERENCE = PairedDifference("a", "b", 12, -1.0, -1.0, 1.0)
LONG = Spread(12_345.678, 0.0, 12)


def table(study: Study[Any, Any], recipe: str, scores: Sequence[Any]) -> Table:
    return scores_table(study, Results(load_config(recipe), {}, scores))


def trained(setting: Any) -> TrainedScores[Any]:
    return TrainedScores(setting, 10**9, 10**9, WIDE, WIDE, WIDE, LONG, WIDE, DIFFERENCE)


def of_arms() -> tuple[Table, set[str]]:
    scores = [trained(ArmSetting(arm)) for arm in (*ARMS, "classical")]
    whole = {*ARMS, "1,000,000,000", "100.00 ± 50.00", "-100.00 (-100.00 to +100.00)", "12345.68"}
    return table(ArmStudy(), "mnist", scores), whole


def of_noise() -> tuple[Table, set[str]]:
    study, longest = NoiseStudy(), max(list_snapshots(), key=len)
    centre, *_ = study.settings(full=True)
    setting = replace(
        centre, device=longest, part="relaxation", shots=10**7, training="noise-aware"
    )
    scores = NoiseScores(setting, WIDE, (0.0, 1.0), -1.0, (-1.0, 1.0), 1.2345, 12_345)
    whole = {longest, "relaxation", "10,000,000", "noise-aware", "-100.00 (-100.00 to 100.00)"}
    return table(study, "mnist", [scores]), whole


def of_pointwise() -> tuple[Table, set[str]]:
    settings = [QpcSetting(arm, 128, "label_smoothing", "adamw") for arm in POINTWISE_ARMS]
    whole = {*POINTWISE_ARMS, "label_smoothing", "1,000,000,000", "-100.00 (-100.00 to +100.00)"}
    return table(QpcStudy(), "qpc-cifar10", [trained(setting) for setting in settings]), whole


@pytest.mark.parametrize("make", [of_arms, of_noise, of_pointwise])
def test_names_and_numbers_are_whole(make) -> None:
    table, whole = make()
    text = table_text(table)
    assert "…" not in text
    lines = text.splitlines()
    for each in whole:
        assert any(each in line for line in lines), each
    assert all(str(heading.header) in text for heading in table.columns)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_every_axis_has_a_column(study: Study[Any, Any]) -> None:
    names = [str(column.header) for column in table(study, "digits", []).columns]
    assert names[: len(study.axes)] == [axis.name for axis in study.axes]
    assert names[len(study.axes) :] == [column.heading for column in study.columns]
