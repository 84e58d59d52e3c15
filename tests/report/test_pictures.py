"""Projections of features, and the drawing of the circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.report.pictures.circuit import DRAWN_LAYERS, readable_circuit
from experiments.report.pictures.projection import MAX_POINTS, pca, subsample, tsne
from experiments.report.write import write_report
from qbackend.layers.ansatze import Cnots
from qbackend.layers.spec import LayerSpec
from tests.support.runs import synthetic_run

from .pages import Page


def test_pca_agrees_with_the_singular_values() -> None:
    features = np.random.default_rng(1).normal(size=(50, 5)) * [5, 3, 1, 1, 1]
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2
    found = pca(features)
    for axis, share in zip(found.axes, values / values.sum(), strict=False):
        assert f"{100 * share:.1f} % of variance" in axis
    assert found.points.var(axis=0) * len(features) == pytest.approx(values[:2], rel=1e-10)


@pytest.mark.parametrize("features", [np.ones((12, 4)), np.arange(12.0)[:, None]])
def test_projections_of_poor_features_are_finite(features: np.ndarray) -> None:
    for project in (pca, tsne):
        points = project(features).points
        assert points.shape == (12, 2)
        assert np.isfinite(points).all()


def test_tsne_is_repeatable_and_keeps_groups() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 4)) + 50.0 * (np.arange(60) % 2)[:, None]
    first, second = (tsne(features).points for _ in range(2))
    assert np.array_equal(first, second)
    middles = [first[group::2].mean(axis=0) for group in (0, 1)]
    nearest = np.argmin([np.linalg.norm(first - middle, axis=1) for middle in middles], axis=0)
    assert np.array_equal(nearest, np.arange(60) % 2)


def test_a_subsample_is_small_sorted_and_fixed() -> None:
    chosen = subsample(10 * MAX_POINTS)
    assert len(set(chosen)) == MAX_POINTS
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, subsample(10 * MAX_POINTS))
    assert np.array_equal(subsample(7), np.arange(7))


@pytest.mark.parametrize("ansatz", ["basic_entangler", "strongly_entangling", "rotation_only"])
@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
def test_the_drawing_is_the_layer_with_wire_0_on_top(encoding: str, ansatz: str) -> None:
    spec = LayerSpec(4, encoding, ansatz, n_layers=DRAWN_LAYERS)
    drawing = readable_circuit(spec)
    cnots = [
        tuple(drawing.find_bit(qubit).index for qubit in item.qubits)
        for item in drawing
        if item.operation.name == "cx"
    ]
    described = [op.pairs for op in spec.operations if isinstance(op, Cnots)]
    assert cnots == [pair for pairs in described for pair in pairs]
    weights = {parameter.name for parameter in drawing.parameters if parameter.name[0] == "w"}
    assert weights == {f"w[{index}]" for index in range(spec.n_weights)}
    assert drawing.count_ops()["read"] == 4


def test_a_deep_circuit_is_drawn_in_part(tmp_path: Path) -> None:
    folder = synthetic_run(
        tmp_path / "run", evaluated=False, epochs=0, settings=("layer.n_layers=9",)
    )
    page = Page(write_report([folder]))
    assert f"The first {DRAWN_LAYERS} of 9 layers are drawn" in page.text
