"""Standard errors and intervals against the distributions that they are about, without sampling."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import SparsePauliOp
from scipy import stats

from qbackend.seam import uncertainty
from qbackend.seam.uncertainty import (
    averaged,
    between_randomisations,
    mean_interval,
    paired_share_interval,
    reach_of,
    share_interval,
    standard_error,
)

ROUNDING = 1e-12
NORMAL = 1.959963984540054


def of_counts(shots: int) -> tuple[np.ndarray, np.ndarray]:
    """Every value of ±1 counts, and its standard error."""
    values = 1 - 2 * np.arange(shots + 1) / shots
    return values, standard_error(1 - values**2, shots)


@pytest.mark.parametrize("shots", [1, 2, 5, 6, 7, 100, 1024])
def test_an_error_is_the_distance_to_expect_where_nothing_was_known_before(shots: int) -> None:
    """The posterior of k in n, from a flat prior, is Beta(k + 1, n - k + 1)."""
    ones = np.arange(shots + 1)
    posterior = stats.beta(ones + 1, shots - ones + 1)
    squares = posterior.var() + (posterior.mean() - ones / shots) ** 2
    np.testing.assert_allclose(of_counts(shots)[1], 2 * np.sqrt(squares), rtol=ROUNDING)


@pytest.mark.parametrize("shots", [1, 10, 100])
def test_errors_are_right_on_average_over_expectation_values(shots: int) -> None:
    """Squared deviations in their units average to one; a polynomial, integrated exactly."""
    values, errors = of_counts(shots)
    nodes, weights = np.polynomial.legendre.leggauss(shots // 2 + 2)
    probabilities = stats.binom.pmf(np.arange(shots + 1), shots, (1 - nodes[:, None]) / 2)
    squares = (values - nodes[:, None]) ** 2 / errors**2
    found = weights @ (probabilities * squares).sum(axis=1) / 2
    assert found == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("shots", [100, 128, 317, 1024, 4096])
def test_errors_cover_at_every_expectation_value(shots: int) -> None:
    """By enumeration; 1.96 times the textbook's cover with a probability of 5 % at 0.999."""
    values, errors = of_counts(shots)
    # Near 1 in steps of a twentieth of a count, beyond it evenly; the counts are symmetric.
    expected = 1 - np.concatenate([np.arange(1, 400) / 10 / shots, np.linspace(40 / shots, 1, 400)])
    probabilities = stats.binom.pmf(np.arange(shots + 1), shots, (1 - expected[:, None]) / 2)
    covered = np.abs(values - expected[:, None]) <= NORMAL * errors
    assert (probabilities * covered).sum(axis=1).min() >= 0.92


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.1, 10))
def test_an_error_is_never_zero_unless_all_outcomes_are_equal(
    shots: int, share: float, reach: float
) -> None:
    variance = 4 * share * (1 - share) * reach**2
    assert standard_error(variance, shots, reach) > 0
    # In other units the same.
    assert standard_error(variance, shots, reach) == pytest.approx(
        reach * standard_error(variance / reach**2, shots), rel=1e-9
    )
    assert standard_error(0.0, shots, 0.0) == 0


def test_counts_of_any_outcomes() -> None:
    outcomes = np.array([[1.0, 1.0, -1.0, -1.0], [3.0, 0.0, 0.0, -1.0], [2.0, 2.0, 2.0, 2.0]])
    counts = np.array([[10, 20, 30, 40], [100, 0, 0, 0]])
    values, errors = averaged(counts, outcomes)
    for row, counted in enumerate(counts):
        samples = np.repeat(outcomes, counted, axis=1)
        np.testing.assert_allclose(values[row], samples.mean(axis=1), atol=ROUNDING)
        own = standard_error(samples.var(axis=1), 100, [1.0, 2.0, 0.0])
        np.testing.assert_allclose(errors[row], own, atol=ROUNDING)
    assert (errors[1] > 0).tolist() == [True, True, False]


def test_randomisations_that_differ_count_each_as_one() -> None:
    means = np.array([[1.0, -1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
    variance = between_randomisations(means, np.array([0.75, 0.75]), 400)
    # 100 shots each; the variance of the first row's means is 1.
    np.testing.assert_allclose(variance, [100.0, 0.75])
    np.testing.assert_allclose(between_randomisations(means[:, :1], np.ones(2), 400), 1.0)


def test_an_observable_reaches_as_far_as_its_terms() -> None:
    assert reach_of(SparsePauliOp(["II", "ZI", "XX"], [5.0, -2.0, 0.5])) == 2.5
    assert reach_of(SparsePauliOp("II")) == 0


def test_wilsons_interval_of_a_share() -> None:
    """Against the formula of Wilson (1927)."""
    z, n, p = NORMAL, 10, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert share_interval(8, 10) == pytest.approx((centre - reach, centre + reach), rel=1e-9)


def test_newcombes_interval_of_a_published_table() -> None:
    """Fagerland, Lydersen and Laake, Statistics in Medicine 33, 2850 (2014): counts 1, 1, 7, 12."""
    assert paired_share_interval(1, 1, 7, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)


cells = st.integers(0, 200)


@given(cells, cells, cells, cells)
def test_a_paired_interval_holds_the_difference_and_changes_sign_with_it(
    both: int, first: int, second: int, neither: int
) -> None:
    total = both + first + second + neither
    if total == 0:
        return
    low, high = paired_share_interval(both, first, second, neither)
    difference = (first - second) / total
    assert -1 <= low <= difference + ROUNDING
    assert difference - ROUNDING <= high <= 1
    assert high - low > 1 / (10 * total)
    swapped = paired_share_interval(both, second, first, neither)
    assert swapped == pytest.approx((-high, -low), abs=ROUNDING)


@pytest.mark.parametrize("total", [10, 40])
def test_a_paired_interval_covers(total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By enumeration of all tables, where the models are right and where they differ seldom."""
    monkeypatch.setattr(uncertainty, "share_interval", cache(share_interval))
    tables = np.array(
        [
            (total - b - c - d, b, c, d)
            for b, c, d in product(range(total + 1), repeat=3)
            if b + c + d <= total and b + c <= total // 2
        ]
    )
    intervals = np.array([paired_share_interval(*map(int, table)) for table in tables])
    for discordant, lean, wrong in product((0.02, 0.1, 0.2), (0.0, 0.5, 1.0), (0.02, 0.2)):
        shares = [
            (1 - discordant) * (1 - wrong),
            discordant * (1 + lean) / 2,
            discordant * (1 - lean) / 2,
            (1 - discordant) * wrong,
        ]
        weights = stats.multinomial.pmf(tables, total, shares)
        difference = discordant * lean
        covered = (intervals[:, 0] <= difference) & (difference <= intervals[:, 1])
        assert weights[covered].sum() >= 0.9, shares


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.02, 0.01, 0.04]
    found = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values, (-1, 1)) == pytest.approx((found.low, found.high), rel=1e-12)
    assert mean_interval(values, (0.0, 0.03)) == (0.0, 0.03)


def test_seeds_that_agree_leave_an_interval() -> None:
    """A deviation of less than one image in 100 is not seen."""
    low, high = mean_interval([0.0, 0.0], (-1, 1), 0.01)
    reach = stats.t.ppf(0.975, 1) * 0.01 / np.sqrt(2)
    assert (low, high) == pytest.approx((-reach, reach), rel=1e-12)
