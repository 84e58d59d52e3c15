"""A figure as SVG within a page: its colours are the page's, and it says values where it is told.

Matplotlib's SVG is for a file of its own. Within a page the names of its parts must be none of
another picture's, and every digit is carried by whoever is sent the page.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from .hover import HOVER
from .style import variable

SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "qhc"}
PIXELS_PER_INCH = 92
"""On the page, before it is scaled to the reader's width; text then has the size of the page's."""
FONTS = "'DejaVu Sans', Verdana, sans-serif"
"""Of the same widths as those that the figure was laid out with."""


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an `svg` element.

    Args:
        figure: drawn under `styled`.
        name: that no other picture of the page has.
        alt: its words for those who cannot see it.
    """
    content = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    for unwanted in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style type=.*?</style>"):
        text = re.sub(unwanted, "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", "\n", text.replace("<defs>\n </defs>", ""))
    text = re.sub(rf'<g id="{HOVER}([^"]*)">', r'<g class="hover"><title>\1</title>', text)
    # Names, styles and numbers are those of tags: words between them stay as they are.
    text = _named_apart(text, name)
    text = re.sub(r'(?<= )(d|x|y)="[^"]*"', lambda found: _rounded(found[0]), text)
    text = re.sub(r'style="[^"]*"', lambda found: _themed(found[0]), text)
    return _with_classes(_opened(text, figure, name, alt), name)


def _opened(text: str, figure: Figure, name: str, alt: str) -> str:
    """With a first tag of our own."""
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    width, height = (round(PIXELS_PER_INCH * inches) for inches in figure.get_size_inches())
    size = f'width="{width}" height="{height}"'
    tag = f'<svg id="{name}" role="img" aria-label="{escape(alt)}" {size} {box[0]}>'
    return tag + text[text.index(">") + 1 :].rstrip()


def _named_apart(text: str, name: str) -> str:
    """Names that are referred to begin with the picture's; others go."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]*)"', renamed, text)
    return re.sub(r'(href="|url\()#', rf"\1#{name}-", text)


def _rounded(attribute: str) -> str:
    """Hundredths of a point are finer than any screen."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute)


def _themed(style: str) -> str:
    """In the page's colours and fonts."""
    style = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", FONTS, style)
    return re.sub(r"#[0-9a-f]{6}", lambda found: variable(found[0]), style)


def _with_classes(text: str, name: str) -> str:
    """Styles of more than one element once, at the top."""
    counts = Counter(re.findall(r'style="([^"]*)"', text))
    shared = [style for style, count in counts.items() if count > 1]
    classes = {style: f"s{number}" for number, style in enumerate(shared)}

    def shortened(found: re.Match[str]) -> str:
        return f'class="{classes[found[1]]}"' if found[1] in classes else found[0]

    text = re.sub(r'style="([^"]*)"', shortened, text)
    rules = "".join(f"#{name} .{short}{{{style}}}" for style, short in classes.items())
    start = text.index(">") + 1
    return f"{text[:start]}<style>{rules}</style>{text[start:]}" if rules else text
