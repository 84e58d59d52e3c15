"""Which noise costs how much: a recipe's models under many settings of devices' noise.

`qhc ablate noise`. The folder has the trained models, `cells.jsonl` with every outcome as it
came, and the results as `noise.csv`, `noise.json` (a row per cell), `noise.txt` and a report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qbackend.errors import OptionError

from ...assembly.construct import model_plan
from ...config.recipe import load_config
from ...config.sections import Config
from ...records.environment import versions
from ...records.folder import Record
from ...run.display import Display
from ...run.start import Place
from ..grid import Workers, cell_name, read_outcomes, run_grid
from ..series import check_same, finish
from .axes import Setting
from .cell import Cell, compute_cell, ideal_outcome, keep_images
from .page import write_noise_page
from .table import row, summarise, write_tables

Key = tuple[Setting | None, int]
"""A cell's setting, None for no noise, and its seed."""

IDEAL = "native"
"""Trains the models that no noise is to be known to; it is exact, and the fastest."""


@dataclass(frozen=True)
class Images:
    """Which images the cells see.

    Attributes:
        limit: number of test images, drawn by the seed; None for all.
        n_calibration: number of training images that a calibration is fitted on.
    """

    limit: int | None = None
    n_calibration: int = 256


@dataclass(frozen=True)
class _Model:
    """A model to train, and what leaves its front end to keep."""

    name: str
    config: Config
    folder: Path
    images: Path


def ablate_noise(
    recipe: str,
    settings: Sequence[str],
    combinations: Sequence[Setting],
    n_seeds: int,
    images: Images,
    workers: Workers,
    place: Place,
    display: Display,
) -> Path:
    """Evaluate models with seeds 0 to `n_seeds` - 1 under every setting; returns the folder.

    A model is trained once for all settings that share it: without noise, or under all of a
    device's noise with one preparation.

    Raises:
        UserError: a mistake in the recipe or the settings, before anything is trained.
        RunFolderError: the folder has models of another recipe.
        QhcError: what stopped a training or a cell; the same call goes on.
    """
    first = load_config(recipe, settings)
    workers = replace(workers, threads=first.run.threads or workers.threads)
    settings = [*settings, f"run.threads={workers.threads}"]
    _check(first, images)
    folder = place.out or Path("runs", f"noise-{first.recipe}")
    # Settings first: a table's rows of one setting are then its seeds.
    of_cell = {
        (setting, seed): _model(recipe, settings, seed, setting, folder, images)
        for setting in (None, *combinations)
        for seed in range(n_seeds)
    }
    models = {model.name: model for model in of_cell.values()}
    for model in models.values():
        check_same(model.folder, model.config)
    try:
        _train(list(models.values()), images, workers, place, display)
        outcomes = _evaluate(of_cell, images, folder / "cells.jsonl", workers, display)
    except KeyboardInterrupt:
        display.say("type the same command to go on with the ablation")
        raise
    rows = [row(setting, seed, outcome) for (setting, seed), outcome in outcomes.items()]
    scores = summarise((setting, outcome) for (setting, _), outcome in outcomes.items())
    write_tables(folder, rows, scores, first)
    write_noise_page(scores, first, place.command, folder)
    return folder


def _check(config: Config, images: Images) -> None:
    if config.fabric.devices != 1:
        raise OptionError("the noise ablation trains in one process; leave fabric.devices at 1")
    if model_plan(config).circuit(config.model.arm) is None:
        raise OptionError(
            f"arm '{config.model.arm}' of '{config.model.name}' has no circuit for noise to act "
            "on; leave model.arm at 'quantum'"
        )
    for option, value, least in (
        ("limit", images.limit, 1),
        ("calibrate", images.n_calibration, 2),
    ):
        if value is not None and value < least:
            raise OptionError(f"{option} must be at least {least}, got {value}")


def _model(
    recipe: str,
    settings: Sequence[str],
    seed: int,
    setting: Setting | None,
    folder: Path,
    images: Images,
) -> _Model:
    """The model that a setting's cells evaluate; that without noise for no setting."""
    name, chosen = f"ideal-seed{seed}", {"run.seed": seed, "run.backend": IDEAL}
    if setting is not None and setting.training == "noise-aware":
        name = f"{setting.device}-{setting.preparation}-seed{seed}"
        chosen |= {
            "run.backend": f"native:{setting.device}",
            "run.preparation": setting.preparation,
        }
    config = load_config(
        recipe, [*settings, *(f"{key}={json.dumps(value)}" for key, value in chosen.items())]
    )
    home = folder / "models" / name
    limit = "all" if images.limit is None else images.limit
    return _Model(name, config, home, home / f"images-{limit}-{images.n_calibration}.npz")


def _train(
    models: Sequence[_Model], images: Images, workers: Workers, place: Place, display: Display
) -> None:
    """Train the models that are not trained yet, and keep what leaves their front ends."""
    left = [model for model in models if not model.images.exists()]
    with display.counting("models", len(models), len(models) - len(left)) as count:
        for _ in workers.map(_train_one, [(model, images, place) for model in left]):
            count()


def _train_one(task: tuple[_Model, Images, Place]) -> None:
    model, images, place = task
    display = Display()
    finish(model.folder, model.config, place, f"training model {model.name}", display)
    keep_images(
        model.folder,
        model.images,
        data_root=place.data_root,
        limit=images.limit,
        n_calibration=images.n_calibration,
        say=display.say,
    )


def _evaluate(
    of_cell: Mapping[Key, _Model], images: Images, path: Path, workers: Workers, display: Display
) -> dict[Key, Record]:
    """Every cell's outcome, in their order; those that `path` has are not computed again."""
    # The commit changes with every word of documentation.
    software = {name: found for name, found in versions().items() if name != "commit"}
    names: dict[str, Key] = {}
    cells: dict[str, Cell] = {}
    for (setting, seed), model in of_cell.items():
        if setting is not None:
            # A model's config has the seed.
            inputs = {
                "config": model.config.to_dict(),
                "setting": asdict(setting),
                "limit": images.limit,
                "calibrate": images.n_calibration if setting.training == "calibrated" else None,
                "versions": software,
            }
            name = cell_name(_as_cells_have_it(inputs))
            names[name] = setting, seed
            cells[name] = Cell(model.images, of_cell[None, seed].images, setting, seed)
    n_done = len(read_outcomes(path).keys() & cells.keys())
    # A worker keeps a compiled circuit: cells that share one come one after the other.
    ordered = dict(sorted(cells.items(), key=lambda item: _circuit(item[1].setting)))
    with display.counting("noise", len(cells), n_done) as count:
        found = run_grid(path, ordered, compute_cell, workers, count)
    outcomes = {names[name]: outcome for name, outcome in found.items()}
    return {
        key: ideal_outcome(model.images) if key[0] is None else outcomes[key]
        for key, model in of_cell.items()
    }


def _circuit(setting: Setting) -> tuple[str, str]:
    return setting.device, setting.preparation


def _as_cells_have_it(values: Any) -> Any:
    """By the names that keys had when the first cells were named: none is computed again."""
    if not isinstance(values, dict):
        return values
    return {
        "encoder" if key == "preparation" else key: _as_cells_have_it(value)
        for key, value in values.items()
    }
