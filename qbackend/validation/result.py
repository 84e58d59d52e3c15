"""What a validation found, as Python has it, as a terminal and a notebook show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import Tensor

from ..errors import OptionError, suggest
from .folder import OwnRun, outputs_name
from .lines import Moved, StageLine, WholeLine
from .measures import Score
from .records.charges import Charges
from .telling import table_text

SHOWN_SCORES = 4
"""Columns of scores; the others are in `scores`."""


@dataclass(frozen=True)
class Validation:
    """A finished validation; `print` shows a table.

    Attributes:
        run: its folder.
        task: what the targets are.
        stages: one per backend, and one where its outputs were calibrated.
        charges: of the jobs; None where no machine was asked.
        moved: since the run that it repeats, if it repeats one.
    """

    run: Path
    task: str
    stages: tuple[StageLine, ...]
    charges: Charges | None = None
    moved: tuple[Moved, ...] = ()

    @classmethod
    def read(cls, run: Path | str) -> Validation:
        """Of a finished run; raises `RunFolderError`, or `OptionError` for one that is not."""
        folder = OwnRun.open(Path(run))
        whole = folder.whole
        if whole is None:
            raise OptionError(
                f"{run} is {folder.status}: the same call of validate goes on with it"
            )
        return cls.of(folder, whole)

    @classmethod
    def of(cls, folder: OwnRun, whole: WholeLine) -> Validation:
        """With what is on record."""
        stages = tuple(folder.stages())
        return cls(folder.path, whole.task, stages, whole.charges, whole.moved)

    def stage(self, name: str) -> StageLine:
        """The one of that name; raises `OptionError` where there is none."""
        return self.stages[self._number(name)]

    def score(self, metric: str, stage: str) -> float | None:
        """A number by the names of both; raises `OptionError` where there is none."""
        scores = self.stage(stage).scores
        if metric not in scores:
            raise OptionError(f"no score '{metric}': {suggest(metric, list(scores))}")
        return scores[metric].value

    def outputs(self, stage: str) -> Tensor:
        """Of the model in a stage, (N, ...); raises `OptionError` or `RunFolderError`."""
        number = self._number(stage)
        return torch.from_numpy(OwnRun.open(self.run).arrays()[outputs_name(number)])

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain values, for JSON."""
        found: dict[str, Any] = {
            "run": str(self.run),
            "task": self.task,
            "stages": [stage.to_dict() for stage in self.stages],
        }
        if self.charges is not None:
            found["charges"] = self.charges.to_dict()
        if self.moved:
            found["moved"] = [each.to_dict() for each in self.moved]
        return found

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        yield table_text(stage_table(self.stages)).rstrip("\n")
        if self.charges is not None and self.charges.estimated_seconds:
            charges = self.charges
            yield (
                f"{charges.charged_seconds:.1f} s of QPU time charged{charges.money}, "
                f"{charges.estimated_seconds:.1f} s estimated"
            )
        for each in self.moved:
            yield moved_words(each)
        yield f"run folder: {self.run}; its page: qhc report {self.run}"

    def _number(self, name: str) -> int:
        names = [stage.stage for stage in self.stages]
        if name not in names:
            raise OptionError(f"no stage '{name}': {suggest(name, names)}")
        return names.index(name)


def stage_table(stages: tuple[StageLine, ...]) -> Table:
    """A row per stage: scores with intervals, layers' errors, shots, seconds."""
    table = Table("stage", box=SIMPLE_HEAD)
    scores = list(stages[0].scores)[:SHOWN_SCORES] if stages else []
    layers = [layer.name for layer in stages[0].layers] if stages else []
    shown = layers if len(layers) <= SHOWN_SCORES else []
    for heading in (
        "items", *scores, *(f"RMSE of {name}" for name in shown), "shots", "jobs", "seconds",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in stages:
        errors = [
            "reference" if stage.is_reference else number_words(layer.rmse)
            for layer in stage.layers
            if layer.name in shown
        ]
        table.add_row(
            stage.stage,
            f"{stage.n_items:,}",
            *(score_words(stage.scores[name]) for name in scores),
            *errors,
            "exact" if stage.shots is None else f"{stage.shots:,}",
            f"{stage.jobs:,}" if stage.jobs else "",
            f"{stage.seconds:.1f}",
        )
    return table


def score_words(score: Score) -> str:
    """A number with its interval."""
    words = number_words(score.value)
    if score.interval is None:
        return words
    return f"{words} ({number_words(score.interval[0])} to {number_words(score.interval[1])})"


def number_words(value: float | None) -> str:
    """To four digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"


def moved_words(moved: Moved) -> str:
    """How far a stage has moved since the run that is repeated, in a line."""
    layers = []
    for each in moved.layers:
        chance = "" if each.by_chance is None else f" ({each.by_chance:.4f} by chance)"
        layers.append(f"outputs of {each.name} by {each.rmse:.4f}{chance}")
    scores = [
        f"{name} {number_words(then)} then, {number_words(now)} now"
        for name, (then, now) in moved.scores.items()
    ]
    where = moved.now if moved.then == moved.now else f"{moved.now} against {moved.then}"
    return f"since {moved.started[:16]}, {where}: {'; '.join([*layers, *scores])}"
