"""How well the model answers: results, curves, confusions, classes, examples."""

from __future__ import annotations

import numpy as np

from ...records.lines import EvaluationRecord
from ...records.scores import ClassScores
from ..numbers import ABSENT, duration, number, percent
from ..pictures.over_epochs import learning_rate_curve, metric_curve, seconds_curve
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from ..words import described_backend
from . import figures

SHOWN_SAMPLES = 16
"""Images of each kind, wrong and correct."""

SHOWN_CONFUSIONS = 10


def results(run: Run) -> Part | None:
    """All evaluations, a row each."""
    if not run.evaluations:
        return None
    quantum = run.is_quantum
    has_jobs = run.validation is None and any(record.jobs for record in run.evaluations)
    has_charges = run.validation is None and any(record.qpu_seconds for record in run.evaluations)
    columns = [Column("Evaluated", False)] + ([Column("Backend", False)] if quantum else [])
    columns += [Column("Images"), Column("Loss"), Column("Accuracy (%)"), Column("95 % interval")]
    columns += [Column("Precision (%)"), Column("Recall (%)"), Column("F1 (%)")]
    own = list(run.evaluations[0].metrics or {})
    columns += [*(Column(name) for name in own), Column("Time (s)")]
    columns += [Column("Jobs")] if has_jobs else []
    columns += [Column("QPU (s)")] if has_charges else []
    rows = []
    for record in run.evaluations:
        low, high = record.accuracy_interval
        corrected = "" if record.calibration is None else ", calibrated"
        row = [f"{record.split}, {_model_words(record.checkpoint)}{corrected}"]
        row += [described_backend(record)] if quantum else []
        row += [number(record.n_images, 0), number(record.loss)]
        row += [number(100 * record.accuracy, 2), f"{100 * low:.2f} to {100 * high:.2f}"]
        row += _points(record)
        row += [number((record.metrics or {}).get(name)) for name in own]
        row.append(number(record.seconds, 2))
        row += [number(record.jobs, 0)] if has_jobs else []
        row += [number(record.qpu_seconds, 1)] if has_charges else []
        rows.append(row)
    return Part({"evaluations": Table(columns, rows)})


def _points(scores: EvaluationRecord | ClassScores) -> list[str]:
    """Precision, recall and F1 in per cent."""
    return [number(100 * each, 2) for each in (scores.precision, scores.recall, scores.f1)]


def _model_words(checkpoint: str) -> str:
    """Which of a run's models, or whose, was evaluated."""
    return {"best": "best epoch", "last": "last epoch"}.get(checkpoint, "given")


def curves(run: Run) -> Part | None:
    """Loss, accuracy, F1, learning rate and time over epochs, and the same as a table."""
    if not run.epochs:
        return None
    drawings = {
        metric: Drawing(metric_curve(run.epochs, metric), _curve_words(run, metric))
        for metric in ("loss", "accuracy", "f1")
    }
    first, last = run.epochs[0], run.epochs[-1]
    drawings["learning-rate"] = Drawing(
        learning_rate_curve(run.epochs),
        f"Line plot of the learning rate per epoch: {first.lr:.3g} in epoch {first.epoch} and "
        f"{last.lr:.3g} in epoch {last.epoch}.",
    )
    median = duration(run.median(lambda epoch: epoch.seconds))
    drawings["seconds"] = Drawing(
        seconds_curve(run.epochs),
        f"Line plot of the time per epoch, of training and validation: training took {median}, "
        "median.",
    )
    smoothing = run.config.train.label_smoothing
    note = (
        "Training values are means over the epoch while the weights move, with dropout and the "
        "recipe's augmentation; validation values are those of the weights at the epoch's end. "
    )
    if smoothing:
        note += f"The loss is the cross-entropy with label smoothing {smoothing:g}. "
    note += f"The best model is that of epoch {run.best_epoch.epoch}." if run.best_epoch else ""
    return Part({"curves_note": note, "epoch_table": _epoch_table(run)}, drawings)


def _epoch_table(run: Run) -> Table:
    titles = ["Epoch", "Learning rate", "Training loss", "Accuracy (%)", "Validation loss"]
    titles += ["Accuracy (%)", "Macro F1 (%)", "Training (s)", "Validation (s)"]
    rows = [
        [
            str(epoch.epoch),
            f"{epoch.lr:.3g}",
            number(epoch.train.loss),
            number(100 * epoch.train.accuracy, 2),
            number(epoch.validation.loss),
            number(100 * epoch.validation.accuracy, 2),
            number(100 * epoch.validation.f1, 2),
            number(epoch.seconds, 3),
            number(epoch.validation_seconds, 3),
        ]
        for epoch in run.epochs
    ]
    return Table([Column(title) for title in titles], rows)


def _curve_words(run: Run, metric: str) -> str:
    """A curve in words."""
    shown = number if metric == "loss" else percent
    first, last = (
        f"{shown(epoch.value('validation', metric))} after epoch {epoch.epoch}"
        for epoch in (run.epochs[0], run.epochs[-1])
    )
    return f"Line plot of {metric} per epoch: in validation {first} and {last}."


def confusion(run: Run) -> Part | None:
    """The headline evaluation's confusion matrix, and its most frequent mistakes."""
    found = run.headline
    if found is None:
        return None
    names, matrix = found.classes, np.array(found.confusion)
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:SHOWN_CONFUSIONS]
    rows = []
    for true, predicted in zip(*np.unravel_index(order, matrix.shape), strict=True):
        count = int(mistakes[true, predicted])
        if count:
            share = number(100 * count / matrix[true].sum(), 1)
            rows.append([names[true], names[predicted], number(count, 0), share])
    columns = [Column("True class", False), Column("Predicted class", False)]
    columns += [Column("Images"), Column("Share (%)")]
    words = (
        f"Confusion matrix of {len(names)} classes: "
        f"{int(np.trace(matrix)):,} of {int(matrix.sum()):,} images on the diagonal."
    )
    drawing = Drawing(figures.confusion(matrix, names), words)
    return Part({"confused": Table(columns, rows)}, {"confusion": drawing})


def classes(run: Run) -> Part | None:
    """Precision, recall and F1 of every class."""
    found = run.headline
    if found is None:
        return None
    numbered = len(found.per_class) > figures.MANY_CLASSES
    columns = ([Column("Number")] if numbered else []) + [Column("Class", False), Column("Images")]
    columns += [Column("Precision (%)"), Column("Recall (%)"), Column("F1 (%)")]
    rows = [
        ([str(index)] if numbered else [])
        + [scores.name, number(scores.support, 0)]
        + (_points(scores) if scores.support else [ABSENT] * 3)
        for index, scores in enumerate(found.per_class)
    ]
    return Part({"per_class": Table(columns, rows)})


def predictions(run: Run) -> Part | None:
    """Images with wrong and with correct answers."""
    answers = run.answers()
    if answers is None or answers.samples is None or run.headline is None:
        return None
    names = run.headline.classes
    predicted, probabilities = answers.predictions()
    is_right = predicted == answers.labels
    drawings = {}
    for kind, wanted in (("wrong", ~is_right), ("correct", is_right)):
        shown = np.flatnonzero(wanted[answers.sample_places])[:SHOWN_SAMPLES]
        if not len(shown):
            continue
        captions = [
            (names[answers.labels[place]], names[predicted[place]], float(probabilities[place]))
            for place in answers.sample_places[shown]
        ]
        heading = f"{kind.capitalize()}: {wanted.sum():,} of {len(wanted):,}"
        images = np.moveaxis(answers.samples[shown], 1, -1)
        drawings[f"predictions-{kind}"] = Drawing(
            figures.predictions(images, captions, heading),
            f"{heading} images, of which {len(shown)} are shown: "
            + ", ".join(
                true if true == answer else f"{true} taken for {answer}"
                for true, answer, _ in captions
            ),
        )
    how = f"drawn by the run's seed, {run.seed}"
    if not answers.are_drawn:
        how = "the first in the order of the split"
    note = f"The images of each kind are {how}, not chosen by hand."
    return Part({"predictions_note": note}, drawings) if drawings else None
