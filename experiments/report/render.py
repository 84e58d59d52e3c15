"""From records and figures to one self-contained HTML file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from qbackend.errors import RecordError
from qbackend.validation.records.files import write_atomically
from qbackend.validation.records.version import release

from .pictures.inline_svg import PIXELS_PER_INCH, inline_svg
from .pictures.style import DARK, styled

DOTS_PER_INCH = 200
"""Of the files in `figures/`."""


@dataclass(frozen=True)
class Drawing:
    """A figure and the words for those who cannot see it."""

    figure: Figure
    alt: str


@dataclass(frozen=True)
class Part:
    """What a section of a page shows.

    Attributes:
        context: values for the template.
        drawings: by name.
        title: in the place of the section's usual one.
    """

    context: dict[str, Any]
    drawings: dict[str, Drawing] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing as the page has it: SVG that may stand in HTML, and its width in pixels."""

    svg: Markup
    width: int


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
    write_atomically(page, page_text(template, pictures=pictures, **context).encode())
    return page


def page_text(template: str, **context: Any) -> str:
    """A page of a template and what it asks for."""
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    found = _templates().get_template(template)
    return found.render(dark_colours=DARK, version=release(), written=written, **context)


@styled
def _save(path: Path, drawing: Drawing) -> Picture:
    content = io.BytesIO()
    drawing.figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    write_atomically(path, content.getvalue())
    width = round(PIXELS_PER_INCH * drawing.figure.get_size_inches()[0])
    return Picture(Markup(inline_svg(drawing.figure, path.stem, drawing.alt)), width)


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
