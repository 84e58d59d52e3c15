"""What is said of a mitigation follows from images whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.mitigation.scores import device_error, gain

N, M, SHOT = 400, 4, 0.03


def answered(seed: int, bias: float, scatter: float = SHOT) -> tuple[np.ndarray, np.ndarray]:
    """Values (N, M) that are off by a bias, and by shots; and their standard errors."""
    generator = np.random.default_rng(seed)
    return bias + scatter * generator.normal(size=(N, M)), np.full((N, M), scatter)


EXACT = np.zeros((N, M))


@pytest.mark.parametrize(
    ("bias", "scatter", "verdict"),
    [(0.01, SHOT, "helps"), (0.09, SHOT, "harms"), (0.01, 0.12, "harms"), (0.05, SHOT, "unclear")],
)
def test_a_mitigation_is_judged_by_what_its_errors_are(
    bias: float, scatter: float, verdict: str
) -> None:
    """More scatter harms as more bias does; the same of both is neither."""
    raw, mitigated = answered(1, 0.05)[0], answered(2, bias, scatter)[0]
    found = gain(EXACT, raw, mitigated)
    assert found.verdict == verdict
    low, high = found.interval
    expected = 0.05**2 + SHOT**2 - bias**2 - scatter**2
    # Half an interval is 1.97 standard errors of the mean.
    assert abs(found.squared - expected) < 5 * (high - low) / 2 / 1.96
    assert low < found.squared < high


def test_an_interval_covers_as_often_as_it_says() -> None:
    """Of 400 comparisons of equals, 5 % find a difference, within five standard errors."""
    wrong = sum(
        gain(EXACT[:50], answered(2 * k, 0.0)[0][:50], answered(2 * k + 1, 0.0)[0][:50]).verdict
        != "unclear"
        for k in range(400)
    )
    assert abs(wrong - 20) < 5 * np.sqrt(400 * 0.05 * 0.95)


def test_what_shots_explain_is_none_of_the_devices() -> None:
    values, stderr = answered(3, 0.05)
    found = device_error(EXACT, values, stderr)
    assert found.interval[0] < 0.05**2 < found.interval[1]
    values, stderr = answered(4, 0.0)
    low, high = device_error(EXACT, values, stderr).interval
    assert low < 0 < high
