"""How good a model's outputs are, by what its targets are.

Letters: N items, K classes or labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score
from torchmetrics.functional.classification import multiclass_f1_score, multilabel_f1_score

from ..errors import InputError, OptionError, QhcError, suggest
from ..seam.uncertainty import Interval, mean_interval, share_interval
from .records.recorded import Recorded

Task = Literal["classification", "regression", "multi-label", "own"]
"""What the targets are; of "own" only the user's metrics know what to make."""
TASKS: tuple[Task, ...] = get_args(Task)

Metric = Callable[[Tensor, Tensor], Any]
"""Of outputs (N, ...) and targets (N, ...), on the CPU: a number."""


class Score(Recorded):
    """A number of a stage.

    Attributes:
        value: None where there is none (a variance of zero, say).
        interval: 95 % confidence interval; None where none is known.
    """

    value: float | None
    interval: Interval | None = None


@dataclass(frozen=True)
class Measure:
    """What stages are judged by.

    Attributes:
        task: what the targets are.
        own: the user's metrics, by name.
        threshold: above which an output of a label says yes.
    """

    task: Task
    own: Mapping[str, Metric]
    threshold: float = 0.0

    def scores(self, outputs: Tensor, targets: Tensor) -> dict[str, Score]:
        """All scores of outputs (N, ...) by name, ours first.

        Raises `OptionError` for a metric of the user's that gives no number.
        """
        ours: dict[str, Score] = {}
        if self.task == "classification":
            ours = _of_classes(outputs, targets)
        elif self.task == "regression":
            ours = _of_numbers(outputs, targets)
        elif self.task == "multi-label":
            ours = _of_labels(outputs, targets, self.threshold)
        return ours | {name: _own(name, each, outputs, targets) for name, each in self.own.items()}

    def decided(self, outputs: Tensor) -> Tensor | None:
        """What is answered by outputs (N, ...): classes (N,) or labels (N, K); None of numbers."""
        if self.task == "classification":
            return outputs.argmax(dim=1)
        return outputs > self.threshold if self.task == "multi-label" else None

    def agreement(self, one: Tensor, other: Tensor) -> Score | None:
        """Share of the items that two stages answer alike; None of numbers."""
        decided = self.decided(one), self.decided(other)
        if decided[0] is None or decided[1] is None:
            return None
        same = (decided[0] == decided[1]).reshape(len(one), -1).all(dim=1)
        return _share(same)


def measure_of(
    task: str | None, metrics: Mapping[str, Metric] | None, outputs: Tensor, targets: Tensor
) -> Measure:
    """What the stages of a model with such outputs (N, ...) are judged by.

    Raises:
        OptionError: an unknown task, one that outputs and targets do not fit, metrics that are no
            functions, or targets that may be read in two ways.
        InputError: outputs or targets that are no numbers.
    """
    own = checked_metrics(metrics)
    if task is not None and task not in TASKS:
        raise OptionError(f"unknown task '{task}': {suggest(task, TASKS)}")
    found = _detected(outputs, targets, has_own=bool(own)) if task is None else task
    if found == "classification":
        _check_classes(outputs, targets)
    elif found in ("regression", "multi-label") and _alike(outputs, targets) is None:
        raise OptionError(
            f"{found} wants targets of the outputs' shape, {_shape(outputs)}, got {_shape(targets)}"
        )
    elif found == "own" and not own:
        raise OptionError("task 'own' is judged by your metrics alone: give metrics={name: f}")
    _check_numbers(found, outputs, targets)
    # Whoever ends with a sigmoid has probabilities, everybody else what goes into one.
    are_shares = found == "multi-label" and bool(((outputs >= 0) & (outputs <= 1)).all())
    return Measure(found, own, 0.5 if are_shares else 0.0)


def checked_metrics(metrics: Mapping[str, Metric] | None) -> dict[str, Metric]:
    """The user's metrics by name; raises `OptionError` for what is none."""
    if isinstance(metrics, Mapping | None):
        strange = [
            e for e in (metrics or {}).items() if not (isinstance(e[0], str) and callable(e[1]))
        ]
        if not strange:
            return dict(metrics or {})
        got = f"{strange[0][0]!r}: {strange[0][1]!r}"
    else:
        got = f"a {type(metrics).__name__}"
    raise OptionError(
        f"metrics are a dict of functions of outputs and targets by name, got {got}; for example "
        'metrics={"max_error": lambda outputs, targets: (outputs - targets).abs().max()}'
    )


def _detected(outputs: Tensor, targets: Tensor, *, has_own: bool) -> Task:
    """The task; raises `OptionError` where it cannot be told for certain."""
    is_whole = not (targets.is_floating_point() or targets.is_complex())
    binary = bool(((targets == 0) | (targets == 1)).all())
    if is_whole and targets.ndim == 1 and outputs.ndim == 2 and outputs.shape[1] > 1:
        return "classification"
    alike = _alike(outputs, targets) is not None
    if is_whole and targets.ndim == 2 and alike and binary and targets.shape[1] > 1:
        return "multi-label"
    is_ambiguous = binary and targets.ndim > 1 and targets.shape[-1] > 1
    if targets.is_floating_point() and alike and not is_ambiguous:
        return "regression"
    if has_own:
        return "own"
    raise OptionError(
        f"outputs {_shape(outputs)} and targets {_shape(targets)} ({targets.dtype}) do not say "
        "what is to be scored: add task='classification' (whole targets (N,), outputs (N, K)), "
        "'regression' (targets like outputs), 'multi-label' (targets of 0 and 1 like outputs), or "
        "metrics of your own"
    )


def _check_classes(outputs: Tensor, targets: Tensor) -> None:
    fits = outputs.ndim == 2 and outputs.shape[1] > 1 and targets.shape == outputs.shape[:1]
    if not fits or targets.is_floating_point():
        raise OptionError(
            f"classification wants outputs (N, K) and whole targets (N,), got {_shape(outputs)} "
            f"and {_shape(targets)} ({targets.dtype})"
        )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= outputs.shape[1]:
        raise OptionError(
            f"targets run from {low} to {high}, and the model has outputs for the "
            f"{outputs.shape[1]} classes 0 to {outputs.shape[1] - 1}"
        )


def _check_numbers(task: Task, outputs: Tensor, targets: Tensor) -> None:
    """Raise `InputError` for what would be scored as if it were a number."""
    if task == "own":
        return
    for name, each in (("output", outputs), ("target", targets)):
        # A class or a label may be ruled out by a logit of minus infinity.
        is_bad = ~each.isfinite() if task == "regression" else each.isnan()
        if bad := is_bad.reshape(len(each), -1).any(dim=1).nonzero().flatten().tolist():
            raise InputError(
                f"{len(bad)} of {len(each)} {name}s are not finite, the first of item {bad[0]}: "
                "leave such items out, or fill them in"
            )


def _of_classes(outputs: Tensor, targets: Tensor) -> dict[str, Score]:
    predicted = outputs.argmax(dim=1)
    f1 = multiclass_f1_score(
        predicted, targets.long(), outputs.shape[1], average="macro", validate_args=False
    )
    return {"accuracy": _share(predicted == targets), "F1": Score(value=_number(f1))}


def _of_labels(outputs: Tensor, targets: Tensor, threshold: float) -> dict[str, Score]:
    n_items = len(outputs)
    said, true = (outputs > threshold).reshape(n_items, -1), targets.reshape(n_items, -1) > 0.5
    each = multilabel_f1_score(
        said.int(), true.int(), said.shape[1], average="none", validate_args=False
    ).reshape(-1)
    labels = {f"F1 of label {label}": Score(value=_number(f1)) for label, f1 in enumerate(each)}
    return {
        "all labels right": _share((said == true).all(dim=1)),
        "F1": Score(value=_number(each.mean())),
        **labels,
    }


def _of_numbers(outputs: Tensor, targets: Tensor) -> dict[str, Score]:
    found = _alike(outputs, targets)
    assert found is not None
    given, true = found[0].double().flatten(1), found[1].double().flatten(1)
    squares, distances = ((given - true) ** 2).mean(dim=1), (given - true).abs().mean(dim=1)
    rmse, mae = math.sqrt(mean_squared_error(given, true)), mean_absolute_error(given, true)
    interval = _mean_interval(squares)
    roots = None if interval is None else (math.sqrt(interval[0]), math.sqrt(interval[1]))
    r2 = r2_score(given, true) if len(given) > 1 else torch.tensor(math.nan)
    return {
        "RMSE": Score(value=rmse, interval=roots),
        "MAE": Score(value=_number(mae), interval=_mean_interval(distances)),
        "R²": Score(value=_number(r2)),
    }


def _own(name: str, metric: Metric, outputs: Tensor, targets: Tensor) -> Score:
    # One of torchmetrics' keeps what it has seen.
    reset = getattr(metric, "reset", None)
    if callable(reset):
        reset()
    # What it does to them is done to copies: the run keeps what the model gave.
    try:
        found = metric(outputs.clone(), targets.clone())
    except QhcError:
        raise
    # Whatever the user's own lines raise; its words stand above ours, and go into no record.
    except Exception as error:
        raise OptionError(
            f"the metric '{name}' fails on outputs {_shape(outputs)} and targets "
            f"{_shape(targets)}: {type(error).__name__}"
        ) from error
    try:
        return Score(value=_number(found))
    except (TypeError, ValueError, RuntimeError):
        raise OptionError(
            f"the metric '{name}' gives {found!r}, and a metric gives one number"
        ) from None


def _alike(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor] | None:
    """Both in one shape with at least two dimensions; None where they differ in more than ones."""
    if len(outputs) != len(targets):
        return None
    one, other = outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1)
    squeezed = [[size for size in each.shape[1:] if size != 1] for each in (outputs, targets)]
    return (one, other) if squeezed[0] == squeezed[1] else None


def _share(right: Tensor) -> Score:
    count, total = int(right.sum()), len(right)
    return Score(value=count / total, interval=share_interval(count, total))


def _mean_interval(values: Tensor) -> Interval | None:
    """Student's, of numbers that are not below 0."""
    if len(values) < 2:
        return None
    return mean_interval(values.tolist(), (0.0, math.inf))


def _number(found: Any) -> float | None:
    number = float(found)
    return number if math.isfinite(number) else None


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
