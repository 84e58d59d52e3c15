"""What a machine's answers are worth beside the simulated ones, image by image.

Letters: N images, K classes, M outputs of the quantum layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbackend.seam.uncertainty import share_interval

STAGES = ("ideal", "noise", "machine", "corrected")
"""Without noise; under the machine's simulated noise; on the machine; the machine's outputs
corrected by a map that was fitted on training images."""


@dataclass(frozen=True)
class Answer:
    """One stage's answers.

    Attributes:
        logits: (N, K).
        outputs: (N, M), None for a model without one quantum layer between two networks.
    """

    logits: NDArray[np.floating]
    outputs: NDArray[np.floating] | None

    @property
    def predictions(self) -> NDArray[np.integer]:
        """The classes with the largest logits, (N,)."""
        return self.logits.argmax(axis=1)


@dataclass(frozen=True)
class Agreement:
    """Two stages on the same images.

    Attributes:
        stages: which two.
        same: images that both give the same class.
        n_images: of all.
        interval: 95 % confidence interval of the share (Wilson's score interval).
        output_rmse: root-mean-square difference of the outputs, None where there are none.
        each_rmse: the same of each output, (M,).
        logit_rmse: root-mean-square difference of the logits.
    """

    stages: tuple[str, str]
    same: int
    n_images: int
    interval: tuple[float, float]
    output_rmse: float | None
    each_rmse: tuple[float, ...]
    logit_rmse: float

    @property
    def share(self) -> float:
        """Of the images with the same class."""
        return self.same / self.n_images

    def to_dict(self) -> dict[str, Any]:
        """As the run's record has it."""
        return {
            "stages": list(self.stages),
            "same": self.same,
            "share": self.share,
            "interval": list(self.interval),
            "output_rmse": self.output_rmse,
            "each_rmse": list(self.each_rmse),
            "logit_rmse": self.logit_rmse,
        }


def agreements(answers: dict[str, Answer]) -> list[Agreement]:
    """Every two of the stages that there are, in the order of `STAGES`."""
    found = [stage for stage in STAGES if stage in answers]
    return [compare(pair, answers[pair[0]], answers[pair[1]]) for pair in combinations(found, 2)]


def compare(stages: tuple[str, str], one: Answer, other: Answer) -> Agreement:
    """Two stages' answers to the same images."""
    same, n_images = int((one.predictions == other.predictions).sum()), len(one.logits)
    each: tuple[float, ...] = ()
    if one.outputs is not None and other.outputs is not None:
        squares = (one.outputs.astype(np.float64) - other.outputs) ** 2
        each = tuple(np.sqrt(squares.mean(axis=0)).tolist())
    differences = one.logits.astype(np.float64) - other.logits
    return Agreement(
        stages=stages,
        same=same,
        n_images=n_images,
        interval=share_interval(same, n_images),
        output_rmse=float(np.sqrt(np.mean(np.square(each)))) if each else None,
        each_rmse=each,
        logit_rmse=float(np.sqrt(np.mean(differences**2))),
    )
