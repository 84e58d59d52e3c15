"""The directive `measured`: when and with what the files of results were made, from themselves.

A page that a measurement wrote may begin without a heading: it is then called as its file is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Measured(SphinxDirective):
    """A list of the page's folder's JSON files, with the conditions that each has written down."""

    def run(self) -> list[nodes.Node]:
        """Parsed as if the page said it."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        return self.parse_text_to_nodes("\n".join(map(_entry, sorted(folder.glob("*.json")))))


def _entry(file: Path) -> str:
    content = json.loads(file.read_text())
    # One report, or one for each of several cases that were measured by themselves.
    reports: list[dict[str, Any]] = content if isinstance(content, list) else [content]
    times = sorted(report["conditions"]["time"][:16].replace("T", " ") for report in reports)
    conditions = reports[0]["conditions"]
    machine, versions = conditions["machine"], dict(conditions["versions"])
    accelerator = reports[0].get("device", machine["accelerator"])
    commit = versions.pop("commit", None)
    period = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    threads = conditions["torch_threads"]
    return (
        f"- [{file.name}]({file.name}): {period} UTC; {machine['processor']}, {machine['cores']} "
        f"cores, accelerator {accelerator}, {threads} threads; commit `{commit}`; "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
    )


def _titled(app: Sphinx, page: str, source: list[str]) -> None:
    if page.startswith("results/") and not source[0].startswith("# "):
        source[0] = f"# {page.removeprefix('results/')}\n\n{source[0]}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("measured", Measured)
    app.connect("source-read", _titled)
    return {"parallel_read_safe": True}
