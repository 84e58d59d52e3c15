"""Several runs side by side: which belong together, how they spread, how they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbackend.seam.uncertainty import mean_interval

from ..numbers import ABSENT
from ..reading import Run

TELLING = ("recipe", "protocol", "model.arm", "run.backend")
"""Settings that name a group by their value alone, in this order."""

REFERENCES = ("conv", "quantum")
"""Arms that others are compared with, as `qhc ablate` does: what is subtracted from them."""

Measure = Callable[[Run], float]
"""A number of a run; NaN where the run has none."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (NaN for a single value) of n values."""

    mean: float
    deviation: float
    n: int


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: what sets the group apart, in a few words.
        settings: that its runs share, by dotted key.
        runs: one per seed, in the order of the seeds.
    """

    name: str
    settings: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def step(self) -> float:
        """The share of one image: what accuracies of these runs differ by at least."""
        images = [run.headline.n_images for run in self.runs if run.headline]
        return 1 / min(images, default=1)

    def by_seed(self, measure: Measure) -> dict[int, float]:
        """The measure of every run that has it, by seed."""
        values = {run.seed: measure(run) for run in self.runs}
        return {seed: value for seed, value in values.items() if math.isfinite(value)}

    def spread(self, measure: Measure) -> Spread:
        """Of the measure over the group's seeds."""
        return spread(self.by_seed(measure).values())


@dataclass(frozen=True)
class PairedDifference:
    """Mean over shared seeds of first minus second, with its confidence interval."""

    first: str
    second: str
    n_seeds: int
    mean: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    """Mean, sample standard deviation and number of values; NaN where there are too few."""
    numbers = np.fromiter(values, float)
    return Spread(
        mean=float(numbers.mean()) if len(numbers) else math.nan,
        deviation=float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan,
        n=len(numbers),
    )


def paired_difference(first: Group, second: Group, measure: Measure) -> PairedDifference | None:
    """First minus second over the seeds that both have, None for fewer than two.

    The measure is a share of a run's evaluated images, or a mean of such shares.
    """
    return difference_by_seed(
        first.name,
        second.name,
        first.by_seed(measure),
        second.by_seed(measure),
        max(first.step, second.step),
    )


def difference_by_seed(
    first: str, second: str, one: Mapping[int, float], other: Mapping[int, float], step: float
) -> PairedDifference | None:
    """One's shares minus the other's over the seeds that both have, None for fewer than two.

    The interval is Student's t for the mean of paired differences, whose deviation is taken to be
    at least `step`; it is not widened for the number of comparisons made.
    """
    shared = sorted(one.keys() & other.keys())
    if len(shared) < 2:
        return None
    found = [one[seed] - other[seed] for seed in shared]
    low, high = mean_interval(found, (-1.0, 1.0), step)
    return PairedDifference(first, second, len(found), spread(found).mean, low, high)


def paired_differences(groups: Sequence[Group], measure: Measure) -> list[PairedDifference]:
    """Of every two groups that share at least two seeds: the later minus the earlier, but any
    other minus a reference."""
    pairs = (_against_reference(*pair) for pair in combinations(groups, 2))
    found = (paired_difference(*pair, measure) for pair in pairs)
    return [difference for difference in found if difference is not None]


def _against_reference(earlier: Group, later: Group) -> tuple[Group, Group]:
    """The two in the order in which they are subtracted."""
    ranks = [
        REFERENCES.index(arm) if (arm := group.settings.get("model.arm")) in REFERENCES else 2
        for group in (earlier, later)
    ]
    return (earlier, later) if ranks[1] < ranks[0] else (later, earlier)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Runs grouped by all their settings but the seed, in the order of first appearance.

    Of runs that are alike in everything, the seed too, the one started last counts.
    """
    settings: dict[str, dict[str, Any]] = {}
    members: dict[str, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: run.state.started):
        found = run.settings()
        key = repr(sorted(found.items()))
        settings[key] = found
        members.setdefault(key, {})[run.seed] = run
    names = group_names(list(settings.values()))
    return [
        Group(name, settings[key], tuple(by_seed[seed] for seed in sorted(by_seed)))
        for name, (key, by_seed) in zip(names, members.items(), strict=True)
    ]


def differing_settings(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose value is not the same everywhere, the telling ones first."""
    keys = sorted({key for each in settings for key in each})
    differing = [key for key in keys if len({repr(each.get(key)) for each in settings}) > 1]
    return sorted(differing, key=lambda key: TELLING.index(key) if key in TELLING else len(TELLING))


def group_names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets each group apart: telling settings alone if they do, else all that differ."""
    differing = differing_settings(settings)
    telling = [key for key in TELLING if key in differing]
    names = [" · ".join(_words(each, key) for key in telling or TELLING) for each in settings]
    if len(set(names)) == len(names):
        return names
    others = [key for key in differing if key not in TELLING]
    last = [key.rpartition(".")[2] for key in others]
    titles = [
        short if last.count(short) == 1 else key for key, short in zip(others, last, strict=True)
    ]
    return [
        " · ".join(
            [_words(each, key) for key in telling]
            + [
                f"no {title}" if each.get(key) is None else f"{title}={each[key]}"
                for key, title in zip(others, titles, strict=True)
            ]
        )
        for each in settings
    ]


def _words(settings: Mapping[str, Any], key: str) -> str:
    """A setting's value, a dash where it has none."""
    value = settings.get(key)
    return ABSENT if value is None or value == "" else str(value)


@dataclass(frozen=True)
class Band:
    """A metric over epochs in one group: mean and sample standard deviation, both (epochs,)."""

    epochs: NDArray[np.integer]
    mean: NDArray[np.floating]
    deviation: NDArray[np.floating]


def band(group: Group, part: str, metric: str) -> Band:
    """Over the group's seeds, at each epoch that any of them reached."""
    found: dict[int, list[float]] = {}
    for run in group.runs:
        for epoch in run.epochs:
            value = epoch.value(part, metric)
            if not math.isnan(value):
                found.setdefault(epoch.epoch, []).append(value)
    epochs = sorted(found)
    spreads = [spread(found[epoch]) for epoch in epochs]
    return Band(
        np.array(epochs, dtype=int),
        np.array([each.mean for each in spreads]),
        np.array([each.deviation for each in spreads]),
    )
