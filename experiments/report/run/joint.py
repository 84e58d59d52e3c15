"""What several models are worth on one device."""

from __future__ import annotations

from ..machine.joint_figures import accuracies_and_differences
from ..machine.joint_words import (
    DIFFERENCE_HEADINGS,
    difference_rows,
    headings,
    joint_facts,
    joint_note,
    joint_rows,
    joint_sentences,
)
from ..numbers import counted
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from ..words import titled

IN_WORDS = 3
"""Of a model, columns that are words: their name, arm and seed."""


def models(run: Run) -> Part | None:
    """The models side by side, and every two of them beside each other."""
    found = run.joint
    if found is None:
        return None
    columns = [
        Column(_title(name), place >= IN_WORDS) for place, name in enumerate(headings(found))
    ]
    beside = [Column(_title(name), place > 0) for place, name in enumerate(DIFFERENCE_HEADINGS)]
    checkpoints = {each.name: each.checkpoint for each in found.members}
    context = {
        "joint_table": Table(columns, joint_rows(found)),
        "joint_differences": Table(beside, difference_rows(found)),
        "joint_sentences": joint_sentences(found),
        "joint_facts": [*titled(joint_facts(found)), *checkpoints.items()],
        "joint_note": f"{joint_note(found)}Every output is in {run.folder.name}/joint.csv.",
    }
    words = (
        f"Accuracy of {counted(len(found.members), 'model')} on {found.backend} and without noise, "
        "and the differences between them, with 95 % intervals."
    )
    return Part(context, {"joint": Drawing(accuracies_and_differences(found), words)})


def _title(words: str) -> str:
    return words[:1].upper() + words[1:]
