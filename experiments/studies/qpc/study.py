"""What a circuit adds to a pointwise convolution: depths, controls, losses and optimisers by seeds.

`qhc ablate qpc`. The folder has a run per cell under `runs/`, `cells.jsonl` with every outcome
as it came, and the results as `qpc.csv` (a row per cell), `qpc.json`, `qpc.txt` and a report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qbackend.errors import OptionError

from ...assembly.construct import model_plan
from ...config.recipe import load_config
from ...config.sections import Config
from ...records.environment import versions
from ...records.folder import Record
from ...report.reading import read_run
from ...run.display import Display
from ...run.start import Place
from ..grid import Workers, cell_name, read_outcomes, run_grid
from ..series import check_same, finish
from .axes import Setting
from .page import write_qpc_page
from .table import outcome_of, row, summarise, write_tables


@dataclass(frozen=True)
class Cell:
    """A run to train: its config, its folder, and where its data is."""

    config: Config
    folder: Path
    place: Place


def ablate_qpc(
    recipe: str,
    settings: Sequence[str],
    combinations: Sequence[Setting],
    n_seeds: int,
    workers: Workers,
    place: Place,
    display: Display,
) -> Path:
    """Train a model with seeds 0 to `n_seeds` - 1 for every setting; returns the folder.

    Under one seed everything outside the exchanged convolutions starts equal and sees the same
    images in the same order, so that differences are taken seed by seed. Seeds come one after the
    other: what is stopped leaves whole comparisons.

    Raises:
        UserError: a mistake in the recipe or the settings, before anything is trained.
        RunFolderError: the folder has runs of another recipe.
        QhcError: what stopped a training; the same call goes on.
    """
    first = load_config(recipe, settings)
    workers = replace(workers, threads=first.run.threads or workers.threads)
    settings = [*settings, f"run.threads={workers.threads}"]
    _check(first)
    folder = place.out or Path("runs", f"qpc-{first.recipe}")
    configs = {
        (setting, seed): load_config(recipe, [*settings, *_typed(setting, seed)])
        for seed in range(n_seeds)
        for setting in combinations
    }
    # The commit changes with every word of documentation.
    software = {name: found for name, found in versions().items() if name != "commit"}
    names = {
        key: cell_name({"config": config.to_dict(), "versions": software})
        for key, config in configs.items()
    }
    cells: dict[str, Cell] = {}
    for key, config in configs.items():
        setting, seed = key
        home = folder / "runs" / f"{setting}-seed{seed}"
        check_same(home, config)
        cells[names[key]] = Cell(config, home, place)
    path = folder / "cells.jsonl"
    n_done = len(read_outcomes(path).keys() & cells.keys())
    try:
        with display.counting("runs", len(cells), n_done) as count:
            found = run_grid(path, cells, compute_cell, workers, count)
    except KeyboardInterrupt:
        display.say("type the same command to go on with the ablation")
        raise
    outcomes = {key: found[name] for key, name in names.items()}
    scores = summarise(outcomes)
    write_tables(folder, [row(*key, each) for key, each in outcomes.items()], scores, first)
    write_qpc_page(scores, first, place.command, folder)
    return folder


def compute_cell(cell: Cell) -> Record:
    """Train the cell's model, or go on with it, and say how good it is."""
    finish(cell.folder, cell.config, cell.place, f"training {cell.folder.name}", Display())
    return outcome_of(read_run(cell.folder))


def _check(config: Config) -> None:
    if config.fabric.devices != 1:
        raise OptionError("the ablation trains in one process; leave fabric.devices at 1")
    if not model_plan(config).is_pixelwise:
        raise OptionError(
            f"'{config.model.name}' has no pointwise convolutions to exchange; "
            "type: qhc ablate qpc --recipe qpc-fashionmnist"
        )


def _typed(setting: Setting, seed: int) -> list[str]:
    values = {**setting.values(), "run.seed": seed}
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]
