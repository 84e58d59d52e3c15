"""From records and figures to one self-contained HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from qbackend.errors import RecordError
from qbackend.validation.records.version import release

from ..records.files import write_atomically
from .style import styled

DOTS_PER_INCH = 200
PIXELS_PER_INCH = 92
"""On the page, before it is scaled to the reader's width; text then has the size of the page's."""


@dataclass(frozen=True)
class Drawing:
    """A figure and the words for those who cannot see it."""

    figure: Figure
    alt: str


@dataclass(frozen=True)
class Part:
    """What a section of a page shows: values for the template, and drawings by name."""

    context: dict[str, Any]
    drawings: dict[str, Drawing] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A drawing as the page has it: a data URI, its width and height in pixels, its words."""

    source: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Section:
    """An entry of the table of contents."""

    anchor: str
    title: str


@dataclass(frozen=True)
class Column:
    """A table's column; numbers are set flush right, one above the other."""

    title: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of finished text."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str = ""


def write_page(
    template: str, folder: Path, drawings: Mapping[str, Drawing], context: Mapping[str, Any]
) -> Path:
    """Write `figures/NAME.png` for every drawing, and `report.html` with all of them inside.

    Raises:
        RecordError: a file could not be written; a report that was there before is untouched.
    """
    figures = folder / "figures"
    try:
        figures.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{figures} could not be made: {error.strerror or error}") from error
    pictures = {name: _save(figures / f"{name}.png", each) for name, each in drawings.items()}
    page = folder / "report.html"
    text = (
        _templates()
        .get_template(template)
        .render(
            pictures=pictures,
            version=release(),
            written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            **context,
        )
    )
    write_atomically(page, text.encode())
    return page


@styled
def _save(path: Path, drawing: Drawing) -> Picture:
    content = io.BytesIO()
    drawing.figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    write_atomically(path, content.getvalue())
    width, height = (round(PIXELS_PER_INCH * inches) for inches in drawing.figure.get_size_inches())
    encoded = base64.b64encode(content.getvalue()).decode()
    return Picture(f"data:image/png;base64,{encoded}", width, height, drawing.alt)


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["zip"] = zip
    return environment
