"""What flags are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order of the help."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class MachineOption(click.Option):
    """A flag that only a machine has a use for; the help lists these apart."""


class Count(click.ParamType):
    """A whole number, or a word that stands for one."""

    name = "count"

    def __init__(self, word: str) -> None:
        self._word = word

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if text == self._word:
            return text
        try:
            return int(text)
        except ValueError:
            self.fail(f"{value!r} is neither {self._word} nor a whole number", param, ctx)


class Numbers(click.ParamType):
    """Numbers with commas in between."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers, for example 1,3,5", param, ctx)


class Seeds(click.ParamType):
    """How many, counted from 0, or which ones with commas in between; at least so many."""

    name = "seeds"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        text = str(value)
        try:
            named = tuple(int(part) for part in text.removesuffix(",").split(","))
        except ValueError:
            self.fail(f"{value!r} is neither a number of seeds nor a list like 3,5,8", param, ctx)
        seeds = named if "," in text else tuple(range(*named))
        if len(set(seeds)) < len(seeds):
            self.fail(f"{value!r} names a seed twice", param, ctx)
        if any(seed < 0 for seed in seeds):
            self.fail(f"{value!r} has a seed below 0", param, ctx)
        if len(seeds) < self._least:
            self.fail(f"{value!r} is too few: at least {self._least}", param, ctx)
        return seeds


class Names(click.ParamType):
    """At least one name, with commas in between."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        names = tuple(name.strip() for name in str(value).split(","))
        if not all(names):
            words = "names nothing" if not any(names) else "has a comma without a name beside it"
            self.fail(f"{value!r} {words}; write names as in one,other", param, ctx)
        return names
