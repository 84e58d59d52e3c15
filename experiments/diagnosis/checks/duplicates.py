"""Samples that are in two splits, byte by byte."""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b

from ..findings import Finding, Outcome, Severity, skipped
from ..subject import Samples, Subject

ADVICE = {
    "validation": "take the copies out before the data is divided, or divide by what they are of",
    "test": "report it beside the accuracy; the test split itself is nobody's to choose from",
}


def look(subject: Subject) -> Outcome:
    """Hashes of all samples; those of the test split are counted, and nothing follows from it."""
    splits = {name: each for name, each in subject.splits.items() if len(each)}
    if len(splits) < 2 or "training" not in splits:
        return skipped("one split alone")
    digests = {name: _digests(each) for name, each in splits.items()}
    findings: list[Finding] = []
    words = []
    for name in ("validation", "test"):
        if name in splits:
            n = sum(each in digests["training"] for each in _listed(splits[name]))
            words.append(f"{n} of {len(splits[name]):,} {name} samples are training samples too")
            findings += _shared(name, n, len(splits[name]))
    findings += _contradictions(splits["training"], digests["training"])
    if _is_same(splits):
        # Published protocols validate on the test split; the recipe says so itself.
        words.append("validation and test are one split")
    return Outcome("; ".join(words), tuple(findings))


def _listed(samples: Samples) -> Iterator[bytes]:
    for each in samples.inputs.numpy():
        yield blake2b(each.tobytes(), digest_size=16).digest()


def _digests(samples: Samples) -> dict[bytes, set[int]]:
    """Hashes, and the labels under which each occurs."""
    found: dict[bytes, set[int]] = {}
    labels = samples.targets.tolist()
    for digest, label in zip(_listed(samples), labels, strict=True):
        found.setdefault(digest, set()).add(label if isinstance(label, int) else 0)
    return found


def _shared(name: str, n: int, total: int) -> Iterator[Finding]:
    if not n:
        return
    error = 0.5 / math.sqrt(total)
    severity: Severity = "warning" if n / total > error else "note"
    yield Finding(
        severity,
        f"{n} {name} sample{' is a' if n == 1 else 's are'} training sample{'s' * (n > 1)} too",
        (
            f"equal byte by byte: {n / total:.2%} of {total:,}, by which the accuracy can be too "
            f"high; its own standard error is up to {error:.2%}",
        ),
        ADVICE[name],
    )


def _contradictions(train: Samples, digests: dict[bytes, set[int]]) -> Iterator[Finding]:
    several = sum(len(labels) > 1 for labels in digests.values())
    if several:
        yield Finding(
            "warning" if several / len(train) > 0.5 / math.sqrt(len(train)) else "note",
            f"{several} training sample{'s are' if several > 1 else ' is'} there under several "
            "labels",
            (f"equal byte by byte, of {len(train):,}",),
            "decide for one label, or leave them out",
        )


def _is_same(splits: dict[str, Samples]) -> bool:
    return "test" in splits and splits.get("validation") is splits["test"]
