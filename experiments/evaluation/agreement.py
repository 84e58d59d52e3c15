"""What a machine's answers are worth beside the simulated ones, image by image.

Letters: N images, K classes, M outputs of the quantum layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from qbackend.seam.uncertainty import share_interval

from ..records.comparisons import Agreement
from ..records.lines import STAGES, Stage


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


def agreements(answers: dict[Stage, Answer]) -> list[Agreement]:
    """Every two of the stages that there are, in the order of `STAGES`."""
    found = [stage for stage in STAGES if stage in answers]
    return [compare(pair, answers[pair[0]], answers[pair[1]]) for pair in combinations(found, 2)]


def compare(stages: tuple[Stage, Stage], one: Answer, other: Answer) -> Agreement:
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
        share=same / n_images,
        interval=share_interval(same, n_images),
        output_rmse=float(np.sqrt(np.mean(np.square(each)))) if each else None,
        each_rmse=each,
        logit_rmse=float(np.sqrt(np.mean(differences**2))),
    )
