"""The page of a study: its table, its pictures, how to repeat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..report.render import Column, Section, Table, write_page
from .frame import Page, Results, Study
from .table import shown


def write_study_page(
    study: Study[Any, Any], page: Page, results: Results, command: str, folder: Path
) -> Path:
    """Write `report.html` and `figures/*.png` into `folder`; returns the page.

    Raises:
        RecordError: the folder could not be written to.
    """
    columns = [Column(axis.name.capitalize(), False) for axis in study.axes]
    columns += [
        Column(column.title or column.heading[0].upper() + column.heading[1:])
        for column in study.columns
    ]
    drawn = [each for each in page.sections if page.drawings.keys() & set(each.names)]
    context = {
        "several": True,
        "title": page.title,
        "sentence": page.sentence,
        "scores": Table(columns, [shown(study, each) for each in results.scores]),
        "note": page.note,
        "pictured": {each.anchor: each for each in drawn},
        "command": command,
        "notes": results.config.notes(),
        "sections": [
            Section("results", "Results"),
            *(Section(each.anchor, each.title) for each in drawn),
            Section("repeat", "Repeat it"),
        ],
    }
    return write_page("study.html", folder, page.drawings, context)
