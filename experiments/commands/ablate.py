"""`qhc ablate`: comparisons of many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import DATA_ROOT, FILE, RECIPE, Group, chosen_settings, recipe_options

ABLATE_EXAMPLES = """\b
Examples:
  qhc ablate arms --recipe digits --seeds 5
  qhc ablate arms --recipe mnist --arms quantum,linear --seeds 5 --backend native
"""


@click.group(cls=Group)
def ablate() -> None:
    """Compare models part by part."""


@ablate.command(epilog=ABLATE_EXAMPLES)
@recipe_options
@click.option(
    "--arms",
    default="quantum,quantum-frozen,linear,mlp,none",
    show_default=True,
    metavar="NAME,...",
    help="What to compare; classical is the recipe's classical twin.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    metavar="N",
    help="Runs of each arm, with seeds 0 to N-1.",
)
@click.option("--out", type=FILE, metavar="DIR", help="Folder of it all.  [default: under runs/]")
@click.pass_obj
def arms(typed: list[str], arms: str, seeds: int, out: Path | None, **given: Any) -> None:
    """Train every arm of a recipe over several seeds and compare them.

    An arm is what stands in the circuit's place. The same command goes on where it was stopped;
    finished runs are not repeated.
    """
    from ..ablate import ablate_arms
    from ..display import Display
    from ..record import command_line
    from ..run import Place

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    recipe = given["recipe"] or RECIPE
    folder = ablate_arms(recipe, chosen_settings(given), arms.split(","), seeds, place, Display())
    click.echo((folder / "arms.txt").read_text(encoding="utf-8"), nl=False)
    click.echo(f"tables and report: {folder}")
