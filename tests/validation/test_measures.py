"""What a model is judged by, from its targets; scores against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, mean_absolute_error, r2_score, root_mean_squared_error
from torchmetrics.regression import MeanSquaredError

from qbackend.errors import InputError, OptionError
from qbackend.seam.uncertainty import share_interval
from qbackend.validation.measures import Score, measure_of

DRAW = torch.Generator().manual_seed(0)
LOGITS, CLASSES = torch.randn(40, 3, generator=DRAW), torch.arange(40) % 3
NUMBERS = torch.randn(40, 2, generator=DRAW, dtype=torch.float64)
NEAR = NUMBERS + 0.1 * torch.randn(40, 2, generator=DRAW, dtype=torch.float64)
LABELS = (NUMBERS > 0.3).long()
ROUNDING = 1e-6
"""Torchmetrics divides in float32."""


def scores(outputs: torch.Tensor, targets: torch.Tensor, **given: Any) -> dict[str, Score]:
    task, metrics = given.get("task"), given.get("metrics")
    return measure_of(task, metrics, outputs, targets).scores(outputs, targets)


def test_whole_targets_are_classes() -> None:
    found, said = scores(LOGITS, CLASSES), LOGITS.argmax(dim=1)
    right = int((said == CLASSES).sum())
    assert found["accuracy"].value == right / 40
    assert found["accuracy"].interval == share_interval(right, 40)
    expected = f1_score(CLASSES, said, average="macro")
    assert found["F1"].value == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("columns", [1, 2])
def test_numbers_are_a_regression(columns: int) -> None:
    outputs, targets = NEAR[:, :columns], NUMBERS[:, :columns]
    found = scores(outputs, targets.squeeze(1))
    assert list(found) == ["RMSE", "MAE", "R²"]
    mean = np.sqrt(np.mean((outputs - targets).numpy() ** 2))
    assert found["RMSE"].value == pytest.approx(mean, abs=ROUNDING)
    if columns == 1:
        expected = root_mean_squared_error(targets, outputs)
        assert found["RMSE"].value == pytest.approx(expected, abs=ROUNDING)
    assert found["MAE"].value == pytest.approx(mean_absolute_error(targets, outputs), abs=ROUNDING)
    assert found["R²"].value == pytest.approx(r2_score(targets, outputs), abs=ROUNDING)
    low, high = found["RMSE"].interval or (0.0, 0.0)
    assert low < mean < high


@pytest.mark.parametrize("targets", [LABELS, LABELS.bool()], ids=["whole", "bool"])
def test_several_labels_that_are_no_numbers_are_found(targets: torch.Tensor) -> None:
    found = scores(NEAR, targets)
    each = f1_score(LABELS, NEAR > 0, average=None)
    assert [found[f"F1 of label {k}"].value for k in (0, 1)] == pytest.approx(each, abs=ROUNDING)
    assert found["F1"].value == pytest.approx(np.mean(each), abs=ROUNDING)
    right = int(((NEAR > 0).long() == LABELS).all(dim=1).sum())
    assert found["all labels right"].value == right / 40


def test_probabilities_of_labels_are_cut_at_a_half() -> None:
    as_logits, as_shares = scores(NEAR, LABELS), scores(torch.sigmoid(NEAR), LABELS)
    assert as_logits == as_shares


def test_what_may_be_read_in_two_ways_is_asked_for() -> None:
    targets = LABELS.double()
    with pytest.raises(OptionError, match="task='classification'"):
        scores(NEAR, targets)
    assert "F1" in scores(NEAR, targets, task="multi-label")
    assert "MAE" in scores(NEAR, targets, task="regression")


@pytest.mark.parametrize(
    ("outputs", "targets", "task", "words"),
    [
        (LOGITS, CLASSES, "clasification", "did you mean 'classification'"),
        (LOGITS, CLASSES + 1, "classification", "classes 0 to 2"),
        (LOGITS, CLASSES.double(), "classification", "whole targets"),
        (LOGITS, NUMBERS, "regression", "outputs' shape"),
        (LOGITS[:, 0], CLASSES, None, "do not say"),
        (LOGITS, CLASSES, "own", "give metrics"),
    ],
)
def test_what_does_not_fit_is_refused(
    outputs: torch.Tensor, targets: torch.Tensor, task: str | None, words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        scores(outputs, targets, task=task)


def test_own_metrics_stand_behind_the_usual_ones() -> None:
    def worst(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().max()

    metrics = {"worst": worst, "squared": MeanSquaredError()}
    found = scores(NEAR, NUMBERS, metrics=metrics)
    assert list(found) == ["RMSE", "MAE", "R²", "worst", "squared"]
    assert found["worst"].value == float((NEAR - NUMBERS).abs().max())
    # One that remembers is asked afresh each time.
    assert scores(NEAR, NUMBERS, metrics=metrics) == found


def test_own_metrics_alone_where_no_other_is_known() -> None:
    found = scores(LOGITS[:, 0], CLASSES, metrics={"mean": lambda outputs, _: outputs.mean()})
    assert list(found) == ["mean"]


@pytest.mark.parametrize("metrics", [{"a": 3}, {1: max}, [max]], ids=["number", "name", "list"])
def test_what_is_no_metric_is_refused(metrics: Any) -> None:
    with pytest.raises(OptionError, match="functions of outputs and targets"):
        scores(LOGITS, CLASSES, metrics=metrics)


def test_a_metric_gives_a_number() -> None:
    with pytest.raises(OptionError, match="the metric 'all' gives"):
        scores(LOGITS, CLASSES, metrics={"all": lambda outputs, _: outputs})


def test_a_metric_that_fails_is_named() -> None:
    def fails(outputs: Any, targets: Any) -> float:
        raise ValueError("only four")

    with pytest.raises(OptionError, match=r"the metric 'mine' fails on .*: ValueError$"):
        scores(LOGITS, CLASSES, metrics={"mine": fails})


def test_a_number_that_is_none_is_left_out() -> None:
    constant = torch.ones(4, 1)
    assert scores(constant, constant.clone(), task="regression")["RMSE"].value == 0
    found = scores(LOGITS, CLASSES, metrics={"none": lambda *_: float("nan")})
    assert found["none"].value is None


def test_a_metric_gets_copies() -> None:
    outputs, targets = LOGITS.clone(), CLASSES.clone()
    metrics = {
        "spoils": lambda outputs, targets: (outputs.zero_() + targets.zero_()[:, None]).sum(),
        "largest": lambda outputs, _: outputs.abs().max(),
    }
    found = scores(outputs, targets, metrics=metrics)
    assert torch.equal(outputs, LOGITS)
    assert torch.equal(targets, CLASSES)
    assert found["largest"].value == float(LOGITS.abs().max())


def test_what_is_no_number_is_not_scored() -> None:
    # torch takes NaN for the largest: it would be an answer, and may be the right one.
    spoilt = LOGITS.clone()
    spoilt[1] = torch.nan
    with pytest.raises(InputError, match=r"1 of \d+ outputs are not finite, the first of item 1"):
        scores(spoilt, CLASSES)
    holes = NUMBERS.clone()
    holes[0] = torch.inf
    with pytest.raises(InputError, match=r"1 of \d+ targets are not finite, the first of item 0"):
        scores(NEAR, holes)
    ruled_out = LOGITS.clone()
    ruled_out[:, -1] = -torch.inf
    assert scores(ruled_out, CLASSES)["accuracy"].value is not None
