"""A calibration that leaves outputs further off than they were is named."""

from __future__ import annotations

import pytest

from experiments.records.comparisons import Agreement, ValidationRecord
from experiments.report.facts import harm_words


def validation(**rmse: float) -> ValidationRecord:
    pairs = tuple(
        Agreement(
            stages=("ideal", stage),  # type: ignore[arg-type]
            same=9,
            share=0.9,
            interval=(0.6, 1.0),
            output_rmse=value,
            each_rmse=(value,),
            logit_rmse=1.0,
        )
        for stage, value in rmse.items()
    )
    return ValidationRecord(
        machine="fake_fez", n_images=10, changed=1, agreement=pairs, charges=None
    )


def test_a_calibration_that_harms_says_so() -> None:
    words = harm_words(validation(machine=0.077, corrected=0.127))
    assert "outputs are 0.1270 from those without noise (RMSE), and were 0.0770" in words
    assert "--calibrate N" in words


@pytest.mark.parametrize("rmse", [{"machine": 0.08}, {"machine": 0.08, "corrected": 0.05}])
def test_one_that_helps_or_is_not_there_says_nothing(rmse: dict[str, float]) -> None:
    assert harm_words(validation(**rmse)) == ""
