"""The affine map from noisy outputs to exact ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbackend.devices.affine_map import AffineMap, fit_affine_map
from qbackend.errors import InputError

ROUNDING = 1e-10


@given(seed=st.integers(0, 999), n_outputs=st.integers(1, 5))
def test_an_affine_noise_is_undone(seed: int, n_outputs: int) -> None:
    rng = np.random.default_rng(seed)
    exact = rng.uniform(-1, 1, (20, n_outputs))
    shrink, shift = rng.uniform(0.2, 1, n_outputs), rng.uniform(-0.1, 0.1, n_outputs)
    noisy = shrink * exact + shift
    fitted = fit_affine_map(noisy[:10], exact[:10])
    np.testing.assert_allclose(fitted.apply(noisy[10:]), exact[10:], atol=ROUNDING)
    np.testing.assert_allclose(fitted.apply_to_stderr(np.ones((1, n_outputs)))[0], 1 / shrink)


@given(seed=st.integers(0, 999))
def test_no_other_affine_map_is_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exact = rng.uniform(-1, 1, (30, 2))
    noisy = 0.7 * exact + rng.normal(scale=0.1, size=exact.shape)
    fitted = fit_affine_map(noisy, exact)
    best = np.sum((fitted.apply(noisy) - exact) ** 2)
    for change in rng.normal(scale=0.05, size=(20, 2, 2)):
        other = AffineMap(fitted.scale + change[0], fitted.offset + change[1])
        assert np.sum((other.apply(noisy) - exact) ** 2) >= best - ROUNDING


def test_an_output_that_never_moves_is_only_shifted() -> None:
    exact = np.array([[0.1], [0.5]])
    fitted = fit_affine_map(np.full((2, 1), 0.2), exact)
    assert fitted.scale[0] == 1
    assert fitted.offset[0] == pytest.approx(0.1)


def test_json_round_trip() -> None:
    fitted = AffineMap(np.array([1.5, 2.0]), np.array([0.0, -0.1]))
    again = AffineMap.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.scale, fitted.scale)
    np.testing.assert_array_equal(again.offset, fitted.offset)


@pytest.mark.parametrize(
    ("noisy", "exact", "words"),
    [
        (np.ones((1, 2)), np.ones((1, 2)), "at least two rows"),
        (np.ones((3, 2)), np.ones((3, 1)), "at least two rows"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "noisy values row 0"),
    ],
)
def test_rows_that_fix_no_map(noisy: np.ndarray, exact: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_affine_map(noisy, exact)
