"""What the page of one run says: records in, finished text and drawings out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qbackend.validation.records.environment import without_home

from ...assembly.construct import model_plan
from ..numbers import counted, duration, number, percent
from ..reading import Run
from ..render import Drawing, Part, Section, write_page
from ..words import described_backend, interval_words
from . import (
    copies,
    drift,
    insight,
    joint,
    mitigation,
    noise,
    outcome,
    provenance,
    rows,
    validation,
)

SECTIONS: tuple[tuple[str, str, Callable[[Run], Part | None]], ...] = (
    ("results", "Results", outcome.results),
    ("machine", "Machine and simulation", validation.machine),
    ("copies", "Copies on the chip", copies.side_by_side),
    ("drift", "Beside the run that it repeats", drift.repeated),
    ("rows", "Rows of feature maps", rows.measured),
    ("mitigation", "Mitigation", mitigation.compared),
    ("joint", "Models side by side", joint.models),
    ("curves", "Training", outcome.curves),
    ("confusion", "Confusion matrix", outcome.confusion),
    ("classes", "Classes", outcome.classes),
    ("predictions", "Predictions", outcome.predictions),
    ("features", "Feature space", insight.features),
    ("circuit", "Quantum layer", insight.circuit),
    ("device", "Device", noise.device),
    ("cost", "Cost", provenance.cost),
    ("protocol", "Protocol", provenance.protocol),
    ("repeat", "Repeat it", provenance.repeat),
)
"""Anchor, title and maker of each section; one that has nothing to say is left out."""


def write_run_page(run: Run, folder: Path) -> Path:
    """Write the report of a run into `folder`; returns the page.

    Raises:
        RunFolderError: damaged records.
        RecordError: the folder could not be written to.
    """
    drawings: dict[str, Drawing] = {}
    context: dict[str, Any] = {
        "several": False,
        "title": _title(run),
        "started": run.state.started[:16].replace("T", " "),
        "sentence": _sentence(run),
        "warning": _warning(run),
        "headline": _tiles(run),
    }
    sections = []
    for anchor, name, make in SECTIONS:
        part = make(run)
        if part is not None:
            sections.append(Section(anchor, part.title or name))
            context |= part.context
            drawings |= part.drawings
    return write_page("run.html", folder, drawings, {**context, "sections": sections})


def _title(run: Run) -> str:
    """Recipe, arm and, if it matters, backend."""
    parts = [run.config.recipe, run.arm]
    return " · ".join([*parts, run.config.run.backend] if run.is_quantum else parts)


def _sentence(run: Run) -> str:
    """What this run is."""
    config = run.config
    model = f"The model {config.model.name} {_described(run)}"
    if run.provenance.beside:
        return _joint_sentence(run)
    if run.provenance.checkpoint is not None:
        done = "was taken from a checkpoint, weights unchanged,"
        if config.train.weights == "quantum":
            done = (
                "was taken from a checkpoint, its circuit's weights trained for "
                f"{counted(config.train.epochs, 'epoch')} on {config.run.backend}"
            )
            done += f" with {counted(config.train.limit, 'image')}," if config.train.limit else ","
    else:
        epochs = counted(config.train.epochs, "epoch")
        if len(run.epochs) < config.train.epochs:
            epochs = f"{len(run.epochs)} of {epochs}"
        done = f"was trained on {config.data.name} for {epochs}"
        done += f" ({config.protocol} protocol, seed {run.seed})"
    found = run.headline
    if found is None:
        return f"{model} {done} and not evaluated yet."
    images = counted(found.n_images, f"{found.split} image")
    place = f" by {described_backend(found)}" if run.is_quantum else ""
    place += "" if found.calibration is None else ", its outputs calibrated"
    return f"{model} {done} and evaluated on {images}{place}."


def _described(run: Run) -> str:
    """What stands in the quantum layers' place."""
    if run.config.model.factory is None:
        return model_plan(run.config).describe(run.arm)
    count = len(run.own_layers)
    layers = counted(count, "quantum layer") if count else "no quantum layer"
    return f"(a network of your own, arm {run.arm}, {layers})"


def _joint_sentence(run: Run) -> str:
    """What a run of several checkpoints is."""
    models = f"{counted(len(run.provenance.beside) + 1, 'trained model')}, weights unchanged,"
    found = run.joint
    if found is None:
        return f"{models} are not evaluated yet."
    shots = f" ({counted(found.shots, 'shot')})" if found.shots else " (exact)"
    return (
        f"{models} were evaluated together on {counted(found.n_images, 'test image')} by "
        f"{found.backend}{shots}."
    )


def _warning(run: Run) -> str:
    """What a reader must know of a run that did not finish."""
    status = run.state.status
    if status == "finished":
        return ""
    state = "had not finished when this was written" if status == "running" else f"is {status}"
    done = f"{len(run.epochs)} of {counted(run.config.train.epochs, 'epoch')} recorded"
    if run.provenance.checkpoint is not None:
        done = counted(len(run.evaluations), "evaluation") + " recorded"
    return f"This run {state}: {done}. Go on with: qhc resume {without_home(str(run.folder))}"


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    """The numbers on top: name, value, remark."""
    found, best = run.headline, run.best_epoch
    tiles: list[tuple[str, str, str]] = []
    if found:
        split, interval = found.split.capitalize(), interval_words(found.accuracy_interval)
        how = "" if found.calibration is None else ", calibrated"
        tiles.append((f"{split} accuracy{how}", percent(found.accuracy), interval))
        tiles.append((f"{split} macro F1{how}", percent(found.f1), "mean over the classes"))
        tiles += [*validation.tiles(run), *rows.tiles(run)]
    if best:
        accuracy = percent(best.validation.accuracy)
        tiles.append(("Validation accuracy", accuracy, f"best epoch, number {best.epoch}"))
        remark = "training, median" + (" without the first" if len(run.epochs) > 1 else "")
        tiles.append(("Time per epoch", duration(run.median(lambda e: e.seconds)), remark))
    if run.state.parameters:
        quantum = f"{number(run.state.quantum_parameters, 0)} of them quantum"
        tiles.append(("Parameters", number(run.state.parameters, 0), quantum))
    return tiles
