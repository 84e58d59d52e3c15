"""Cosines and sines of many numbers at once, compiled: the processor's vectors compute them.

The C library's functions take one number at a time. After reduction to at most pi/4 the polynomials
are those of the Cephes library (S. L. Moshier, https://www.netlib.org/cephes/), right to a unit in
the last place or two of float64.
"""

from __future__ import annotations

import math

import numpy as np

from .cache import helper
from .lanes import FloatArray

LARGEST = 1e6
"""Up to here the reduction in three parts leaves the precision whole."""

_TWO_OVER_PI = 2 / math.pi
_PART_1, _PART_2, _PART_3 = (
    1.57079625129699707031,
    7.54978941586159635335e-8,
    5.3903028581581190529e-15,
)


@helper
def sincos(angles: FloatArray, cosines: FloatArray, sines: FloatArray) -> None:
    """Fill `cosines` and `sines` (n,) of `angles` (n,) in float64; radians."""
    largest = 0.0
    for index in range(len(angles)):
        largest = max(largest, abs(angles[index]))
    if not largest <= LARGEST:
        for index in range(len(angles)):
            cosines[index], sines[index] = math.cos(angles[index]), math.sin(angles[index])
        return
    for index in range(len(angles)):
        angle = angles[index]
        # NumPy's floor, which stays a number of the vector's kind where Python's is an integer.
        turns = np.floor(angle * _TWO_OVER_PI + 0.5)
        rest = ((angle - turns * _PART_1) - turns * _PART_2) - turns * _PART_3
        square = rest * rest
        sine = 1.58962301576546568060e-10 * square - 2.50507477628578072866e-8
        sine = sine * square + 2.75573136213857245213e-6
        sine = sine * square - 1.98412698295895385996e-4
        sine = sine * square + 8.33333333332211858878e-3
        sine = sine * square - 1.66666666666666307295e-1
        sine = rest + rest * square * sine
        cosine = -1.13585365213876817300e-11 * square + 2.08757008419747316778e-9
        cosine = cosine * square - 2.75573141792967388112e-7
        cosine = cosine * square + 2.48015872888517045348e-5
        cosine = cosine * square - 1.38888888888730564116e-3
        cosine = cosine * square + 4.16666666666665929218e-2
        cosine = 1.0 - 0.5 * square + square * square * cosine
        # Which quarter, as numbers 0 or 1, so that no branch stands in the loop.
        half = turns * 0.5
        odd = 2 * (half - np.floor(half))
        quarter = np.floor(half) * 0.5
        low = 1 - 4 * (quarter - np.floor(quarter))
        cosines[index] = low * (cosine * (1 - odd) - sine * odd)
        sines[index] = low * (sine * (1 - odd) + cosine * odd)
