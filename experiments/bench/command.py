"""`qhc bench`: measure, show, keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..assembly.denormals import flushing_denormals
from .contest import Case, Contestant, Record, measure
from .inference import MATRIX_PRODUCT, is_measured, measure_inference
from .pennylane import PENNYLANE
from .results import Grid, comparison, grids, to_json
from .suite import OURS, QUICK_CASES, REFERENCE, ours, select_cases, select_contestants
from .timing import FULL, QUICK, Effort, conditions


def run_bench(
    *,
    quick: bool = False,
    cases: Sequence[str] = (),
    backends: Sequence[str] = (),
    as_json: bool = False,
    out: Path | None = None,
    peers: Sequence[Contestant] = PENNYLANE,
) -> int:
    """Measure the layer on our backends and on the peers that are installed; print tables.

    Args:
        quick: a few cases for a moment each, about a minute in all, instead of every case.
        cases: names, beginnings of names or globs; they replace the choice that `quick` makes.
        backends: of ours or of the peers; by default `native`, `aer` and every peer.
        as_json: end with everything as one line of JSON.
        out: write the same there, and the tables as Markdown beside it (`.md`).
        peers: who may take part.

    Returns the exit status.

    Raises:
        OptionError: no such case.
        UnknownNameError: no such backend and no such peer.
        BackendError: somebody does not agree with `native` in float64.
    """
    chosen = select_cases(cases or (QUICK_CASES if quick else ()))
    contestants = select_contestants(backends, peers)
    facts = conditions(name for one in contestants for name in one.needs)
    with flushing_denormals():
        training, inference = _measure_all(chosen, contestants, QUICK if quick else FULL)
    absent = [f"not installed: {one.name}" for one in contestants if one.missing]
    console = Console(stderr=as_json, highlight=False)
    for table in _tables(training, inference, contestants, quartiles=False):
        console.print(table.title, markup=False, soft_wrap=True)
        console.print(table.rich())
    console.print(*absent, sep="\n")
    report = {
        "conditions": facts,
        "training": [to_json(record) for record in training],
        "inference": [to_json(record) for record in inference],
    }
    if out is not None:
        detailed = _tables(training, inference, contestants, quartiles=True)
        title = "# Layers of the catalogue, forward and backward"
        page = [title, _sentence(facts), *(table.markdown() for table in detailed), *absent]
        out.write_text(json.dumps(report, indent=1) + "\n")
        out.with_suffix(".md").write_text("\n\n".join(page) + "\n")
    if as_json:
        print(json.dumps(report))
    return 0


def _tables(
    training: Sequence[Record],
    inference: Sequence[Record],
    contestants: Sequence[Contestant],
    *,
    quartiles: bool,
) -> list[Grid]:
    tables = [
        *grids(training, "forward and backward", REFERENCE, quartiles=quartiles),
        *grids(inference, "forward alone, same weights", MATRIX_PRODUCT, quartiles=quartiles),
    ]
    if any(one.needs and not one.missing for one in contestants):
        tables.append(comparison(training, contestants))
    return tables


def _measure_all(
    cases: Sequence[Case], contestants: Sequence[Contestant], effort: Effort
) -> tuple[list[Record], list[Record]]:
    reference = ours(REFERENCE)
    own = [one.name for one in contestants if one.name in OURS]
    training: list[Record] = []
    inference: list[Record] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(task, description=case.name)
            training += measure(case, contestants, reference, effort)
            if own and is_measured(case.spec):
                inference += measure_inference(case, own, effort)
            progress.advance(task)
    return training, inference


def _sentence(facts: dict[str, Any]) -> str:
    machine = facts["machine"]
    names = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['time']}: {machine['processor']}, {machine['cores']} cores, "
        f"{facts['torch_threads']} torch threads; {names}."
    )
