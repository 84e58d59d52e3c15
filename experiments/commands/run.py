"""`qhc run` and `qhc resume`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import RunFolderError

from .options import (
    DATA_ROOT,
    FILE,
    Command,
    as_json,
    chosen_config,
    config_of_checkpoint,
    data_root,
    loading,
    recipe_options,
    results_console,
)

if TYPE_CHECKING:
    from ..record import RunFolder

RUN_EXAMPLES = """\b
Examples:
  qhc run
  qhc run --recipe mnist --backend native --seed 3
  qhc run --recipe mnist --set protocol=published --set model.arm=classical
  qhc run --recipe digits --epochs 5 --set train.lr=0.005 --set layer.n_layers=4
  qhc run --checkpoint runs/RUN --backend aer --shots 1024 --limit 200 --json
  qhc run --backend aer:ibm_brisbane --shots 4096 --calibrate 256
  qhc run --recipe mnist --backend native:fake_fez --set noise.readout=0
  qhc run --backend aer:runs/RUN/noise.json
"""


@click.command(cls=Command, epilog=RUN_EXAMPLES)
@recipe_options
@click.option("--seed", type=int, metavar="N", help="Of everything random.  [default: 0]")
@click.option(
    "--calibrate",
    type=int,
    metavar="N",
    help="Also correct a device's noise, by a map fitted on N training images.",
)
@click.option("--encoder", metavar="NAME", help="On a device: auto, compact or textbook.")
@click.option(
    "--checkpoint", type=FILE, metavar="RUN|FILE", help="Only validate this trained model."
)
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the run.  [default: under runs/]")
@as_json
@click.pass_obj
def run(
    typed: list[str], as_json: bool, checkpoint: Path | None, out: Path | None, **given: Any
) -> None:
    """Train a model by a recipe and test it, or validate a trained one on a backend."""
    from qbackend.registry import check_name

    # What can be known to be wrong is said before the seconds that the libraries take to load.
    check_name(given["backend"] or "aer")
    if checkpoint is None:
        config = chosen_config(given)
    with loading():
        from ..display import Display
        from ..record import command_line
        from ..run import Place, start, validate

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    if checkpoint is None:
        folder = start(config, place, Display())
    else:
        file = _checkpoint_file(checkpoint)
        folder = validate(file, config_of_checkpoint(file, given), place, Display())
    _show(folder, as_json=as_json)


@click.command(cls=Command)
@click.argument("run", type=FILE)
@data_root
@as_json
def resume(run: Path, data_root: Path | None, as_json: bool) -> None:
    """Go on with a run that was interrupted, after its last finished epoch."""
    if not run.exists():
        raise RunFolderError(f"{run} is not a run: it does not exist; qhc run makes one")
    with loading():
        from ..display import Display
        from ..run import resume as go_on

    _show(go_on(run, data_root, Display()), as_json=as_json)


def _checkpoint_file(path: Path) -> Path:
    return path / "checkpoint.safetensors" if path.is_dir() else path


def _show(folder: RunFolder | None, *, as_json: bool) -> None:
    """Results on standard output, or on standard error when that is for JSON."""
    from ..display import show_results, summary

    if folder is None:
        return
    show_results(folder, results_console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(summary(folder)))
