"""What ways to mitigate a machine's errors gain."""

from __future__ import annotations

from ..facts import charge_facts, compiled_words, device_words, executor
from ..machine.mitigation_figures import errors_and_accuracies
from ..machine.mitigation_words import HEADINGS, NAMES, NOTE, cells, sentences
from ..numbers import counted, percent
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from ..words import titled


def compared(run: Run) -> Part | None:
    """The variants side by side, and what follows for each."""
    found = run.mitigation
    if found is None:
        return None
    rows = [[NAMES[each.name], each.verdict or "", *cells(found, each)] for each in found.variants]
    columns = [Column("Variant", False), Column("Verdict", False)]
    columns += [Column(_title(name)) for name in HEADINGS]
    columns = columns[: len(rows[0])]
    facts = {executor(found.machine): device_words(found.compiled)}
    if found.compiled.gate_fidelity is not None:
        facts["compiled layer"] = compiled_words(found.compiled)
    facts["accuracy without noise"] = f"{percent(found.ideal_accuracy)} of these images"
    if found.n_training:
        images = counted(found.n_training, "training image")
        facts["calibrated"] = f"by a map of each output of each copy, fitted on {images}"
    context = {
        "mitigation_table": Table(columns, rows),
        "mitigation_sentences": sentences(found),
        "mitigation_facts": titled(facts | charge_facts(found.charges)),
        "mitigation_note": f"{NOTE} Every output is in {run.folder.name}/mitigation.csv.",
    }
    words = (
        f"Error and accuracy of every variant on {found.machine}; the dotted line is raw's error, "
        "bars of errors and accuracies are 95 % intervals."
    )
    return Part(context, {"mitigation": Drawing(errors_and_accuracies(found), words)})


def _title(words: str) -> str:
    return words[:1].upper() + words[1:]
