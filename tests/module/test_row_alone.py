"""One row's answer depends on that row alone, under noise too.

Not on its neighbours, its scale or its sign, nor on rounding. Where noise acts between a
preparation's gates, even its angles must not: a choice that rounding makes shows in the outputs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from qbackend import LayerSpec, get_backend
from qbackend.circuits.line_plan import plan_line
from qbackend.circuits.preparation import CompactPreparation
from qbackend.layers.encodings import AmplitudeEncoding
from qbackend.layers.inputs import Array
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import CompiledLayer, Request

from ..support.cases import MACHINE, weights
from ..support.structured import TINY, products, structured_rows

DEVICE = "fake_brisbane"
KINDS = tuple(structured_rows(2))
SCALES = (1.7, 0.1, 1e-5, 1e6, 1e200, -1 / 3)

GAP = 1e-4
"""Rounding grows by one over what separates two choices: values of these rows are not nearer."""
FLIP = 1e-2
"""Radians; a choice made otherwise moves an angle by far more."""


def moved(some: Array, others: Array) -> Array:
    """How far angles (B, E) are from others, up to full turns, the farthest of every row: (B,)."""
    return np.asarray(np.abs(np.exp(1j * some) - np.exp(1j * others)).max(axis=1))


def is_large(rows: Array) -> NDArray[np.bool_]:
    """Which rows (B,) still encode something when they are scaled down."""
    return np.asarray(np.abs(rows).max(axis=1) > 1e-3)


def preparations(n_wires: int) -> list[CompactPreparation | AmplitudeEncoding]:
    """As the features are, as a plan orders them, and the textbook's."""
    plan = plan_line(LayerSpec(n_wires), closed=False)
    compact = [CompactPreparation(order) for order in (tuple(range(2**n_wires)), plan.order())]
    return [*compact, AmplitudeEncoding()]


def angles(preparation: CompactPreparation | AmplitudeEncoding, rows: Array) -> Array:
    if isinstance(preparation, AmplitudeEncoding):
        return preparation.angles(rows)
    return preparation(rows)


def tolerance(kind: str) -> float:
    """For angles in float64: some hundred roundings over the gap."""
    return 1e-14 / (TINY * GAP if kind == "tiny" else GAP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_wires", [1, 2, 3, 4, 5, 6])
def test_angles(n_wires: int, kind: str) -> None:
    rows = structured_rows(max(n_wires, 2))[kind][:, : 2**n_wires]
    rows = rows[is_large(rows)]
    order = np.random.default_rng(0).permutation(len(rows))
    for preparation in preparations(n_wires):
        together = angles(preparation, rows)
        alone = np.concatenate([angles(preparation, row[None]) for row in rows[::4]])
        assert moved(alone, together[::4]).max() < tolerance(kind)
        assert moved(angles(preparation, rows[order]), together[order]).max() < tolerance(kind)
        assert moved(angles(preparation, rows - 0.0 * rows), together).max() < tolerance(kind)
        for scale in SCALES:
            assert moved(angles(preparation, scale * rows), together).max() < tolerance(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_wires", [2, 3, 4, 5, 6])
def test_angles_in_single_precision(n_wires: int, kind: str) -> None:
    rows = structured_rows(n_wires)[kind]
    single = rows.astype(np.float32)
    for preparation in preparations(n_wires):
        expected = angles(preparation, rows)
        for scale in (1.0, 1.7, 0.1):
            scaled = (np.float32(scale) * single).astype(np.float64)
            assert moved(angles(preparation, scaled), expected).max() < FLIP


@pytest.mark.parametrize("n_wires", [2, 3, 4, 5, 6])
def test_angles_of_a_product(n_wires: int) -> None:
    """Its rank is a matter of rounding; another precision makes another state of it."""
    rows = products(n_wires)
    for preparation in preparations(n_wires):
        together = angles(preparation, rows)
        alone = np.concatenate([angles(preparation, row[None]) for row in rows[::4]])
        assert moved(alone, together[::4]).max() < tolerance("product")
        for scale in SCALES:
            assert moved(angles(preparation, scale * rows), together).max() < tolerance("product")


@pytest.mark.parametrize("n_wires", [2, 3, 4, 5, 6])
def test_angles_of_any_row(n_wires: int) -> None:
    entries = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1 / 3, TINY]) | st.integers(-9, 9).map(
        lambda tenths: tenths / 10
    )

    @settings(max_examples=40, deadline=None)
    @given(
        arrays(np.float64, (2, 2**n_wires), elements=entries),
        st.sampled_from(SCALES) | st.integers(-3, 12).map(lambda power: 10.0**power),
    )
    def check(rows: Array, scale: float) -> None:
        rows = rows[is_large(rows)]
        for preparation in preparations(n_wires):
            expected = [angles(preparation, row[None]) for row in rows]
            for row, before in zip(angles(preparation, scale * rows), expected, strict=True):
                assert moved(row[None], before).max() < FLIP

    check()


@cache
def backend_of(name: str, preparation: str) -> QuantumBackend:
    return get_backend(name, preparation=preparation)


def answer(backend: QuantumBackend, compiled: CompiledLayer, rows: Array) -> Array:
    request = Request(compiled, compiled.rows(rows, weights(compiled.spec, 0)))
    return backend.evaluate(request).values


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
@pytest.mark.parametrize("n_wires", [2, 3, 4, pytest.param(5, marks=pytest.mark.slow)])
def test_outputs_under_noise(n_wires: int, preparation: str) -> None:
    backend = backend_of(f"native:{DEVICE}", preparation)
    compiled = backend.compile(LayerSpec(n_wires))
    for kind, rows in structured_rows(n_wires, 8).items():
        together = answer(backend, compiled, rows)
        alone = np.concatenate([answer(backend, compiled, row[None]) for row in rows])
        # Of an angle's change, noise passes on a hundredth at most.
        bound = MACHINE + tolerance(kind) / 100
        np.testing.assert_allclose(alone, together, atol=bound, rtol=0)
        for scale in SCALES:
            scaled = answer(backend, compiled, scale * rows)
            np.testing.assert_allclose(scaled, together, atol=bound, rtol=0)
        single = answer(backend, compiled, rows.astype(np.float32))
        np.testing.assert_allclose(single, together, atol=1e-5, rtol=0)
