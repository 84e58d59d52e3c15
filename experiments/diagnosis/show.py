"""What was found, as a table with its evidence below, and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..report.numbers import counted
from .diagnose import Checked
from .findings import SEVERITIES, Severity

STYLES: dict[Severity, str] = {"defect": "bold red", "warning": "yellow", "note": "cyan"}


def show(console: Console, name: str, checked: Sequence[Checked]) -> None:
    """A line per check, then what each finding rests on and what to do."""
    table = Table("check", "result", "what was seen", box=SIMPLE_HEAD, title=None)
    for each in checked:
        table.add_row(each.name, _result(each), Text(each.outcome.seen))
    console.print(table)
    for severity in SEVERITIES:
        for each in checked:
            for found in each.outcome.findings:
                if found.severity != severity:
                    continue
                title = Text.assemble((severity, STYLES[severity]), f" {each.name}: ", found.what)
                console.print(title, soft_wrap=False)
                for line in (*found.evidence, f"→ {found.advice}"):
                    console.print(Padding(Text(line), (0, 0, 0, 4)))
                console.print()
    console.print(Text(f"{name}: {_total(checked)}"))


def summary(name: str, checked: Sequence[Checked]) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "target": name,
        **{f"{severity}s": n_findings(checked, severity) for severity in SEVERITIES},
        "checks": [
            {
                "check": each.name,
                "result": _result(each).plain,
                "seen": each.outcome.seen,
                "seconds": round(each.seconds, 3),
                "findings": [
                    {
                        "severity": found.severity,
                        "what": found.what,
                        "evidence": list(found.evidence),
                        "advice": found.advice,
                    }
                    for found in each.outcome.findings
                ],
            }
            for each in checked
        ],
    }


def n_findings(checked: Sequence[Checked], severity: Severity) -> int:
    """How many findings are that bad."""
    return sum(found.severity == severity for each in checked for found in each.outcome.findings)


def _result(each: Checked) -> Text:
    worst = each.outcome.worst
    if worst is not None:
        more = len(each.outcome.findings) - 1
        return Text(worst + (f" +{more}" if more else ""), style=STYLES[worst])
    return Text("skipped", style="dim") if each.outcome.skipped else Text("ok", style="green")


def _total(checked: Sequence[Checked]) -> str:
    counts = [
        counted(n, severity) for severity in SEVERITIES if (n := n_findings(checked, severity))
    ]
    made = sum(not each.outcome.skipped for each in checked)
    return f"{', '.join(counts) or 'nothing found'} in {counted(made, 'check')}"
