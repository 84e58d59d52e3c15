"""How long things take on a machine that is never quite quiet.

What is compared is timed in turn, round after round in one process, so that whatever disturbs the
machine disturbs all of it alike.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import psutil
import torch

from qbackend.validation.records.environment import computer, versions

SHORT = 0.05
"""Seconds; a call shorter than this is repeated once untimed when its turn comes again."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median and the quartiles of `calls` calls."""

    median: float
    lower: float
    upper: float
    calls: int

    def times(self, scale: float) -> Timing:
        """The same for so many times the work."""
        return replace(
            self, median=scale * self.median, lower=scale * self.lower, upper=scale * self.upper
        )


@dataclass(frozen=True)
class Effort:
    """How much time to give each contestant: `rounds` turns of about `seconds / rounds` each."""

    seconds: float
    rounds: int


FULL = Effort(seconds=2.0, rounds=20)
QUICK = Effort(seconds=0.3, rounds=6)


def clock(call: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleave(calls: Mapping[str, Callable[[], object]], effort: Effort) -> dict[str, Timing]:
    """Time every call of `calls`, in turn, each in blocks that take about the same time.

    The calls have been made before: what happens only at first is over. One that takes longer
    than `effort.seconds` is timed three times, one that takes four times as long only once.
    """
    block = effort.seconds / effort.rounds
    latest = {name: clock(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {
        name: [latest[name]] if latest[name] > 4 * effort.seconds else [] for name in calls
    }
    names = list(calls)
    for turn in range(effort.rounds):
        # Each round starts with another one: nobody always follows the same neighbour.
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            if len(samples[name]) >= _most_calls(latest[name], effort):
                continue
            if latest[name] < SHORT:
                latest[name] = clock(calls[name])
            for _ in range(max(1, min(1000, round(block / latest[name])))):
                samples[name].append(clock(calls[name]))
    return {name: summary(samples[name]) for name in calls}


def _most_calls(latest: float, effort: Effort) -> float:
    if latest > 4 * effort.seconds:
        return 1
    return 3 if latest > effort.seconds else math.inf


def summary(samples: Sequence[float]) -> Timing:
    """Of seconds per call."""
    lower, median, upper = (float(value) for value in np.quantile(samples, (0.25, 0.5, 0.75)))
    return Timing(median=median, lower=lower, upper=upper, calls=len(samples))


def conditions(distributions: Iterable[str]) -> dict[str, Any]:
    """What a measurement depends on besides the code: machine, threads, load, versions, time."""
    others = {name: version for name in distributions if (version := installed(name))}
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": computer("none").to_dict(),
        "torch_threads": torch.get_num_threads(),
        "threads_in_environment": {
            name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")
        },
        "load_average": psutil.getloadavg(),
        "versions": {**versions(), **others},
    }


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
