"""Two runs of the same weights on the same images, as a section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...records.drift import DriftRecord, MovedError, OutputDrift, Side
from ..numbers import ABSENT, counted, number, percent, signed
from ..pictures.image_grid import changed
from ..pictures.projection import subsample
from ..render import Column, Drawing, Table
from ..words import titled
from . import figures
from .facts import (
    ERROR_WORDS,
    accuracy_words,
    answered_words,
    drift_words,
    error_words,
    qubit_numbers,
    side_words,
)

MOST_CHANGED = 100
"""Images that the table names of those whose answer has changed."""

NUMBERED = "An image's number is that in the test split."
PICTURED = (
    " Above a picture stand the true class, and the classes before and now: red where a correct "
    "answer became wrong, green where a wrong one became right."
)

Arrays = Mapping[str, NDArray[Any]]
"""What `Comparison.arrays` gives, with `changed_places` and `changed_images` where there are."""


@dataclass(frozen=True)
class DriftSection:
    """What a page shows of two runs; `pictures` are names of its drawings.

    Attributes:
        title: which two.
        sides, outputs, moved, changed: tables, None where there is nothing to say.
        facts: what is to be told first.
        note, changed_note: how to read it, and the images whose answer has changed.
        drawings: by name.
    """

    title: str
    sides: Table
    outputs: Table | None
    moved: Table | None
    changed: Table | None
    facts: list[tuple[str, str]]
    note: str
    changed_note: str
    drawings: dict[str, Drawing]

    @property
    def pictures(self) -> list[str]:
        return list(self.drawings)


def drift_section(found: DriftRecord, arrays: Arrays, prefix: str = "drift") -> DriftSection:
    """The section of one comparison.

    Args:
        found: its record.
        arrays: the answers; empty where they are not there any more.
        prefix: of the drawings' names.
    """
    facts = {"accuracy": accuracy_words(found)}
    if found.answered is not None:
        facts["same class in both"] = answered_words(found.answered, found.n_images)
    if found.together is not None:
        facts["drift of the outputs"] = drift_words(found.together)
    drawings = _drawings(found, arrays)
    return DriftSection(
        title=f"{side_words(found.now)}, beside {side_words(found.then)}",
        sides=_sides(found.then, found.now),
        outputs=_outputs(found) if found.outputs else None,
        moved=_moved([*found.moved, *found.medians]) if found.moved else None,
        changed=_changed(arrays),
        facts=titled(facts),
        note=_note(found),
        changed_note=NUMBERED + (PICTURED if "changed" in drawings else ""),
        drawings={f"{prefix}-{name}": each for name, each in drawings.items()},
    )


def _sides(then: Side, now: Side) -> Table:
    """What the two were, side by side."""
    columns = [Column("", False), Column("Before", False), Column("Now", False)]
    rows = [[name, words(then), words(now)] for name, words in _LINES]
    return Table(columns, [row for row in rows if row[1:] != [ABSENT, ABSENT]])


_LINES = (
    ("Run", lambda side: side.run),
    ("Started", lambda side: _minute(side.started)),
    ("Backend", lambda side: side.backend),
    ("Calibration", lambda side: _minute(side.calibrated_at)),
    ("Qubits", lambda side: ", ".join(map(str, side.qubits)) or ABSENT),
    ("Expected fidelity", lambda side: number(side.fidelity, 3)),
    ("Shots", lambda side: ABSENT if side.shots is None else number(side.shots, 0)),
    ("Accuracy", lambda side: percent(side.accuracy)),
    ("95 % interval", lambda side: " to ".join(f"{100 * bound:.2f}" for bound in side.interval)),
    (
        "Accuracy, corrected",
        lambda side: ABSENT if side.corrected is None else percent(side.corrected),
    ),
)


def _minute(moment: str | None) -> str:
    return ABSENT if moment is None else moment[:16].replace("T", " ")


def _outputs(found: DriftRecord) -> Table:
    columns = [Column("Output", False), Column("RMSE"), Column("By the shots alone")]
    columns += [Column("In units of that"), Column("Mean shift"), Column("± by the shots")]
    assert found.together is not None
    return Table(columns, [_output(each) for each in (*found.outputs, found.together)])


def _output(each: OutputDrift) -> list[str]:
    return [
        each.name,
        number(each.rmse),
        number(each.shot_rmse),
        number(each.in_errors, 2),
        f"{each.shift:+.4f}".replace("-", "−"),
        number(each.shift_error),
    ]


def _moved(found: Sequence[MovedError]) -> Table:
    columns = [Column("Error", False), Column("Qubits", False), Column("Before"), Column("Now")]
    columns.append(Column("Factor"))
    rows = []
    for each in found:
        ratio = None
        # An error of 1 is no error, but says that nothing is calibrated.
        if each.then and each.now and max(each.then, each.now) < 1:
            ratio = each.now / each.then
        where = qubit_numbers(each.qubits) if each.qubits else "median of the device"
        values = error_words(each.then), error_words(each.now)
        rows.append([ERROR_WORDS[each.kind], where, *values, number(ratio, 2)])
    return Table(columns, rows)


def _changed(arrays: Arrays) -> Table | None:
    """Images whose class is not the same, in the order of the split."""
    if not arrays:
        return None
    then, now, names = arrays["then_predictions"], arrays["now_predictions"], arrays["classes"]
    places = np.flatnonzero(then != now)
    if not len(places):
        return None
    columns = [Column("Image"), Column("True class", False), Column("Before", False)]
    columns.append(Column("Now", False))
    rows = [
        [
            number(int(arrays["indices"][place]), 0),
            *(str(names[each[place]]) for each in (arrays["labels"], then, now)),
        ]
        for place in places[:MOST_CHANGED]
    ]
    more = len(places) - len(rows)
    caption = f"Another class: {counted(len(places), 'image')}"
    return Table(columns, rows, f"{caption}, the last {more:,} left out" if more else caption)


def _note(found: DriftRecord) -> str:
    words = (
        "RMSE is the root-mean-square difference of the quantum layer's expectation values, now "
        "minus before. By the shots alone it would be what the standard errors of both runs add "
        "up to: 1 in units of that is no drift at all."
    )
    if found.answered is None:
        return (
            f"{words} Accuracies are those to expect from the rows, their intervals those of the "
            "simulation."
        )
    low, high = (signed(100 * bound) for bound in found.answered.interval)
    return (
        f"{words} The accuracies differ by {signed(100 * found.answered.difference)} points, 95 % "
        f"interval {low} to {high}: Newcombe's for the same images twice."
    )


def _drawings(found: DriftRecord, arrays: Arrays) -> dict[str, Drawing]:
    drawings: dict[str, Drawing] = {}
    if "then_outputs" in arrays:
        chosen = subsample(len(arrays["then_outputs"]))
        drawn = (arrays[key][chosen] for key in ("then_outputs", "now_outputs"))
        words = "Outputs of the quantum layer now over those before, an image each."
        drawings["outputs"] = Drawing(figures.outputs(*drawn), words)
    if found.outputs:
        words = "Root-mean-square drift of each output beside what the shots alone give."
        drawings["each"] = Drawing(figures.drifts(found.outputs), words)
    known = [each for each in found.moved if each.then and each.now]
    if known:
        words = "Reported errors before and now of those that changed most."
        drawings["moved"] = Drawing(figures.moved(known), words)
    if len(arrays.get("changed_places", ())):
        drawings["changed"] = Drawing(*_pictures(arrays))
    return drawings


def _pictures(arrays: Arrays) -> tuple[Figure, str]:
    """The first images whose class is not the same."""
    names = arrays["classes"]
    keys = ("labels", "then_predictions", "now_predictions")
    captions = []
    for place in arrays["changed_places"]:
        true, before, now = (str(names[arrays[key][place]]) for key in keys)
        captions.append((true, before, now))
    images = np.moveaxis(arrays["changed_images"], 1, -1)
    title = f"Another answer than before: {counted(len(captions), 'image')} shown"
    words = "; ".join(f"{true}: {before} became {now}" for true, before, now in captions)
    return changed(images, captions, title), f"{title}. {words}."
