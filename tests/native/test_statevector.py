"""The exact simulator: its ways to run a layer, against dense matrices and the shift rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qbackend import LayerSpec, errors
from qbackend.kernels import threads
from qbackend.layers import ansatze
from qbackend.layers.ansatze import Ansatz, Cnots, Operation, Rotations
from qbackend.native import tensors
from qbackend.native.forms import LayerForms
from qbackend.native.statevector import engine, small_batch
from qbackend.native.statevector.gates import CACHED_WIRES
from qbackend.seam.backend import Forward

from ..support.cases import ANSATZE, ENCODINGS, features, weights
from ..support.dense import Array, dense_gradients, dense_values, gradients, tolerance

Simulator = Callable[..., Forward]

DRAWN = itertools.count()


def through_forms(
    spec: LayerSpec, rows: torch.Tensor, angles: Array, *, differentiate: bool
) -> Forward:
    return LayerForms(spec, angles, rows.dtype).forward(rows, differentiate=differentiate)


def in_one_call(
    spec: LayerSpec, rows: torch.Tensor, angles: Array, *, differentiate: bool
) -> Forward:
    given = torch.tensor(angles, dtype=rows.dtype)
    done = small_batch.program(spec, rows.dtype).forward(rows, given)
    return done if differentiate else Forward(done.values, None)


SIMULATORS: dict[str, Simulator] = {
    "statevectors": engine.forward,
    "statevectors in one call": in_one_call,
    "tensors": tensors.forward,
    "forms": through_forms,
}


@pytest.mark.parametrize(
    ("simulator", "n_wires"),
    [(name, wires) for name in SIMULATORS for wires in range(1, 7 if name == "forms" else 11)],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
def test_values(n_wires: int, ansatz: str, encoding: str, simulator: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding, ansatz=ansatz, n_layers=1 + n_wires % 3)
    rows, angles = features(spec, 11, n_wires), weights(spec, n_wires)
    rows[5] = 0
    expected = dense_values(spec, rows, angles)
    run = SIMULATORS[simulator]
    for dtype in (torch.float64, torch.float32):
        done = run(spec, torch.tensor(rows, dtype=dtype), angles, differentiate=False)
        assert done.pullback is None
        assert done.values.dtype == dtype
        np.testing.assert_allclose(done.values, expected, atol=tolerance(spec, dtype), rtol=0)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", range(1, 6))
def test_gradients(n_wires: int, ansatz: str, encoding: str, simulator: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding, ansatz=ansatz, n_layers=2)
    rows, angles = features(spec, 10, n_wires), weights(spec, n_wires)
    cotangent = np.random.default_rng(n_wires).normal(size=(10, spec.n_outputs))
    expected = dense_gradients(spec, rows, angles, cotangent)
    for dtype in (torch.float64, torch.float32):
        done = SIMULATORS[simulator](
            spec, torch.tensor(rows, dtype=dtype), angles, differentiate=True
        )
        ours = gradients(done, torch.tensor(cotangent, dtype=dtype))
        assert ours[0].dtype == dtype
        # Short rows of features have steep gradients.
        limit = 10 * tolerance(spec, dtype) * max(1, np.abs(expected[0]).max())
        for gradient, reference in zip(ours, expected, strict=True):
            np.testing.assert_allclose(gradient, reference, atol=limit, rtol=0)


@given(
    n_wires=st.integers(1, 5),
    n_layers=st.integers(1, 3),
    encoding=st.sampled_from(ENCODINGS),
    ansatz=st.sampled_from(ANSATZE),
    n_rows=st.integers(0, 40),
    data=st.data(),
)
def test_simulators_agree(
    n_wires: int, n_layers: int, encoding: str, ansatz: str, n_rows: int, data: st.DataObject
) -> None:
    letters = st.text("IZ", min_size=n_wires, max_size=n_wires)
    observables = tuple(data.draw(st.lists(letters, min_size=1, max_size=4)))
    seed = data.draw(st.integers(0, 10**6))
    spec = LayerSpec(n_wires, encoding, ansatz, n_layers, observables)
    rows, angles = features(spec, n_rows, seed), weights(spec, seed)
    cotangent = torch.from_numpy(
        np.random.default_rng(seed).normal(size=(n_rows, len(observables)))
    )
    results = []
    for run in SIMULATORS.values():
        done = run(spec, torch.from_numpy(rows), angles, differentiate=True)
        limit = tolerance(spec, torch.float64)
        np.testing.assert_allclose(done.values, dense_values(spec, rows, angles), atol=limit)
        results.append(gradients(done, cotangent))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-11, rtol=1e-11)


@st.composite
def circuits(draw: st.DrawFn, n_wires: int) -> Ansatz:
    """Any circuit of rotations and CNOTs that turns a wire around X or Y at some point."""
    pairs = st.permutations(range(n_wires)).map(lambda order: (order[0], order[1]))
    cnots = st.lists(pairs, max_size=4).map(lambda found: Cnots(tuple(found)))
    kinds = draw(st.lists(st.sampled_from("xyzc"), max_size=5))
    kinds.insert(draw(st.integers(0, len(kinds))), draw(st.sampled_from("xy")))
    operations: list[Operation] = []
    count = 0
    for kind in kinds:
        if kind == "c":
            operations.append(draw(cnots) if n_wires > 1 else Cnots(()))
        else:
            operations.append(Rotations(kind, tuple(range(count, count + n_wires))))
            count += n_wires
    # Compiled circuits are remembered by the names in a spec.
    name = f"drawn-{next(DRAWN)}"
    return Ansatz(name, count // n_wires, lambda *_: tuple(operations))


@given(n_wires=st.integers(1, 4), encoding=st.sampled_from(ENCODINGS), data=st.data())
def test_any_circuit(n_wires: int, encoding: str, data: st.DataObject) -> None:
    ansatz = data.draw(circuits(n_wires))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ansatze.ANSATZE, ansatz.name, ansatz)
        spec = LayerSpec(n_wires, encoding, ansatz.name, n_layers=1)
        rows, angles = features(spec, 5, 0), weights(spec, 1)
        cotangent = np.random.default_rng(2).normal(size=(5, n_wires))
        expected = dense_gradients(spec, rows, angles, cotangent)
        limit = 10 * tolerance(spec, torch.float64) * max(1, np.abs(expected[0]).max())
        for run in SIMULATORS.values():
            done = run(spec, torch.from_numpy(rows), angles, differentiate=True)
            np.testing.assert_allclose(done.values, dense_values(spec, rows, angles), atol=limit)
            ours = gradients(done, torch.from_numpy(cotangent))
            for gradient, reference in zip(ours, expected, strict=True):
                np.testing.assert_allclose(gradient, reference, atol=limit, rtol=0)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("n_wires", [CACHED_WIRES, CACHED_WIRES + 1, CACHED_WIRES + 4])
def test_wide_layers(n_wires: int, encoding: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding, ansatz="strongly_entangling", n_layers=2)
    rows, angles = torch.from_numpy(features(spec, 3, 0)), weights(spec, 0)
    cotangent = torch.from_numpy(np.random.default_rng(0).normal(size=(3, n_wires)))
    ours, theirs = (
        run(spec, rows, angles, differentiate=True) for run in (engine.forward, tensors.forward)
    )
    np.testing.assert_allclose(ours.values, theirs.values, atol=tolerance(spec, torch.float64))
    for a, b in zip(gradients(ours, cotangent), gradients(theirs, cotangent), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_first_bad_row_is_named(encoding: str, simulator: str) -> None:
    spec = LayerSpec(3, encoding=encoding)
    rows = torch.ones(40, spec.n_features)
    rows[21, 2], rows[33, 0] = float("inf"), float("nan")
    with pytest.raises(errors.InputError, match="features row 21 "):
        SIMULATORS[simulator](spec, rows, weights(spec, 0), differentiate=False)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_row_without_direction_gives_nothing(simulator: str) -> None:
    spec = LayerSpec(3, ansatz="strongly_entangling")
    rows = torch.from_numpy(features(spec, 9, 0))
    rows[4] = 0
    rows[7] *= 1e-14
    done = SIMULATORS[simulator](spec, rows, weights(spec, 0), differentiate=True)
    of_rows, _ = gradients(done, torch.ones_like(done.values))
    for row in (4, 7):
        assert (done.values[row] == 0).all()
        assert (of_rows[row] == 0).all()


def test_pullbacks_are_independent() -> None:
    """Work arrays are used again, but never while a pass that may be pulled back holds them."""
    spec = LayerSpec(9, ansatz="strongly_entangling")
    batches = [torch.from_numpy(features(spec, 40, seed)) for seed in range(3)]
    passes = [engine.forward(spec, x, weights(spec, 0), differentiate=True) for x in batches]
    ones = torch.ones(40, 9, dtype=torch.float64)
    first = [gradients(done, ones) for done in passes]
    again = [gradients(done, ones) for done in reversed(passes)][::-1]
    alone = [
        gradients(engine.forward(spec, x, weights(spec, 0), differentiate=True), ones)
        for x in batches
    ]
    for results in (again, alone):
        for ours, theirs in zip(first, results, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(
    n_threads: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LayerSpec(5, ansatz="strongly_entangling")
    rows = torch.from_numpy(features(spec, 600, 0)).to(dtype)

    def run() -> list[torch.Tensor]:
        done = engine.forward(spec, rows, weights(spec, 0), differentiate=True)
        return [done.values, *gradients(done, torch.ones_like(done.values))]

    alone = run()
    assert all(torch.equal(a, b) for a, b in zip(alone, run(), strict=True))
    monkeypatch.setattr(threads, "WORTH_SPLITTING", 0)
    torch.set_num_threads(n_threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, run(), strict=True))
