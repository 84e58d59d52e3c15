"""The examples below a command's help as what they are: lines to paste."""

from __future__ import annotations

import re

import click
from sphinx.application import Sphinx

_WORDS = re.compile(r" {3,}(?=\S)")


def _as_code(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """In place of what sphinx-click makes of an epilogue, which joins its columns."""
    heading, *examples = (context.command.epilog or "").strip("\b\n ").splitlines() or [""]
    if examples:
        lines[:] = [f"**{heading.strip(':')}**", "", ".. code-block:: bash", ""]
        # What an example does stands in a column of its own; a shell would need a # there.
        lines += ["   " + _WORDS.sub("   # ", example.strip(), count=1) for example in examples]
        lines.append("")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("sphinx-click-process-epilog", _as_code)
    return {"parallel_read_safe": True}
