"""What a variant's answers are worth, and whether that is more than chance.

Images are what is independent: an image's outputs come from the same shots, and its errors in two
variants are compared with each other.

Letters: N images, M outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qbackend.layers.inputs import Array
from qbackend.seam.uncertainty import Interval, mean_interval

from ..records.comparisons import Verdict

ANY_NUMBER = (-math.inf, math.inf)


@dataclass(frozen=True)
class Gain:
    """By how much less a variant's outputs are off than those without mitigation.

    Attributes:
        squared: mean over images and outputs of the squared error that is gone, negative for one
            that was added.
        interval: of it, 95 %, Student's t over the images.
    """

    squared: float
    interval: Interval

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is more than shots and the choice of images explain."""
        low, high = self.interval
        return "helps" if low > 0 else "harms" if high < 0 else "unclear"


def gain(exact: Array, raw: Array, mitigated: Array) -> Gain:
    """Of values (N, M), image by image; N at least 2."""
    gone = ((raw - exact) ** 2 - (mitigated - exact) ** 2).mean(axis=1)
    return Gain(float(gone.mean()), mean_interval(gone.tolist(), ANY_NUMBER))


def device_error(exact: Array, values: Array, stderr: Array) -> Gain:
    """The mean squared error of values (N, M) that their shots do not explain, with its interval.

    By chance it may come out negative.
    """
    beyond = ((values - exact) ** 2 - stderr**2).mean(axis=1)
    return Gain(float(beyond.mean()), mean_interval(beyond.tolist(), ANY_NUMBER))
