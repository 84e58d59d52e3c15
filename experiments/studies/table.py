"""What a study found as files: rows for programs, scores for a person."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.table import Table

from qbackend.validation.records.files import csv_content, write_atomically
from qbackend.validation.telling import table_text

from .frame import Results, Study


def write_tables(study: Study[Any, Any], results: Results, folder: Path) -> None:
    """Write `NAME.csv`, `NAME.json` and `NAME.txt`; raises `RecordError`."""
    config = results.config
    content = {
        "recipe": config.recipe,
        "protocol": config.protocol,
        "notes": config.notes(),
        **study.content(results),
    }
    written = json.dumps(_finite(content), indent=1, allow_nan=False)
    files = {
        "csv": csv_content(study.rows(results)),
        "json": written.encode(),
        "txt": table_text(scores_table(study, results)).encode(),
    }
    for ending, text in files.items():
        write_atomically(folder / f"{study.name}.{ending}", text)


def scores_table(study: Study[Any, Any], results: Results) -> Table:
    """The settings for a person to read."""
    table = Table(title=study.caption(results), box=HEAVY_HEAD)
    if not study.is_ruled:
        table.title_justify, table.title_style, table.box = "left", "", SIMPLE_HEAD
    for axis in study.axes:
        table.add_column(axis.name, no_wrap=True)
    for column in study.columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for scores in results.scores:
        table.add_row(*shown(study, scores))
    return table


def shown(study: Study[Any, Any], scores: Any) -> list[str]:
    """A row of the table."""
    return [*study.described(scores.setting), *(each.text(scores) for each in study.columns)]


def _finite(values: Any) -> Any:
    """The values with null for what a single seed leaves undefined."""
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and math.isnan(values) else values
