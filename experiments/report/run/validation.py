"""What a machine's answers are worth beside the simulated ones, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...records.comparisons import ValidationRecord
from ...records.lines import STAGES, Stage
from ..facts import (
    charge_facts,
    chosen_words,
    compiled_words,
    device_words,
    executor,
    stage_words,
)
from ..numbers import counted, number, percent
from ..pictures.image_grid import changed
from ..pictures.projection import MAX_POINTS, subsample
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from ..words import interval_words, titled
from . import validation_figures as figures


def tiles(run: Run) -> list[tuple[str, str, str]]:
    """The simulated accuracies and the agreement, for the top of the page."""
    if run.validation is None:
        return []
    found = []
    named = stage_words(run.validation.machine)
    # Where it was calibrated, the uncorrected answers do not stand on top of all.
    below: tuple[Stage, ...] = ("ideal", "noise")
    if run.evaluations[-1].stage == "corrected":
        below += ("machine",)
    for record in run.evaluations:
        if record.stage is not None and record.stage in below:
            name, interval = named[record.stage], interval_words(record.accuracy_interval)
            found.append((name.capitalize(), percent(record.accuracy), interval))
    pair = run.validation.pair("ideal", "machine")
    words = f"{pair.same:,} of {run.validation.n_images:,} images, as without noise"
    return [*found, ("Same class", percent(pair.share), words)]


def machine(run: Run) -> Part | None:
    """The comparison of the stages, two by two and image by image."""
    found = run.validation
    if found is None:
        return None
    columns = [Column("One", False), Column("Other", False), Column("Same class")]
    columns += [Column("Share (%)"), Column("95 % interval")]
    columns += [Column("RMSE of outputs"), Column("RMSE of logits")]
    rows = []
    named = stage_words(found.machine)
    for pair in found.agreement:
        one, other = (named[stage] for stage in pair.stages)
        low, high = (100 * bound for bound in pair.interval)
        rows.append(
            [
                one,
                other,
                f"{pair.same:,} of {found.n_images:,}",
                number(100 * pair.share, 2),
                f"{low:.2f} to {high:.2f}",
                number(pair.output_rmse),
                number(pair.logit_rmse),
            ]
        )
    context = {
        "agreement": Table(columns, rows),
        "machine_facts": _facts(run, found),
        "machine_note": _note(run),
        "changed_note": _changed_note(found),
    }
    title = f"{_title(found)} and simulation"
    return Part(context, _drawings(run, found), title)


def _facts(run: Run, found: ValidationRecord) -> list[tuple[str, str]]:
    """The machine, how much of a difference is chance, and what it cost."""
    answered, machine = run.stage("machine"), run.config.machine
    assert answered.compiled is not None
    facts = {executor(found.machine): device_words(answered.compiled)}
    if run.provenance.chosen_from:
        facts["chosen"] = chosen_words(run.provenance)
    facts |= {
        "compiled layer": compiled_words(answered.compiled),
        "primitive": f"{machine.primitive}, {machine.generation} side",
        "shots": f"{number(answered.shots, 0)} per circuit",
        "error of an output": (
            f"{number(answered.shot_error)} from the shots alone: the root mean square of the "
            "standard errors"
        ),
    }
    return titled(facts | charge_facts(found.charges))


def _note(run: Run) -> str:
    """How to read the table and the pictures."""
    return (
        "All stages have the same weights and the same images. RMSE is the root-mean-square "
        "difference of the quantum layer's expectation values, and of the logits behind it; "
        "simulated noise is exact, without shots. The interval is Wilson's. The first picture has "
        f"{MAX_POINTS:,} images at most; every answer of every stage is in "
        f"{run.folder.name}/validation.csv."
    )


def _title(found: ValidationRecord) -> str:
    words = executor(found.machine)
    return words[:1].upper() + words[1:]


def _changed_note(found: ValidationRecord) -> str:
    there = executor(found.machine)
    return (
        f"Above each image stand its true class, and the classes without noise and on the {there}: "
        f"red where the {there} made a correct answer wrong, green where it made a wrong one "
        "correct. Of many the run's seed draws those that are shown."
    )


def _drawings(run: Run, found: ValidationRecord) -> dict[str, Drawing]:
    arrays = run.stages()
    outputs = {
        stage: arrays[f"{stage}_outputs"] for stage in STAGES if f"{stage}_outputs" in arrays
    }
    drawings = {}
    named, there = stage_words(found.machine), executor(found.machine)
    if {"ideal", "machine"} <= outputs.keys():
        rmse = found.pair("ideal", "machine").output_rmse
        chosen = subsample(len(outputs["ideal"]))
        drawn = {stage: values[chosen] for stage, values in outputs.items()}
        drawings["outputs"] = Drawing(
            figures.outputs(drawn.pop("ideal"), drawn, named),
            f"Outputs of the quantum layer on the {there} over those without noise, an image each; "
            f"root-mean-square difference {number(rmse)}.",
        )
        pairs = [pair for pair in found.agreement if pair.stages[1] in ("noise", "machine")]
        drawings["output-errors"] = Drawing(
            figures.output_errors({pair.stages: pair.each_rmse for pair in pairs}, named),
            "Root-mean-square difference of each output between two stages.",
        )
    if len(arrays.get("changed_places", ())):
        drawings["changed"] = Drawing(*_changed(arrays, found))
    return drawings


def _changed(arrays: dict[str, Any], found: ValidationRecord) -> tuple[Any, str]:
    """The images that the machine answers otherwise than the model does without noise."""
    names, places = arrays["classes"], arrays["changed_places"]
    answers = {stage: arrays[f"{stage}_logits"].argmax(axis=1) for stage in ("ideal", "machine")}
    captions = [
        (
            str(names[arrays["labels"][place]]),
            str(names[answers["ideal"][place]]),
            str(names[answers["machine"][place]]),
        )
        for place in places
    ]
    images = np.moveaxis(arrays["changed_images"], 1, -1)
    title = f"Another answer on the {executor(found.machine)}: {counted(found.changed, 'image')}"
    words = "; ".join(f"{true}: {ideal} became {other}" for true, ideal, other in captions)
    return changed(images, captions, title), f"{title}. {words}."
