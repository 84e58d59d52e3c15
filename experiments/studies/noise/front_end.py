"""What leaves a trained model's front end: it sees every image once, and that is kept.

Letters: N images, F features, M outputs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbackend.layers.inputs import Array
from qbackend.validation.records.files import write_atomically

from ...assembly.backends import ideal_backend
from ...assembly.construct import trained_model
from ...assembly.fabric import launch
from ...assembly.feed import correction_split, evaluation_split, limit_note, load_images
from ...data.batches import BatchSource
from ...data.splits import Split
from ...evaluation.correct import observe
from ...records.folder import RunFolder
from ..frame import Cell


@dataclass(frozen=True)
class FrontEnd:
    """What leaves a trained model's front end.

    Attributes:
        labels: (N,).
        features: (N, F) of the evaluation images.
        outputs: (N, M) of the quantum layer without noise.
        calibration_features: of training images.
        calibration_outputs: of the same.
    """

    labels: NDArray[np.integer]
    features: Array
    outputs: Array
    calibration_features: Array
    calibration_outputs: Array

    def save(self, file: Path) -> None:
        """Write it; raises `RecordError`."""
        content = io.BytesIO()
        np.savez(content, **vars(self))
        write_atomically(file, content.getvalue())

    @classmethod
    def load(cls, file: Path) -> FrontEnd:
        """What was written."""
        with np.load(file, allow_pickle=False) as content:
            return cls(**dict(content))


def observe_front_end(
    cell: Cell[Any], limit: int | None, n_calibration: int, say: Callable[[str], None]
) -> FrontEnd:
    """Of a cell's trained model, shown its test images and those that a calibration is fitted on.

    `say` is told of numbers of images that the data does not have.

    Raises:
        CheckpointError: the model's checkpoint is damaged.
    """
    run = RunFolder.open(cell.folder)
    config = run.config()
    device = launch(config.fabric).device
    data = load_images(config, cell.place.data_root, device)
    for note in (
        *limit_note("--limit", limit, data.test, "test"),
        *limit_note("--calibrate", n_calibration, data.train, "training"),
    ):
        say(f"note: {note}")
    model, info = trained_model(run.checkpoint, backend=ideal_backend(), seed=0)
    model.to(device)

    def passed(split: Split) -> tuple[Array, Array]:
        source = BatchSource(
            split, config.train.batch_size, device=device, mean=info.mean, std=info.std
        )
        seen = observe(model, source.epoch())[0]
        return seen.features.double().cpu().numpy(), seen.outputs.double().cpu().numpy()

    evaluated = evaluation_split(data.test, limit, config.run.seed)
    features, outputs = passed(evaluated)
    fitted = passed(correction_split(data.train, n_calibration, config.run.seed))
    return FrontEnd(evaluated.labels.cpu().numpy(), features, outputs, *fitted)
