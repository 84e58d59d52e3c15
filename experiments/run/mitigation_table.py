"""A comparison of mitigations on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..records.comparisons import MitigationRecord
from ..report.mitigation_words import HEADINGS, cells


def mitigation_table(found: MitigationRecord) -> Table:
    """A row per variant."""
    title = f"mitigation on {found.machine}, {found.n_images:,} images"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="")
    rows = [[each.name, each.verdict or "", *cells(found, each)] for each in found.variants]
    for place, heading in enumerate(("variant", "verdict", *HEADINGS)[: len(rows[0])]):
        # Two lines of words above narrow numbers.
        words = "\n".join(heading.rsplit(" ", 1))
        table.add_column(words, justify="right" if place > 1 else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
