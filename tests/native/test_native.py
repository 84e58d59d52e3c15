"""The backend `native`: what it takes and refuses, and what it keeps between two batches."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch

from qbackend import LayerSpec, errors
from qbackend.native.exact import NativeBackend
from qbackend.native.statevector import engine
from qbackend.seam.requests import Request

from ..support.cases import ENCODINGS, features, weights
from ..support.dense import dense_values, gradients, tolerance


def test_bad_weights_are_named() -> None:
    spec, backend = LayerSpec(2), NativeBackend()
    with pytest.raises(errors.InputError, match="weights row 0 "):
        backend.forward(
            backend.compile(spec), torch.ones(1, 4), torch.full((4,), torch.nan),
            differentiate=False,
        )  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_with_weights_of_their_own(encoding: str) -> None:
    spec, backend = LayerSpec(3, encoding=encoding), NativeBackend()
    compiled = backend.compile(spec)
    rows = features(spec, 7, 0)
    angles = np.stack([weights(spec, seed % 3) for seed in range(7)])
    result = backend.evaluate(Request(compiled, compiled.rows(rows, angles)))
    for row in range(7):
        expected = dense_values(spec, rows[row : row + 1], angles[row])
        np.testing.assert_allclose(result.values[row], expected[0], atol=1e-14)
    assert (result.stderr == 0).all()
    assert result.shots is None


def test_shots_are_refused() -> None:
    backend = NativeBackend()
    compiled = backend.compile(LayerSpec(1))
    with pytest.raises(errors.OptionError, match="--backend aer --shots N"):
        backend.submit(Request(compiled, np.zeros((1, 3)), shots=10))


def test_too_many_wires_are_refused() -> None:
    with pytest.raises(errors.OptionError, match="takes at most 20"):
        NativeBackend().compile(LayerSpec(21, encoding="angle"))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_a_used_backend_can_be_copied(copied: Callable[[NativeBackend], NativeBackend]) -> None:
    spec, backend = LayerSpec(2), NativeBackend(seed=3)
    compiled = backend.compile(spec)
    rows, angles = torch.ones(2, 4), torch.ones(4)
    values = backend.forward(compiled, rows, angles, differentiate=False).values
    twin = copied(backend)
    assert twin.seed == 3
    assert torch.equal(twin.forward(compiled, rows, angles, differentiate=False).values, values)


def test_unchanged_weights_are_not_simulated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, backend = LayerSpec(4), NativeBackend()
    compiled = backend.compile(spec)
    rows, angles = torch.randn(5, 16), torch.ones(8)
    before = backend.forward(compiled, rows, angles, differentiate=False).values
    monkeypatch.setattr(engine.passes, "forward", None)
    after = backend.forward(compiled, rows, angles.clone(), differentiate=False).values
    assert torch.equal(before, after)
    with pytest.raises(TypeError):
        backend.forward(compiled, rows, angles + 1, differentiate=False)


@pytest.mark.parametrize("n_rows", [2, 3000])
def test_every_plan_gives_the_same(n_rows: int) -> None:
    """Statevectors for few rows, forms for many: the backend chooses, the numbers agree."""
    spec, backend = LayerSpec(4, n_layers=3), NativeBackend()
    rows, angles = torch.from_numpy(features(spec, n_rows, 0)), torch.from_numpy(weights(spec, 0))
    cotangent = torch.randn(n_rows, 4, dtype=torch.float64)
    done = backend.forward(backend.compile(spec), rows, angles, differentiate=True)
    direct = engine.forward(spec, rows, angles.numpy(), differentiate=True)
    np.testing.assert_allclose(done.values, direct.values, atol=tolerance(spec, torch.float64))
    for ours, theirs in zip(gradients(done, cotangent), gradients(direct, cotangent), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
