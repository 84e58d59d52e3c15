"""A study from a recipe to its tables and its page.

The folder has `cells.jsonl` with every outcome as it came, the runs that the cells train, and the
results as `NAME.csv`, `NAME.json`, `NAME.txt` and a report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qbackend.errors import OptionError
from qbackend.validation.records.environment import versions

from ..assembly.fabric import FABRICS_OWN
from ..config.recipe import load_config
from ..config.run import FabricSection
from ..records.folder import Record
from ..report.write import write_report
from ..run.display import Display
from ..run.start import Place
from .frame import Cell, Results, Setting, Study
from .grid import Workers, cell_name, read_outcomes, run_grid
from .page import write_study_page
from .series import check_same
from .table import write_tables

Key = tuple[Any, int]


def ablate(
    study: Study[Any, Any],
    recipe: str,
    values: Sequence[str],
    settings: Sequence[Any],
    seeds: Sequence[int],
    workers: Workers,
    place: Place,
    display: Display,
) -> Path:
    """Compute every setting with every seed and compare; returns the folder.

    Under one seed everything that a setting does not name starts equal and sees the same images in
    the same order, so that differences are taken seed by seed.

    Args:
        study: what is compared.
        recipe: its name or file.
        values: of the recipe, as `key=value`.
        settings: of the study.
        seeds: of each setting.
        workers: where cells are computed.
        place: where to read and write.
        display: told what happens.

    Raises:
        UserError: a mistake in the recipe or the settings, before anything is trained.
        RunFolderError: the folder has runs of another recipe.
        QhcError: what stopped a training or a cell; the same call goes on.
    """
    first = load_config(recipe, values)
    if first.fabric.devices != 1:
        raise OptionError(
            f"the {study.name} ablation trains in one process; leave fabric.devices at 1"
        )
    study.check(first)
    settings = study.settled(first, settings)
    if (threads := study.threads(first)) is not None:
        workers = replace(workers, threads=threads)
        values = [*values, f"run.threads={threads}"]
    folder = place.out or Path("runs", f"{study.name}-{first.recipe}")
    cells = [
        _cell(study, recipe, values, key, folder, place) for key in study.keys(settings, seeds)
    ]
    for cell in {cell.folder: cell for cell in cells}.values():
        check_same(cell.folder, cell.config)
    try:
        outcomes = _outcomes(study, cells, folder / "cells.jsonl", workers, display)
    except KeyboardInterrupt:
        display.say("type the same command to go on with the ablation")
        raise
    results = Results(first, outcomes, study.summarise(outcomes))
    write_tables(study, results, folder)
    page = study.page(results)
    if page is None:
        write_report([cell.folder for cell in cells], folder)
    else:
        write_study_page(study, page, results, place.command, folder)
    return folder


def _cell(
    study: Study[Setting, Any],
    recipe: str,
    values: Sequence[str],
    key: tuple[Setting, int],
    folder: Path,
    place: Place,
) -> Cell[Setting]:
    setting, seed = key
    chosen = {**study.values(setting), "run.seed": seed}
    typed = (f"{name}={json.dumps(value)}" for name, value in chosen.items())
    config = load_config(recipe, [*values, *typed])
    return Cell(setting, seed, config, folder / study.home(setting, seed), place)


def _outcomes(
    study: Study[Any, Any],
    cells: Sequence[Cell[Any]],
    path: Path,
    workers: Workers,
    display: Display,
) -> dict[Key, Record]:
    """Every cell's outcome, in their order; those that `path` has are not computed again."""
    outcomes = study.prepare(cells, workers, display)
    left = [cell for cell in cells if cell.key not in outcomes]
    if left:
        # The commit changes with every word of documentation.
        software = {name: found for name, found in versions().items() if name != "commit"}
        names: dict[str, Cell[Any]] = {}
        for cell in left:
            config = _without_later_keys(cell.config.compared())
            inputs = {"config": config, **study.inputs(cell), "versions": software}
            names[cell_name(_as_cells_have_it(inputs))] = cell
        n_done = len(read_outcomes(path).keys() & names.keys())
        with display.counting(study.counted, len(names), n_done) as count:
            found = run_grid(path, names, study.compute, workers, count)
        outcomes |= {names[name].key: outcome for name, outcome in found.items()}
    return {cell.key: outcomes[cell.key] for cell in cells}


def _without_later_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Keys that the first cells' configs did not have yet count where they are not the default."""
    usual = FabricSection().model_dump()
    fabric = {
        key: value
        for key, value in config["fabric"].items()
        if key in FABRICS_OWN or value != usual[key]
    }
    return {**config, "fabric": fabric}


def _as_cells_have_it(values: Any) -> Any:
    """By the names that keys had when the first cells were named: none is computed again."""
    if not isinstance(values, dict):
        return values
    return {
        "encoder" if key == "preparation" else key: _as_cells_have_it(value)
        for key, value in values.items()
    }
