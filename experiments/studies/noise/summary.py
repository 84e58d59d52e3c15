"""What the noise ablation says of a setting over its seeds."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from qbackend.seam.uncertainty import Interval, mean_interval

from ...records.folder import Record
from ...report.comparison.groups import Spread, spread
from .axes import NO_NOISE, NoiseSetting


@dataclass(frozen=True)
class NoiseScores:
    """One setting over its seeds; accuracies are shares of the evaluation images.

    Attributes:
        setting: the noise.
        accuracy: over the seeds.
        interval: of the accuracy, 95 %: Wilson's over the images for a single seed, otherwise
            Student's t for the mean over the seeds.
        lost: accuracy lost to the ideally trained model without noise, mean over the seeds.
        lost_interval: of `lost`, in the same way: Newcombe's for paired proportions, or
            Student's t; None for the model that the others are compared with.
        rmse: of the expectation values, over images, outputs and seeds.
        two_qubit_gates: of the compiled layer.
    """

    setting: NoiseSetting
    accuracy: Spread
    interval: Interval
    lost: float
    lost_interval: Interval | None
    rmse: float
    two_qubit_gates: int

    @classmethod
    def over(cls, setting: NoiseSetting, found: Collection[Record]) -> NoiseScores:
        """Of the outcomes of a setting's seeds."""
        return cls(
            setting=setting,
            accuracy=spread(each["accuracy"] for each in found),
            interval=_interval(found, "accuracy", (0.0, 1.0)),
            lost=spread(each["lost"] for each in found).mean,
            lost_interval=None if setting == NO_NOISE else _interval(found, "lost", (-1.0, 1.0)),
            rmse=math.sqrt(spread(each["rmse"] ** 2 for each in found).mean),
            two_qubit_gates=next(iter(found))["two_qubit_gates"],
        )


def _interval(found: Collection[Record], key: str, bounds: Interval) -> Interval:
    """Over the images of a single seed, over the seeds of several."""
    first = next(iter(found))
    if len(found) == 1:
        return first[f"{key}_low"], first[f"{key}_high"]
    return mean_interval([each[key] for each in found], bounds, 1 / first["n_images"])
