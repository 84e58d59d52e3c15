"""`qhc ablate`: comparisons of many runs, a command for each study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from ..studies.arms import ArmStudy
from ..studies.axes import Axis
from ..studies.frame import Study
from ..studies.noise.study import NoiseStudy
from ..studies.qpc.study import QpcStudy
from .flags import FILE, Seeds, options
from .options import (
    DATA_ROOT,
    RECIPES_BACKEND,
    Command,
    Group,
    check_compared,
    chosen_settings,
    recipe_options,
)

STUDIES: tuple[Study[Any, Any], ...] = (ArmStudy(), NoiseStudy(), QpcStudy())


@click.group(cls=Group)
def ablate() -> None:
    """Compare models part by part."""


def study_command(study: Study[Any, Any]) -> click.Command:
    """The command of a study, with an option for each of its axes."""

    def compare(typed: list[str], out: Path | None, seeds: tuple[int, ...], **given: Any) -> None:
        from ..records.folder import command_line
        from ..run.display import Display
        from ..run.start import Place
        from ..studies.ablate import ablate
        from ..studies.grid import Workers

        check_compared(given["settings"], {"run.seed": "--seeds", **study.chosen})
        lists = {axis.name: ",".join(given.pop(axis.name)) for axis in study.axes}
        settings = study.settings(full=given.get("full", False), **lists)
        own = {field.name: given.pop(field.name) for field in fields(study)}
        jobs = given["jobs"]
        folder = ablate(
            replace(study, **own),
            given["recipe"] or study.recipe,
            chosen_settings(given),
            settings,
            seeds,
            Workers(given["engine"], study.usual_jobs if jobs is None else jobs),
            Place(given["data_root"] or DATA_ROOT, out, command_line(typed)),
            Display(),
        )
        click.echo((folder / f"{study.name}.txt").read_text(encoding="utf-8"), nl=False)
        click.echo(f"tables and report: {folder}")

    decorate = options(*_options(study))
    return click.command(study.name, cls=Command, help=study.help, epilog=study.examples)(
        decorate(click.pass_obj(compare))
    )


def _options(study: Study[Any, Any]) -> list[Callable[[Any], Any]]:
    """Of the recipe, without what the study chooses itself; of its axes; of its own; of all."""
    own = {field.name: field for field in fields(study)}
    chosen = {key.removeprefix("run.") for key in study.chosen} - own.keys()
    found = [recipe_options(study.recipe, RECIPES_BACKEND, without=chosen)]
    found += [_axis_option(axis) for axis in study.axes]
    if len(study.axes) > 1:
        words = "Every combination of the axes, instead of a star."
        found.append(click.option("--full", is_flag=True, help=words))
    found.append(
        click.option(
            "--seeds",
            type=Seeds(study.seeds.least),
            default=study.seeds.usual,
            show_default=True,
            metavar="N|LIST",
            help=study.seeds.help,
        )
    )
    found += [
        click.option(
            f"--{name}",
            type=type(field.default),
            default=field.default,
            show_default=True,
            metavar="N",
            help=field.metadata["help"],
        )
        for name, field in own.items()
        if "help" in field.metadata
    ]
    usual = study.usual_jobs or "all cores"
    words = f"{study.at_a_time.capitalize()} at a time; a GPU is shared.  [default: {usual}]"
    return [*found, _engine, click.option("--jobs", type=int, metavar="N", help=words), _out]


def _axis_option(axis: Axis) -> Callable[[Any], Any]:
    """A list: a,b,c or the flag several times."""
    return click.option(axis.option, axis.name, metavar=axis.metavar, multiple=True, help=axis.help)


_engine = click.option(
    "--engine",
    default="loky",
    show_default=True,
    metavar="NAME",
    help="loky on this machine, or threading, which trains one model at a time; dask or ray on a "
    "cluster.",
)
_out = click.option(
    "--out", type=FILE, metavar="DIR", help="Folder of it all.  [default: under runs/]"
)


for study in STUDIES:
    ablate.add_command(study_command(study))
