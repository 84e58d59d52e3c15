"""Which runs are shown, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, get_args

from qbackend.errors import UnknownNameError, suggest

from .lines import RunLine

KEYS: Mapping[str, Callable[[RunLine], Any]] = {
    "started": lambda line: line.started,
    "name": lambda line: line.name,
    "recipe": lambda line: line.recipe,
    "model": lambda line: (line.model, line.arm),
    "data": lambda line: line.data,
    "backend": lambda line: line.backend,
    "seed": lambda line: line.seed,
    "state": lambda line: line.state,
    "validation": lambda line: line.validation,
    "test": lambda line: line.test,
    "epochs": lambda line: line.epochs,
    "time": lambda line: line.seconds,
    "parameters": lambda line: line.parameters,
    "device": lambda line: line.device_seconds,
}
"""By what runs are sorted."""

UPWARDS = ("name", "recipe", "model", "data", "backend", "seed", "state")
"""Of these the first come first, of all others the last and the largest."""


def check_states(patterns: Iterable[str], lines: Sequence[RunLine]) -> None:
    """Raise `UnknownNameError` for a pattern of no state, whether a run is in it or not."""
    # The help of the command is there sooner without this import.
    from qbackend.validation.records.state import Status

    # A study may not have come to its end, records may be damaged.
    known = {*get_args(Status), "unfinished", "damaged", *(line.state for line in lines)}
    for pattern in patterns:
        if not any(_matches(state, pattern) for state in known):
            raise UnknownNameError(f"no run can be '{pattern}': {suggest(pattern, known)}")


def chosen_runs(
    lines: Sequence[RunLine], wanted: Mapping[str, Sequence[str]], *, cells: bool = True
) -> list[RunLine]:
    """The lines of which each named attribute matches one of its patterns.

    Args:
        lines: of runs and studies.
        wanted: patterns with * and ?, by attribute; upper and lower case are alike. No patterns
            are all.
        cells: whether the runs of studies are among them.
    """
    return [
        line
        for line in lines
        if (cells or not line.study)
        and all(
            any(_matches(getattr(line, name), each) for each in patterns)
            for name, patterns in wanted.items()
            if patterns
        )
    ]


def why_none(lines: Sequence[RunLine], wanted: Mapping[str, Sequence[str]]) -> str:
    """Why `chosen_runs` finds nothing among some lines: the first filter that no run meets."""
    for name, patterns in wanted.items():
        if patterns and not chosen_runs(lines, {name: patterns}):
            known = {str(getattr(line, name)) for line in lines} - {""}
            words = f"none has {name} {' or '.join(map(repr, patterns))}"
            # A state is one of few; that no run is in it is no slip of the pen.
            tail = f"known: {', '.join(sorted(known))}"
            tail = tail if name == "state" else suggest(patterns[0], known)
            return f"{words}; {tail}" if known else words
    return "none meets all of these filters"


def _matches(value: Any, pattern: str) -> bool:
    return fnmatchcase(str(value).lower(), pattern.lower())


def sorted_runs(lines: Sequence[RunLine], key: str, *, reverse: bool = False) -> list[RunLine]:
    """By one of `KEYS`; what has no such value comes last in either direction.

    Raises:
        UnknownNameError: no such key.
    """
    if key not in KEYS:
        raise UnknownNameError(f"runs cannot be sorted by '{key}': {suggest(key, list(KEYS))}")
    value = KEYS[key]
    known = [line for line in lines if value(line) not in (None, "")]
    unknown = [line for line in lines if value(line) in (None, "")]
    return sorted(known, key=value, reverse=(key in UPWARDS) == reverse) + unknown
