"""What a run's device answered, read back from its folder.

Letters: N images, M outputs of the quantum layer, K classes.
"""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qbackend.errors import RunFolderError

from ..records.folder import RunFolder

Values = NDArray[np.floating]

Measured = dict[str, dict[tuple[str, ...], tuple[float, float]]]
"""Values and their standard errors by convolution, then by image, pixel, kernel and output."""


@dataclass(frozen=True)
class Answers:
    """What a run's device answered, image by image.

    Attributes:
        indices: of the images in the test split, (N,).
        labels: (N,).
        classes: names, (K,).
        logits: (N, K).
        outputs: (N, M), None for a model without one layer between two networks.
        errors: of each output by the shots, (M,); empty where that is not known.
        error: the same of all outputs together; None where nothing was sampled.
    """

    indices: NDArray[np.integer]
    labels: NDArray[np.integer]
    classes: NDArray[np.str_]
    logits: Values
    outputs: Values | None
    errors: tuple[float, ...]
    error: float | None

    @property
    def predictions(self) -> NDArray[np.integer]:
        """The classes with the largest logits, (N,)."""
        return self.logits.argmax(axis=1)

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Whether that is the label, (N,)."""
        return self.predictions == self.labels


def check_answers(folder: RunFolder) -> None:
    """Raise `RunFolderError` unless another run could be set beside this one."""
    if folder.row_record is not None:
        measured_rows(folder)
    else:
        answers_of(folder)


def answers_of(folder: RunFolder) -> Answers:
    """What a run's device answered; raises `RunFolderError` where nothing is on record."""
    records = folder.evaluations()
    if folder.validation_record is not None:
        path, prefix = folder.validation, "machine_"
        record = next(each for each in records if each.stage == "machine")
    elif records:
        path, prefix, record = folder.evaluation, "", records[-1]
    else:
        raise RunFolderError(f"{folder.path} has not evaluated anything")
    try:
        with np.load(path, allow_pickle=False) as file:
            return Answers(
                indices=file["indices"],
                labels=file["labels"],
                classes=file["classes"],
                logits=file[f"{prefix}logits"],
                outputs=file.get(f"{prefix}outputs"),
                errors=record.output_errors,
                error=None if record.calibration else record.shot_error,
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from None


def measured_rows(folder: RunFolder) -> Measured:
    """The rows of feature maps of a run; raises `RunFolderError` where there are none."""
    found: Measured = {}
    try:
        with open(folder.row_table, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                place = tuple(line[key] for key in ("image", "pixel", "kernel", "output"))
                values = float(line["measured"]), float(line["stderr"])
                found.setdefault(line["layer"], {})[place] = values
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder.row_table} cannot be read: {error}") from None
    return found


def drawn(places: NDArray[np.integer], count: int, seed: int) -> NDArray[np.integer]:
    """At most that many of the places, by the seed, in the order in which they are drawn."""
    return np.random.default_rng(seed).permutation(places)[:count]
