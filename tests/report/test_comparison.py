"""Several runs side by side, and the statistics of their comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.report.comparison.groups import (
    Group,
    band,
    group_names,
    group_runs,
    paired_difference,
    paired_differences,
    spread,
)
from experiments.report.pictures.style import looks
from experiments.report.reading import Run, read_run
from experiments.report.write import write_report
from tests.support.runs import synthetic_run

from .pages import Page, drawn

IMAGES = SimpleNamespace(n_images=1_000_000)
"""So many that one of them moves no deviation."""


def of_values(name: str, values: Mapping[int, float]) -> Group:
    runs = [SimpleNamespace(seed=s, value=value, headline=IMAGES) for s, value in values.items()]
    return Group(name, {}, cast(tuple[Run, ...], tuple(runs)))


def value(run: Any) -> float:
    return run.value


def test_spread_by_hand() -> None:
    found = spread([0.90, 0.92, 0.97])
    assert (found.n, found.mean) == (3, pytest.approx(0.93, abs=1e-15))
    # Deviations -0.03, -0.01, 0.04; their squares add up to 0.0026.
    assert found.deviation == pytest.approx(math.sqrt(0.0026 / 2), abs=1e-15)
    assert math.isnan(spread([0.9]).deviation)
    assert math.isnan(spread([]).mean)


def test_paired_difference_by_hand() -> None:
    first = of_values("a", {0: 0.90, 1: 0.92, 2: 0.94, 7: 0.10})
    second = of_values("b", {0: 0.88, 1: 0.91, 2: 0.90, 8: 0.99})
    found = paired_difference(first, second, value)
    assert found is not None
    # Differences 0.02, 0.01, 0.04: mean 0.07/3, variance 0.0014/6; t(0.975, 2) = 4.30265273.
    assert found.n_seeds == 3
    assert found.mean == pytest.approx(0.07 / 3, abs=1e-15)
    reach = 4.30265273 * math.sqrt(0.0014 / 6 / 3)
    assert (found.low, found.high) == pytest.approx((0.07 / 3 - reach, 0.07 / 3 + reach), abs=1e-9)


def test_seeds_that_differ_alike_leave_an_interval() -> None:
    """A deviation of less than one image is not seen, and a difference is at most 1."""
    same = dict.fromkeys(range(5), 1.0)
    for n_images in (1, 360):
        groups = [
            Group(name, {}, tuple(replaced(run, n_images) for run in of_values(name, same).runs))
            for name in ("a", "b")
        ]
        (found,) = paired_differences(groups, value)
        reach = stats.t.ppf(0.975, 4) / n_images / math.sqrt(5)
        assert (found.low, found.high) == pytest.approx((-min(reach, 1), min(reach, 1)))


def replaced(run: Any, n_images: int) -> Any:
    headline = SimpleNamespace(n_images=n_images)
    return SimpleNamespace(seed=run.seed, value=run.value, headline=headline)


@given(st.permutations(["quantum", "quantum-frozen", "linear", "none"]))
def test_differences_have_the_sign_of_the_ablations_table(arms: list[str]) -> None:
    """Whichever run began first: others minus the quantum arm."""
    groups = [
        replace(of_values(arm, {0: index / 10, 1: index / 9}), settings={"model.arm": arm})
        for index, arm in enumerate(arms)
    ]
    of_page = {(each.first, each.second): each.mean for each in paired_differences(groups, value)}
    quantum = groups[arms.index("quantum")]
    for group in groups:
        if group is not quantum:
            of_table = paired_difference(group, quantum, value)
            assert of_table is not None
            assert of_page.pop((group.name, "quantum")) == of_table.mean
    # All others: the later minus the earlier.
    assert all(mean > 0 for mean in of_page.values())


def test_the_convolution_is_subtracted_from_circuits_too() -> None:
    groups = [
        replace(of_values(arm, {0: 0.5, 1: 0.6}), settings={"model.arm": arm})
        for arm in ("conv", "quantum", "grouped")
    ]
    found = [(each.first, each.second) for each in paired_differences(groups, value)]
    assert found == [("quantum", "conv"), ("grouped", "conv"), ("grouped", "quantum")]


@given(
    st.lists(
        st.fixed_dictionaries(
            {"recipe": st.sampled_from(["digits", "mnist"])},
            optional={
                "data.limit": st.integers(1, 3),
                "run.limit": st.integers(1, 3),
                "run.calibrate": st.integers(1, 3),
                "model.arm": st.sampled_from(["quantum", "linear"]),
            },
        ),
        min_size=1,
        max_size=6,
        unique_by=repr,
    )
)
def test_every_group_has_a_name_of_its_own(settings: list[dict[str, Any]]) -> None:
    """Also one that sets nothing where the others do."""
    distinct = list({repr(sorted(each.items())): each for each in settings}.values())
    names = group_names(distinct)
    assert len(set(names)) == len(distinct)
    assert all(name.strip() for name in names)


def test_one_shared_seed_makes_no_pair() -> None:
    assert (
        paired_difference(of_values("a", {0: 1.0, 1: 2}), of_values("b", {1: 1.0}), value) is None
    )


@given(
    st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=2),
    st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=2),
    st.floats(-1, 1),
)
def test_paired_differences_are_antisymmetric_and_ignore_what_seeds_share(
    ones: dict[int, float], others: dict[int, float], shift: float
) -> None:
    first, second = of_values("a", ones), of_values("b", others)
    found = paired_difference(first, second, value)
    if found is None:
        assert len(ones.keys() & others.keys()) < 2
        return
    back = paired_difference(second, first, value)
    assert back is not None
    assert (found.mean, found.low) == pytest.approx((-back.mean, -back.high), abs=1e-12)
    moved = paired_difference(
        of_values("a", {seed: each + shift * seed for seed, each in ones.items()}),
        of_values("b", {seed: each + shift * seed for seed, each in others.items()}),
        value,
    )
    assert moved is not None
    # Rounding of numbers up to 21, times t(0.975, 1) = 12.7.
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("several")
    folders = [
        synthetic_run(root / f"{arm}-{seed}", arm=arm, seed=seed, n_images=60)
        for arm in ("quantum", "linear")
        for seed in (3, 1, 2)
    ]
    noisy = synthetic_run(root / "noisy", backend="aer:ibm_brisbane", seed=1, epochs=8, n_images=60)
    return [*folders, noisy]


def test_groups_differ_in_more_than_the_seed(several: list[Path]) -> None:
    groups = group_runs([read_run(folder) for folder in several])
    assert [(group.name, [run.seed for run in group.runs]) for group in groups] == [
        ("quantum · aer", [1, 2, 3]),
        ("linear · aer", [1, 2, 3]),
        ("quantum · aer:ibm_brisbane", [1]),
    ]


def test_numbers_of_images_are_those_that_were_evaluated(
    several: list[Path], tmp_path: Path
) -> None:
    said = "The runs were evaluated on different numbers of images."
    # A limit beyond what there is takes all, as no limit does.
    limit = ("run.limit=100",)
    alike = synthetic_run(tmp_path / "all", arm="linear", seed=1, n_images=60, settings=limit)
    page = Page(write_report([several[0], alike], tmp_path / "alike"))
    assert said not in page.text
    fewer = synthetic_run(tmp_path / "fewer", arm="linear", seed=1, n_images=40)
    page = Page(write_report([several[0], fewer], tmp_path / "apart"))
    assert said in page.text


def test_of_two_runs_alike_the_later_counts(several: list[Path]) -> None:
    earlier = read_run(several[0])
    state = earlier.state.model_copy(update={"started": "2999-01-01T00:00:00+00:00"})
    later = replace(earlier, state=state)
    (group,) = group_runs([later, earlier])
    assert group.runs == (later,)


def test_a_band_covers_the_runs_that_reached_an_epoch(several: list[Path]) -> None:
    runs = [read_run(several[0]), read_run(several[-1])]
    found = band(Group("both", {}, tuple(runs)), "validation", "accuracy")
    assert list(found.epochs) == [1, 2, 3, 4, 5, 6, 7, 8]
    values = [run.epochs[1].validation.accuracy for run in runs]
    assert found.mean[1] == pytest.approx(sum(values) / 2, abs=1e-15)
    assert found.deviation[1] == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2), abs=1e-15)
    assert found.mean[7] == runs[1].epochs[7].validation.accuracy


def test_several_runs_side_by_side(several: list[Path], tmp_path: Path) -> None:
    (several[0] / "report.html").touch()
    page = Page(write_report(several, tmp_path / "comparison"))
    assert page.sections == ["results", "differences", "curves", "cost", "settings", "runs"]
    for group in group_runs([read_run(folder) for folder in several]):
        values = np.array([run.evaluations[0].accuracy for run in group.runs])
        (row,) = (row for row in page.rows if row[:1] == [group.name] and len(row) == 8)
        assert row[1:3] == [str(len(values)), f"{100 * values.mean():.2f}"]
        assert row[3] == (f"{100 * values.std(ddof=1):.2f}" if len(values) > 1 else "–")
    (pair,) = (row for row in page.rows if row[:2] == ["linear · aer", "quantum · aer"])
    assert pair[2] == "3"
    links = [each["href"] for each in page.all("a") if not each["href"].startswith("#")]
    (link,) = links
    assert (tmp_path / "comparison" / link).resolve() == (several[0] / "report.html").resolve()
    assert {"accuracy", "differences", "validation-loss"} <= drawn(tmp_path / "comparison")


def test_several_runs_go_beside_the_first(several: list[Path]) -> None:
    page = write_report(several[:2])
    assert page.parent.parent == several[0].parent
    assert page.parent.name.startswith("comparison-")


def test_looks_are_told_apart() -> None:
    arms = ("quantum", "quantum-frozen", "linear", "mlp", "none", "classical")
    backends = ("aer", "aer:ibm_brisbane", "ibm_brisbane")
    found = looks([(arm, backend) for arm in arms for backend in backends])
    assert len(set(found)) == len(found)
    assert len({look.colour for look in found}) == len({look.marker for look in found}) == len(arms)
    assert len(set(looks([("quantum", "aer")] * 4))) == 4
