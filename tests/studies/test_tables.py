"""The tables of the ablations in a text file: nothing in them is cut, however long."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from rich.table import Table

from experiments.config.recipe import load_config
from experiments.report.comparison.groups import PairedDifference, Spread
from experiments.run.results import table_text
from experiments.studies import arms as ablate
from experiments.studies.noise import table as noise_table
from experiments.studies.noise.axes import Axes as NoiseAxes
from experiments.studies.qpc import table as qpc_table
from experiments.studies.qpc.axes import Setting
from models import ARMS, POINTWISE_ARMS
from qbackend.devices.snapshots import list_snapshots

WIDE = Spread(1.0, 0.5, 12)
DIFFERENCE = PairedDifference("a", "b", 12, -1.0, -1.0, 1.0)


def of_arms() -> tuple[Table, set[str]]:
    scores = [
        ablate.ArmScores(arm, 10**9, WIDE, WIDE, WIDE, Spread(12_345.678, 0.0, 12), DIFFERENCE)
        for arm in (*ARMS, "classical")
    ]
    whole = {*ARMS, "1,000,000,000", "100.00 ± 50.00", "-100.00 (-100.00 to +100.00)", "12345.68"}
    return ablate.scores_table(scores, load_config("mnist")), whole


def of_noise() -> tuple[Table, set[str]]:
    longest = max(list_snapshots(), key=len)
    setting = replace(
        NoiseAxes().centre, device=longest, part="relaxation", shots=10**7, training="noise-aware"
    )
    scores = noise_table.SettingScores(setting, WIDE, (0.0, 1.0), -1.0, (-1.0, 1.0), 1.2345, 12_345)
    whole = {longest, "relaxation", "10,000,000", "noise-aware", "-100.00 (-100.00 to 100.00)"}
    return noise_table.scores_table([scores], load_config("mnist")), whole


def of_pointwise() -> tuple[Table, set[str]]:
    scores = [
        qpc_table.SettingScores(
            Setting(arm, 128, "label_smoothing", "adamw"),
            10**9,
            10**9,
            WIDE,
            WIDE,
            WIDE,
            Spread(12_345.678, 0.0, 3),
            WIDE,
            DIFFERENCE,
        )
        for arm in POINTWISE_ARMS
    ]
    whole = {*POINTWISE_ARMS, "label_smoothing", "1,000,000,000", "-100.00 (-100.00 to +100.00)"}
    return qpc_table.scores_table(scores, load_config("qpc-cifar10")), whole


@pytest.mark.parametrize("make", [of_arms, of_noise, of_pointwise])
def test_names_and_numbers_are_whole(make) -> None:
    table, whole = make()
    text = table_text(table)
    assert "…" not in text
    lines = text.splitlines()
    for each in whole:
        assert any(each in line for line in lines), each
    assert all(str(heading.header) in text for heading in table.columns)


def test_every_axis_of_the_noise_has_a_column() -> None:
    table, _ = of_noise()
    names = [str(column.header) for column in table.columns]
    assert names[: len(fields(NoiseAxes))] == [axis.name for axis in fields(NoiseAxes)]
