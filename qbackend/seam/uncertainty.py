"""How far a number may be off: standard errors of sampled values, and intervals that cover.

None of them is zero because everything that was seen agrees. 100 shots that agree leave room for
an expectation value of 0.98 as well as for 1; 100 images that two models both get right leave room
for one image in a hundred on which they differ.

Letters: N rows, M observables, D outcomes, R randomisations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from qiskit.quantum_info import SparsePauliOp

Array = NDArray[np.float64]
Interval = tuple[float, float]

CONFIDENCE = 0.95
"""Of every interval."""


def standard_error(variance: ArrayLike, shots: int, reach: ArrayLike = 1.0) -> Array:
    """Standard error of the mean of `shots` outcomes, never zero unless all outcomes are equal.

    It is the root-mean-square distance of the mean from the expectation value, given what was
    counted, where every expectation value is as likely as any other beforehand. So it is right on
    average: over expectation values spread evenly from -1 to 1, the mean square of deviations in
    its units is exactly one. At any single one of them, 1.96 of it cover with a probability of at
    least 0.92 from 100 shots on. For v of ±1 counts it is

        sqrt(((n - 6)(1 - v^2) + 8) / ((n + 2)(n + 3)))

    from the moments of a Beta(k + 1, n - k + 1) distribution; with n large and k small, that is two
    counts added to k, as Agresti and Coull do (The American Statistician 52, 119 (1998)).

    Args:
        variance: of one outcome, in the sample (the mean square minus the squared mean).
        shots: n.
        reach: half the distance from an outcome's least to its largest possible value.
    """
    spread = (shots - 6) * np.asarray(variance) + 8 * np.square(reach)
    return np.sqrt(np.maximum(spread, 0.0) / ((shots + 2) * (shots + 3)))


def averaged(counts: NDArray[np.integer], outcomes: Array) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) from counts (N, D) of outcomes worth (M, D)."""
    shots = int(counts[0].sum()) if len(counts) else 1
    values = counts @ outcomes.T / shots
    variance = np.maximum(counts @ (outcomes**2).T / shots - values**2, 0.0)
    return values, standard_error(variance, shots, np.ptp(outcomes, axis=1) / 2)


def between_randomisations(means: Array, variance: Array, shots: int) -> Array:
    """Variance (...) of one outcome that gives the mean of twirled shots its standard error.

    Shots of one randomisation share its circuit: their means may differ by more than shot noise.
    The larger of the two estimates counts, as where a variance component is not taken as negative.

    Args:
        means: (..., R), of randomisations with equally many shots.
        variance: (...), of one outcome as if all were independent.
        shots: of all randomisations together.
    """
    n = means.shape[-1]
    if n < 2:
        return variance
    return np.maximum(variance, shots / n * means.var(axis=-1, ddof=1))


def reported(errors: Array, shots: int, reach: ArrayLike) -> Array:
    """Standard errors as a service reports them, with what shots that all agree leave open."""
    return np.hypot(errors, standard_error(0.0, shots, reach))


def reach_of(observable: SparsePauliOp) -> float:
    """Half the distance from the least to the largest value that the observable can show."""
    acts = (observable.paulis.x | observable.paulis.z).any(axis=1)
    return float(np.abs(observable.coeffs[acts]).sum())


def share_interval(count: int, total: int) -> Interval:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 209 (1927))."""
    # Half a second to import, for which a training need not wait.
    from scipy.stats import binomtest

    found = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def paired_share_interval(both: int, first: int, second: int, neither: int) -> Interval:
    """Interval of the difference of two shares of the same images, the first minus the second.

    Newcombe's method 10 (Statistics in Medicine 17, 2635 (1998)): Wilson's intervals of the two
    shares, squared and added, with the correlation between them. It has a width where the two
    differ on no image.

    Args:
        both: images that count for both.
        first: images that count for the first alone.
        second: for the second alone.
        neither: for neither.
    """
    total = both + first + second + neither
    one, other = (both + first) / total, (both + second) / total
    one_low, one_high = share_interval(both + first, total)
    other_low, other_high = share_interval(both + second, total)
    excess = float(both * neither - first * second)
    # The correction for continuity is for positive correlation only.
    excess = max(excess - total / 2, 0.0) if excess > 0 else excess
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    correlation = excess / math.sqrt(margins) if margins else 0.0

    def reach(of_one: float, of_other: float) -> float:
        return math.sqrt(of_one**2 - 2 * correlation * of_one * of_other + of_other**2)

    low = one - other - reach(one - one_low, other_high - other)
    high = one - other + reach(one_high - one, other - other_low)
    return max(low, -1.0), min(high, 1.0)


def mean_interval(values: Sequence[float], bounds: Interval, step: float = 0.0) -> Interval:
    """Student's t interval of a mean, of at least two values.

    Args:
        values: independent of each other.
        bounds: between which the mean must be, whatever the values say.
        step: by which values differ at least where they differ; a smaller standard deviation
            than that cannot be told from none, and is taken to be that large.
    """
    from scipy.special import stdtrit

    numbers = np.asarray(values, float)
    n = len(numbers)
    deviation = max(float(numbers.std(ddof=1)), step)
    reach = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * deviation / math.sqrt(n)
    mean = float(numbers.mean())
    return max(mean - reach, bounds[0]), min(mean + reach, bounds[1])
