"""Quadratic forms of encoded rows: kernels and torch's products against dense NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qbackend import LayerSpec, errors
from qbackend.kernels import threads
from qbackend.seam import forms as seam_forms

from ..support.cases import ENCODINGS, features

Array = NDArray[np.float64]


def forms(spec: LayerSpec, seed: int, n_forms: int = 3) -> Array:
    """Random symmetric matrices of norm around 1, (n_forms, D, D)."""
    dimension = 2**spec.n_wires
    square = np.random.default_rng(seed).normal(size=(n_forms, dimension, dimension))
    return (square + square.transpose(0, 2, 1)) / np.sqrt(8 * dimension)


def tolerance(spec: LayerSpec, dtype: torch.dtype, n_rows: int) -> float:
    """A few roundings per term of the longest sum, D² terms of size 1/D at most."""
    return 8 * torch.finfo(dtype).eps * (2**spec.n_wires + n_rows)


def shift_gradient(spec: LayerSpec, rows: Array, matrices: Array, cotangent: Array) -> Array:
    """Gradient with respect to the features by the encoding's own shift rule."""
    shifted, directions = spec.encoding_rule.shifted(rows)
    states = spec.encoding_rule.states(shifted.reshape(-1, spec.n_features))
    values = np.einsum("ni,mij,nj->nm", states, matrices, states)
    moved = values.reshape(*shifted.shape[:3], len(matrices))
    return np.einsum("btm,bm,btf->bf", moved[:, :, 0] - moved[:, :, 1], cotangent, directions)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", range(1, 9))
def test_values_and_gradients(n_wires: int, encoding: str, dtype: torch.dtype) -> None:
    spec = LayerSpec(n_wires, encoding=encoding)
    rows, matrices = features(spec, 19, seed=n_wires), forms(spec, seed=n_wires)
    cotangent = np.random.default_rng(0).normal(size=(len(rows), len(matrices)))
    given_rows = torch.tensor(rows, dtype=dtype)
    done = seam_forms.forward(
        spec, given_rows, torch.tensor(matrices, dtype=dtype), differentiate=True
    )
    assert done.pullback is not None
    of_rows, of_matrices = done.pullback(torch.tensor(cotangent, dtype=dtype))

    states = spec.encoding_rule.states(given_rows.double().numpy())
    limit = tolerance(spec, dtype, len(rows))
    assert done.values.dtype == of_rows.dtype == of_matrices.dtype == dtype
    expected = np.einsum("bi,mij,bj->bm", states, matrices, states)
    np.testing.assert_allclose(done.values, expected, atol=limit, rtol=0)
    expected = np.einsum("bm,bi,bj->mij", cotangent, states, states)
    np.testing.assert_allclose(of_matrices, expected, atol=limit, rtol=0)
    if n_wires <= 5:
        expected = shift_gradient(spec, rows, matrices, cotangent)
        np.testing.assert_allclose(of_rows, expected, atol=10 * limit, rtol=10 * limit)


@given(
    n_wires=st.integers(1, 6),
    encoding=st.sampled_from(ENCODINGS),
    n_rows=st.integers(0, 70),
    n_forms=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_kernels_equal_tensors(
    n_wires: int, encoding: str, n_rows: int, n_forms: int, seed: int
) -> None:
    spec = LayerSpec(n_wires, encoding=encoding)
    rows = torch.from_numpy(features(spec, n_rows, seed))
    matrices = torch.from_numpy(forms(spec, seed, n_forms))
    cotangent = torch.from_numpy(np.random.default_rng(seed).normal(size=(n_rows, n_forms)))
    limit = 100 * tolerance(spec, torch.float64, n_rows)
    by_kernels = seam_forms._forward_kernels(spec, rows, matrices, True)
    by_tensors = seam_forms._forward_torch(spec, rows, matrices, True)
    assert by_kernels.pullback is not None
    assert by_tensors.pullback is not None
    pairs = zip(by_kernels.pullback(cotangent), by_tensors.pullback(cotangent), strict=True)
    for ours, theirs in [(by_kernels.values, by_tensors.values), *pairs]:
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=limit, rtol=limit)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", [1, 3, 7])
def test_encode_and_back(n_wires: int, encoding: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding)
    rows = torch.from_numpy(features(spec, 4, seed=3)).requires_grad_()
    states = seam_forms.encode(spec, rows)
    expected = spec.encoding_rule.states(rows.detach().numpy())
    np.testing.assert_allclose(states.detach(), expected, atol=1e-15)
    cotangent = torch.randn(states.shape, dtype=states.dtype)
    (expected_gradient,) = torch.autograd.grad(states, rows, cotangent)
    pulled = seam_forms.pull_states(spec, rows.detach(), states.detach(), cotangent)
    np.testing.assert_allclose(pulled, expected_gradient, atol=1e-13)


@pytest.mark.parametrize("n_wires", [2, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_without_direction_gives_nothing(n_wires: int, dtype: torch.dtype) -> None:
    spec = LayerSpec(n_wires)
    rows = torch.randn(3, spec.n_features, dtype=dtype)
    rows[1] = 0
    rows[2] *= 1e-14 / torch.linalg.vector_norm(rows[2])
    matrices = torch.from_numpy(forms(spec, 0)).to(dtype)
    done = seam_forms.forward(spec, rows, matrices, differentiate=True)
    assert done.pullback is not None
    of_rows, of_matrices = done.pullback(torch.ones(3, 3, dtype=dtype))
    assert (done.values[1:] == 0).all()
    assert (of_rows[1:] == 0).all()
    alone = seam_forms.forward(spec, rows[:1], matrices, differentiate=True)
    assert alone.pullback is not None
    np.testing.assert_allclose(
        of_matrices, alone.pullback(torch.ones(1, 3, dtype=dtype))[1], atol=1e-6
    )


@pytest.mark.parametrize("n_wires", [2, 7])
@pytest.mark.parametrize(
    ("dtype", "length"), [(torch.float32, 1e30), (torch.float64, 1e200), (torch.float64, 1e-9)]
)
def test_a_row_counts_by_its_direction(n_wires: int, dtype: torch.dtype, length: float) -> None:
    spec = LayerSpec(n_wires)
    rows = torch.randn(3, spec.n_features, dtype=dtype)
    matrices = torch.from_numpy(forms(spec, 0)).to(dtype)
    near = seam_forms.forward(spec, rows, matrices, differentiate=True)
    far = seam_forms.forward(spec, length * rows, matrices, differentiate=True)
    assert near.pullback is not None
    assert far.pullback is not None
    limit = 10 * tolerance(spec, dtype, 3)
    np.testing.assert_allclose(far.values, near.values, atol=limit)
    of_near, of_far = (done.pullback(torch.ones(3, 3, dtype=dtype))[0] for done in (near, far))
    np.testing.assert_allclose(of_far.double() * length, of_near, atol=10 * limit)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", [2, 7])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_row_is_named(n_wires: int, encoding: str, bad: float) -> None:
    spec = LayerSpec(n_wires, encoding=encoding)
    rows = torch.ones(40, spec.n_features)
    rows[[23, 31], 1] = bad
    with pytest.raises(errors.InputError, match="features row 23 "):
        seam_forms.forward(spec, rows, torch.from_numpy(forms(spec, 0)), differentiate=False)


def test_any_memory_layout() -> None:
    spec = LayerSpec(3)
    rows = torch.from_numpy(features(spec, 20, 0))
    matrices = torch.from_numpy(forms(spec, 0))
    plain = seam_forms.forward(spec, rows, matrices, differentiate=True)
    strided = seam_forms.forward(
        spec, rows.T.contiguous().T, matrices.permute(0, 2, 1), differentiate=True
    )
    assert torch.equal(plain.values, strided.values)
    assert plain.pullback is not None
    ones = torch.ones(1, 1, dtype=torch.float64)
    spread, full = plain.pullback(ones.expand(20, 3)), plain.pullback(torch.ones_like(plain.values))
    assert all(torch.equal(a, b) for a, b in zip(spread, full, strict=True))


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LayerSpec(4)
    rows = torch.from_numpy(features(spec, 700, 0)).float()
    matrices = torch.from_numpy(forms(spec, 0)).float()

    def run() -> list[torch.Tensor]:
        done = seam_forms.forward(spec, rows, matrices, differentiate=True)
        assert done.pullback is not None
        return [done.values, *done.pullback(torch.ones_like(done.values))]

    alone = run()
    monkeypatch.setattr(threads, "WORTH_SPLITTING", 0)
    torch.set_num_threads(n_threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, run(), strict=True))
