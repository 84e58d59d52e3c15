"""The page of a run of `qbackend.validate`: stages, quantum layers, what moved, cost, what it was.

Letters: R rows of a quantum layer, M outputs, N items.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from qbackend.registry import parse_name
from qbackend.validation.folder import Arrays, OwnRun, outputs_name
from qbackend.validation.lines import StageLine, WholeLine
from qbackend.validation.records.environment import without_home
from qbackend.validation.result import moved_words, number_words, score_words
from qbackend.validation.scoring import of_layer

from ..facts import charge_facts, executor
from ..numbers import ABSENT, counted, duration, number
from ..pictures.style import MUTED, SPARE, blank, styled
from ..render import Column, Drawing, Section, Table, write_page
from ..words import titled

SHOWN = 2000
"""Points of a stage in a picture."""
MOST_PICTURES = 6
"""Of quantum layers: a convolution has many."""
TILES = 3


def write_own_page(path: Path, folder: Path) -> Path:
    """Write the report of the run at `path` into `folder`; returns the page.

    Raises:
        RunFolderError: damaged records.
        RecordError: the folder could not be written to.
    """
    run = OwnRun.open(path)
    stages, whole, arrays = run.stages(), run.whole, run.arrays()
    drawings = _drawings(stages, whole, arrays)
    context: dict[str, Any] = {
        "several": False,
        "title": " · ".join([run.config["model"]["name"], *_backends(stages)[-1:]]),
        "started": run.state.started[:16].replace("T", " "),
        "sentence": _sentence(run, stages),
        "warning": _warning(run),
        "headline": _tiles(run, stages),
        "stages": _stage_table(stages),
        "more_scores": _score_table(stages),
        "layers": _layer_table(stages),
        "layer_pictures": [name for name in drawings if name.startswith("layer")],
        "moved": [] if whole is None else [moved_words(each) for each in whole.moved],
        "cost": _cost(stages, whole),
        "given": _given(run, whole),
        "notes": list(run.state.notes),
        "command": run.config["run"].get("command") or ABSENT,
        "environment": _environment(run),
    }
    sections = [Section("results", "Results")] if stages else []
    sections += [Section("layers", "Quantum layers")] if stages else []
    sections += [Section("moved", "Beside the run that it repeats")] if context["moved"] else []
    sections += [Section("cost", "Cost"), Section("given", "What was given")]
    sections += [Section("repeat", "Repeat it")]
    return write_page("own.html", folder, drawings, {**context, "sections": sections})


def _backends(stages: list[StageLine]) -> list[str]:
    return list(dict.fromkeys(stage.backend for stage in stages))


def _described(backend: str) -> str:
    return f"{backend} (a {executor(backend)})" if parse_name(backend).is_fake else backend


def _sentence(run: OwnRun, stages: list[StageLine]) -> str:
    """What this run is."""
    config = run.config
    layers = config["model"]["layers"]
    names = ", ".join(
        f"{layer['name']} ({title})"
        for layer, title in zip(layers[:TILES], config["run"].get("titles", ()), strict=False)
    )
    more = f" and {len(layers) - TILES} more" if len(layers) > TILES else ""
    words = f"A model of your own, {config['model']['name']}, with {_counted_layers(layers)}: "
    items = counted(config["data"]["items"], "item")
    where = ", ".join(map(_described, _backends(stages))) or "no backend yet"
    return f"{words}{names}{more}. Evaluated, weights unchanged, with {items} on {where}."


def _counted_layers(layers: list[Any]) -> str:
    return counted(len(layers), "quantum layer")


def _warning(run: OwnRun) -> str:
    """What a reader must know of a run that did not finish."""
    if run.whole is not None:
        return ""
    done = counted(len(run.stages()), "stage")
    return (
        f"This run is {run.status}, with {done} recorded. The same call of qbackend.validate, with "
        f"run='{without_home(str(run.path))}', goes on with it."
    )


def _tiles(run: OwnRun, stages: list[StageLine]) -> list[tuple[str, str, str]]:
    """The numbers on top: the first score of the last stages, and what the model has."""
    tiles = []
    for stage in stages[:1] + stages[1:][-TILES:]:
        for name, score in list(stage.scores.items())[:1]:
            interval = score.interval
            remark = "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f} (95 %)"
            tiles.append((f"{name}, {stage.stage}", number_words(score.value), remark))
    state = run.state
    quantum = f"{number(state.quantum_parameters, 0)} of them quantum"
    return [*tiles, ("Parameters", number(state.parameters, 0), quantum)]


def _stage_table(stages: list[StageLine]) -> Table:
    """A row per stage."""
    names = list(stages[0].scores)[:4] if stages else []
    has_agreement = any(stage.agreement is not None for stage in stages)
    columns = [Column("Stage", False), Column("Items"), *(Column(name) for name in names)]
    columns += [Column("As without noise")] if has_agreement else []
    columns += [Column("Shots"), Column("Jobs"), Column("Time (s)")]
    rows = []
    for stage in stages:
        row = [stage.stage, number(stage.n_items, 0)]
        row += [score_words(stage.scores[name]) for name in names]
        if has_agreement:
            row.append(ABSENT if stage.agreement is None else score_words(stage.agreement))
        row.append("exact" if stage.shots is None else number(stage.shots, 0))
        row += [number(stage.jobs, 0), number(stage.seconds, 1)]
        rows.append(row)
    return Table(columns, rows)


def _score_table(stages: list[StageLine]) -> Table | None:
    """The scores that the table of stages has no room for."""
    names = list(stages[0].scores)[4:] if stages else []
    if not names:
        return None
    columns = [Column("Score", False), *(Column(stage.stage) for stage in stages)]
    rows = [[name, *(score_words(stage.scores[name]) for stage in stages)] for name in names]
    return Table(columns, rows)


def _layer_table(stages: list[StageLine]) -> Table:
    """A row per stage and layer."""
    columns = [Column("Stage", False), Column("Layer", False), Column("Rows")]
    columns += [Column("RMSE against without noise"), Column("of the layer itself")]
    columns += [Column("of the shots alone")]
    columns += [Column("Two-qubit gates"), Column("Copies"), Column("Calibrated on", False)]
    rows = []
    for stage in stages:
        for layer in stage.layers:
            compiled = layer.compiled
            gates, copies = compiled.get("two_qubit_gates"), compiled.get("copies")
            rows.append(
                [
                    stage.stage,
                    layer.name,
                    number(layer.rows, 0),
                    "reference" if stage.is_reference else number(layer.rmse),
                    number(layer.own_rmse),
                    number(layer.shot_error),
                    ABSENT if gates is None else number(gates, 0),
                    ABSENT if copies is None else number(copies, 0),
                    str(compiled.get("calibrated_at") or ABSENT)[:10],
                ]
            )
    return Table(columns, rows)


def _cost(stages: list[StageLine], whole: WholeLine | None) -> list[tuple[str, str]]:
    facts = [("Time here", duration(sum(stage.seconds for stage in stages)) + " of all stages")]
    return facts + titled(charge_facts(None if whole is None else whole.charges))


def _given(run: OwnRun, whole: WholeLine | None) -> list[tuple[str, str]]:
    config = run.config
    facts = [
        ("Model", f"{config['model']['name']}, SHA-256 {config['model']['sha256'][:12]}"),
        ("Data", f"{counted(config['data']['items'], 'item')}, SHA-256 "
         f"{config['data']['sha256'][:12]}"),
        ("Task", ABSENT if whole is None else whole.task),
        ("Seed", str(config["run"]["seed"])),
    ]  # fmt: skip
    if "calibrate" in config["run"]:
        facts.append(("Calibration", counted(config["run"]["calibrate"], "item")))
    facts += [(f"Shots, {name}", number(n, 0)) for name, n in config.get("shots", {}).items()]
    options = {name: value for name, value in config.get("machine", {}).items() if value}
    if options:
        facts.append(("Execution", ", ".join(f"{name} {value}" for name, value in options.items())))
    return facts


def _environment(run: OwnRun) -> list[tuple[str, str]]:
    facts = [("Versions", ", ".join(f"{name} {found}" for name, found in run.versions.items()))]
    computer = run.state.computer
    if computer is not None:
        facts.append(("Processor", f"{computer.processor}, {counted(computer.cores, 'core')}"))
        facts.append(("System", f"{computer.system}, {computer.accelerator}"))
    return facts


def _drawings(
    stages: list[StageLine], whole: WholeLine | None, arrays: Arrays
) -> dict[str, Drawing]:
    """Outputs of each layer, and of a regression its answers, over those they are compared with."""
    drawings: dict[str, Drawing] = {}
    if len(stages) > 1:
        for place, layer in enumerate(stages[0].layers[:MOST_PICTURES]):
            ideal = of_layer(arrays, 0, place, "values")
            others = {
                stage.stage: values
                for number, stage in enumerate(stages)
                if number and (values := of_layer(arrays, number, place, "values")).size
                and values.shape == ideal.shape
            }  # fmt: skip
            if ideal.size and others:
                figure = scatter(
                    ideal, others, f"Outputs of {layer.name}", "without noise", "on the backend"
                )
                words = f"Outputs of {layer.name} on other backends over those without noise."
                drawings[f"layer-{place}"] = Drawing(figure, words)
    if whole is not None and whole.task == "regression":
        answers = {stage.stage: arrays[outputs_name(number)] for number, stage in enumerate(stages)}
        targets = arrays["targets"]
        drawings["answers"] = Drawing(
            scatter(targets, answers, "Answers", "target", "output"),
            "Outputs of the model over the targets.",
        )
    return drawings


@styled
def scatter(
    given: NDArray[Any], others: dict[str, NDArray[Any]], title: str, across: str, up: str
) -> Figure:
    """Values of the others over the given ones, (R, M) or (N, ...) each."""
    figure, axes = blank(4.6, 4.4)
    chosen = np.random.default_rng(0).permutation(given.size)[:SHOWN]
    low = min(float(values.min()) for values in (given, *others.values()))
    high = max(float(values.max()) for values in (given, *others.values()))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1.0, label="equal")
    looks = (("#e69f00", "s"), ("#0072b2", "o"), ("#009e73", "^"), *SPARE)
    for (name, values), (colour, marker) in zip(others.items(), looks, strict=False):
        axes.scatter(
            given.ravel()[chosen],
            values.ravel()[chosen],
            s=12,
            color=colour,
            marker=marker,
            alpha=0.55,
            linewidths=0,
            label=name,
        )
    axes.set_title(title)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    figure.legend(loc="outside lower center", ncols=1)
    return figure
