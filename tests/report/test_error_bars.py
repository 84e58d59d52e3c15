"""Error bars and bands go no further than values can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from experiments.records.scores import Means
from experiments.report.comparison import figures as comparison_figures
from experiments.report.comparison.groups import Group, PairedDifference
from experiments.report.comparison.page import accuracy
from experiments.report.pictures.style import looks
from experiments.report.reading import Run, read_run
from experiments.report.studies import noise_figures, qpc_figures
from experiments.report.studies.qpc_figures import Point
from tests.support.runs import synthetic_run


def extent(figure: Figure, axis: int) -> tuple[float, float]:
    """The least and the largest coordinate of bars, bands and lines along an axis."""
    (axes,) = figure.axes
    ends: list[np.ndarray] = []
    for container in axes.containers:
        ends += [segment for bars in container.lines[2] for segment in bars.get_segments()]
    for collection in axes.collections:
        if isinstance(collection, PolyCollection):
            ends += [path.vertices for path in collection.get_paths()]
    coordinates = np.concatenate(ends)[:, axis]
    return float(coordinates.min()), float(coordinates.max())


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    """Two runs that differ much, and that a mean less a deviation is far below 0 and above 1 of."""
    root = tmp_path_factory.mktemp("runs")
    runs = [read_run(synthetic_run(root / str(seed), seed=seed, n_images=40)) for seed in (0, 1)]
    return [Group("both", {}, tuple(map(answering, runs, (0.0, 1.0))))]


def answering(run: Run, value: float) -> Run:
    """The run, with that value for all its scores."""
    means = Means(loss=3 * value, accuracy=value, precision=value, recall=value, f1=value)
    return replace(
        run,
        evaluations=(run.evaluations[0].model_copy(update={"accuracy": value}),),
        epochs=tuple(epoch.model_copy(update={"validation": means}) for epoch in run.epochs),
    )


def test_bars_of_a_comparison(groups: list[Group]) -> None:
    look = looks([("quantum", "aer")])
    figure = comparison_figures.dots(groups, look, accuracy, "accuracy")
    assert extent(figure, 0) == pytest.approx((0, 100))
    figure = comparison_figures.bands(groups, look, "validation", "accuracy")
    assert extent(figure, 1) == pytest.approx((0, 1))
    low, high = extent(comparison_figures.bands(groups, look, "validation", "loss"), 1)
    assert low == 0
    assert high == pytest.approx(1.5 + np.std([0, 3], ddof=1))


def test_bars_of_differences_are_their_intervals() -> None:
    found = PairedDifference("a", "b", 2, 0.5, -0.25, 1.0)
    assert extent(comparison_figures.differences([found], "points"), 0) == (-25, 100)


def test_bars_of_the_noise_ablation_are_its_intervals() -> None:
    figure = noise_figures.lines({"all": {1.0: (0.9, 0.25, 1.0)}}, 0.9, "strength")
    assert extent(figure, 1) == pytest.approx((25, 100))


def test_bars_of_the_pointwise_ablation() -> None:
    points = [Point("quantum", "L=1", 0.9, 0.3, 10, 1.0), Point("conv", "", 0.2, 0.3, 20, 1.0)]
    assert extent(qpc_figures.accuracies(points), 0) == pytest.approx((0, 100))
    assert extent(qpc_figures.over_number(points, "parameters", "n"), 1) == pytest.approx((0, 100))
    by_depth = dict(enumerate(points[:1] * 2, start=1))
    assert extent(qpc_figures.depths(by_depth, points[1:]), 1) == pytest.approx((60, 100))
