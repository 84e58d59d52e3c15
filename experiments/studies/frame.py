"""What a study is: settings under several seeds, each computed once, and what is said of them.

A study is a subclass of `Study`. It says what it varies, what a cell computes, how the outcomes of
a setting's seeds are summed up and in which columns that is shown. The star or every combination,
cells that are never computed twice, the csv, the json, the table, the page and the command
`qhc ablate NAME` follow from it; `commands/ablate` lists it.

A declaration imports what computes inside its functions: help answers at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from .axes import Axes, Axis

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ..config.sections import Config
    from ..records.folder import Record
    from ..report.render import Drawing
    from ..run.display import Display
    from ..run.start import Place
    from .grid import Workers

Setting = TypeVar("Setting", bound="DataclassInstance")
"""A study's own dataclass, with an attribute for each of its axes."""
Scores = TypeVar("Scores", bound="DataclassInstance")
"""A study's own dataclass of what is said of a setting over its seeds; has it as `setting`."""
Groups = Mapping[Setting, Mapping[int, "Record"]]
"""Outcomes by setting and seed."""


@dataclass(frozen=True)
class Cell(Generic[Setting]):
    """One setting under one seed, which is computed once.

    Attributes:
        setting: of the study.
        seed: that everything is drawn by.
        config: of the run that belongs to the cell, the seed included.
        folder: of that run, where the cell trains one.
        place: where data is; the command that was typed.
    """

    setting: Setting
    seed: int
    config: Config
    folder: Path
    place: Place

    @property
    def key(self) -> tuple[Setting, int]:
        """What its outcome is found by."""
        return self.setting, self.seed


@dataclass(frozen=True)
class ScoreColumn(Generic[Scores]):
    """A column of the table of settings.

    Attributes:
        heading: on the terminal.
        text: what it says of a setting's scores.
        title: on the page, if not the heading with a capital letter.
    """

    heading: str
    text: Callable[[Scores], str]
    title: str = ""


@dataclass(frozen=True)
class Results:
    """All that a study found.

    Attributes:
        config: of the recipe.
        outcomes: by setting and seed.
        scores: of every setting, in the order of first appearance.
    """

    config: Config
    outcomes: Mapping[tuple[Any, int], Record]
    scores: Sequence[Any]

    @property
    def n_seeds(self) -> int:
        """Of every setting."""
        return len({seed for _, seed in self.outcomes})


class Pictures(NamedTuple):
    """A section of a page: those of the named drawings that there are, and a note on them."""

    anchor: str
    title: str
    names: Sequence[str]
    note: str = ""


@dataclass(frozen=True)
class Page:
    """What a study's page says beside its table, the command and the recipe's notes."""

    title: str
    sentence: str
    note: str = ""
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    sections: Sequence[Pictures] = ()


class Seeds(NamedTuple):
    """How many seeds a setting has: by default, at least, and the words of `--seeds`."""

    usual: int
    least: int = 1
    help: str = "How many of each setting, from 0 on, or which: 3,5,8."


@dataclass(frozen=True)
class Study(ABC, Generic[Setting, Scores]):
    """A comparison of many settings; its fields are options of its own, with `help` beside them.

    Attributes:
        name: of the command, the folder and the files.
        help: of the command.
        examples: of the command.
        setting: of the study, a dataclass.
        axes: what is varied.
        planes: axes whose values the star combines with one another; each by itself without.
        columns: what the table says of a setting, beside its axes.
        chosen: keys of the recipe, or tables of it, that the study chooses the values of, and the
            option by which.
        recipe: where none is named.
        seeds: how many.
        at_a_time: what `--jobs` counts.
        usual_jobs: how many without `--jobs`; None for as many as there are cores.
        counted: what is said to get done.
        is_ruled: whether the table on the terminal has lines between its cells.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    setting: ClassVar[type]
    axes: ClassVar[tuple[Axis, ...]]
    planes: ClassVar[tuple[tuple[str, ...], ...]] = ()
    columns: ClassVar[tuple[ScoreColumn[Any], ...]]
    examples: ClassVar[str] = ""
    chosen: ClassVar[Mapping[str, str]] = {}
    recipe: ClassVar[str] = "digits"
    seeds: ClassVar[Seeds] = Seeds(5)
    at_a_time: ClassVar[str] = "cells"
    usual_jobs: ClassVar[int | None] = None
    counted: ClassVar[str] = "cells"
    is_ruled: ClassVar[bool] = False

    @abstractmethod
    def compute(self, cell: Cell[Setting]) -> Record:
        """A cell's outcome, in JSON's terms; other processes call it."""

    @abstractmethod
    def sum_up(self, setting: Setting, groups: Groups[Setting]) -> Scores:
        """A setting over its seeds, beside the others."""

    def settings(self, *, full: bool = False, **lists: str) -> list[Setting]:
        """The star around the centre, or every combination, of the values of comma-separated lists.

        Raises `UserError` for mistakes in them.
        """
        axes = Axes.typed(self.axes, lists)
        names = [axis.name for axis in self.axes]
        combined = axes.plane(*names) if full else self.star(axes)
        return list(dict.fromkeys(self.combine(values) for values in combined))

    def star(self, axes: Axes) -> Iterator[dict[str, Any]]:
        """Values on each axis: those of every plane, with the centre's on the other axes."""
        for plane in self.planes or [(axis.name,) for axis in self.axes]:
            yield from axes.plane(*plane)

    def combine(self, values: Mapping[str, Any]) -> Setting:
        """The setting of a value on each axis."""
        return self.setting(**values)

    def check(self, config: Config) -> None:
        """Raise `UserError` for a recipe that the study can do nothing with."""

    def settled(self, config: Config, settings: Sequence[Setting]) -> Sequence[Setting]:
        """The settings as the recipe can have them."""
        return settings

    def threads(self, config: Config) -> int | None:
        """Of every cell, whatever their number at a time; None for what each run finds itself."""
        return config.run.threads or 1

    def values(self, setting: Setting) -> dict[str, Any]:
        """The values of the recipe that the setting stands for, by dotted key."""
        return {}

    def keys(self, settings: Sequence[Setting], seeds: Sequence[int]) -> list[tuple[Setting, int]]:
        """The cells in order. Seed by seed: what is stopped leaves whole comparisons."""
        return [(setting, seed) for seed in seeds for setting in settings]

    def label(self, setting: Setting) -> str:
        """A setting's name, in a folder's terms."""
        return "-".join(self.described(setting))

    def home(self, setting: Setting, seed: int) -> Path:
        """The folder of a cell's run, below the study's."""
        return Path("runs", f"{self.label(setting)}-seed{seed}")

    def inputs(self, cell: Cell[Setting]) -> Record:
        """What the outcome depends on, beside the cell's config and versions of the software."""
        return {"setting": asdict(cell.setting)}

    def prepare(
        self, cells: Sequence[Cell[Setting]], workers: Workers, display: Display
    ) -> dict[tuple[Setting, int], Record]:
        """Do what cells have in common; returns the outcomes of those that are done by that."""
        return {}

    def summarise(self, outcomes: Mapping[tuple[Setting, int], Record]) -> list[Scores]:
        """Every setting over its seeds."""
        groups: dict[Setting, dict[int, Record]] = {}
        for (setting, seed), outcome in outcomes.items():
            groups.setdefault(setting, {})[seed] = outcome
        return [self.sum_up(setting, groups) for setting in groups]

    def described(self, setting: Setting) -> list[str]:
        """A setting's values in words, by axis."""
        return [axis.show(getattr(setting, axis.name)) for axis in self.axes]

    def row(self, setting: Setting, seed: int, outcome: Record) -> Record:
        """A cell's row of the tidy table."""
        return {**asdict(setting), "seed": seed, **outcome}

    def rows(self, results: Results) -> list[Record]:
        """The csv: a row per cell."""
        return [self.row(*key, outcome) for key, outcome in results.outcomes.items()]

    def entry(self, scores: Scores) -> Record:
        """What the json says of a setting."""
        return asdict(scores)

    def content(self, results: Results) -> Record:
        """The json, after the recipe's name, protocol and notes."""
        settings = [self.entry(each) for each in results.scores]
        return {"cells": self.rows(results), "settings": settings}

    def caption(self, results: Results) -> str:
        """What stands above the table on the terminal."""
        return f"{results.config.recipe}, {results.n_seeds} seeds"

    def page(self, results: Results) -> Page | None:
        """What the page says; None where the runs side by side say it all."""
        settings = f"{len(results.scores):,} settings, over {results.n_seeds:,} seeds"
        return Page(f"{results.config.recipe}: {self.name}", f"{settings}.")
