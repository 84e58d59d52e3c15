"""What the answers to several models are worth, by themselves and beside each other.

Letters: N images, M outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbackend.layers.inputs import Array
from qbackend.seam.uncertainty import paired_share_interval, share_interval

from ..evaluation.evaluate import Predictions
from ..evaluation.meter import NO_COPY
from ..records.folder import Record
from ..records.joint import Corrected, Difference, MemberRecord
from ..rows.errors import row_errors
from .asking import Answers
from .members import Member


@dataclass(frozen=True)
class Judged:
    """One model's answers.

    Attributes:
        ideal: without noise.
        exact: outputs of its layer then, (N, M); None for an arm without a quantum layer.
        predictions: with the device's outputs.
        corrected: with those that the map corrects; None without one.
        answers: the outputs; None where nothing was executed.
    """

    ideal: Predictions
    exact: Array | None = None
    predictions: Predictions | None = None
    corrected: Predictions | None = None
    answers: Answers | None = None

    @property
    def best(self) -> Predictions:
        """What the model is judged by beside others."""
        return self.corrected or self.predictions or self.ideal


def differences(names: Sequence[str], judged: Sequence[Judged]) -> Iterator[Difference]:
    """Of every two models on the same images, the later minus the earlier one."""
    for (one, first), (other, second) in combinations(zip(names, judged, strict=True), 2):
        before, after = _right(first.best), _right(second.best)
        both, neither = int((after & before).sum()), int((~after & ~before).sum())
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        yield Difference(
            one=one,
            other=other,
            ideal=float(_right(second.ideal).mean() - _right(first.ideal).mean()),
            difference=float(after.mean() - before.mean()),
            interval=paired_share_interval(both, gained, lost, neither),
            gained=gained,
            lost=lost,
        )


def member_record(member: Member, judged: Judged, **more: Any) -> MemberRecord:
    """What a model's answers are worth; `more` is on what was asked for them."""
    answers, exact = judged.answers, judged.exact
    if answers is not None and exact is not None:
        errors = row_errors(exact, answers.values, answers.stderr)
        more |= {
            "rmse": errors.rmse,
            "rmse_error": errors.rmse_error,
            "shot_error": errors.shot_error,
        }
        if answers.corrected is not None and judged.corrected is not None:
            errors = row_errors(exact, *answers.corrected)
            more["corrected"] = Corrected(
                rmse=errors.rmse, rmse_error=errors.rmse_error, **_accuracy(judged.corrected)
            )
    info = member.info
    return MemberRecord(
        name=member.name,
        checkpoint=member.checkpoint,
        recipe=info.recipe,
        arm=info.arm,
        seed=info.seed,
        ideal_accuracy=float(_right(judged.ideal).mean()),
        **_accuracy(judged.predictions or judged.ideal),
        **more,
    )


def table_rows(
    members: Sequence[Member], judged: Sequence[Judged], indices: Sequence[int]
) -> Iterator[Record]:
    """The csv: one row per model and image, with as many columns for every model."""
    width = max(0 if each.exact is None else each.exact.shape[1] for each in judged)
    is_corrected = any(each.corrected for each in judged)
    for member, each in zip(members, judged, strict=True):
        names, labels = member.data.classes, each.ideal.labels.tolist()
        ideal, chosen, best = (
            found.logits.argmax(dim=1).tolist()
            for found in (each.ideal, each.predictions or each.ideal, each.best)
        )
        answers = each.answers
        outputs = {
            "exact": each.exact,
            "output": None if answers is None else answers.values,
            "stderr": None if answers is None else answers.stderr,
        }
        if is_corrected:
            by_map = None if answers is None else answers.corrected
            outputs["corrected"] = None if by_map is None else by_map[0]
        for place, label in enumerate(labels):
            row: Record = {
                "model": member.name,
                "image": indices[place],
                "copy": "" if answers is None else _number(answers.copies[place]),
                "label": names[label],
                "without_noise": names[ideal[place]],
                "prediction": names[chosen[place]],
                "right": int(chosen[place] == label),
            }
            if is_corrected:
                row["corrected_prediction"] = names[best[place]]
            for kind, numbers in outputs.items():
                for output in range(width):
                    number = "" if numbers is None else f"{numbers[place, output]:.6g}"
                    row[f"{kind}_{output}"] = number
            yield row


def _right(predictions: Predictions) -> NDArray[np.bool_]:
    """Which images get their class, (N,)."""
    return (predictions.logits.argmax(dim=1) == predictions.labels).cpu().numpy()


def _accuracy(predictions: Predictions) -> dict[str, Any]:
    right = _right(predictions)
    interval = share_interval(int(right.sum()), len(right))
    return {"accuracy": float(right.mean()), "accuracy_interval": interval}


def _number(copy: int) -> str:
    """Of a copy, nothing where there is none."""
    return "" if copy == NO_COPY else str(copy)
