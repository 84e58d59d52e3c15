"""What a check says: findings with their evidence, or what it measured where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["defect", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("defect", "warning", "note")
"""Worst first: what is wrong whatever was meant; what costs accuracy or time and may be meant; what
a reader of the results should know."""


@dataclass(frozen=True)
class Finding:
    """One thing that spoils a training, or may.

    Attributes:
        severity: how bad it is.
        what: in one line.
        evidence: what was measured, each number with its limit.
        advice: what to do.
    """

    severity: Severity
    what: str
    evidence: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Outcome:
    """What one check came to.

    Attributes:
        seen: what was measured, in a line.
        findings: none where all is well.
        skipped: whether there was nothing to look at; `seen` then says why.
    """

    seen: str
    findings: tuple[Finding, ...] = ()
    skipped: bool = False

    @property
    def worst(self) -> Severity | None:
        """Of the findings; None where there are none."""
        found = {each.severity for each in self.findings}
        return next((each for each in SEVERITIES if each in found), None)


def skipped(why: str) -> Outcome:
    """The outcome of a check that has nothing to look at."""
    return Outcome(why, skipped=True)
