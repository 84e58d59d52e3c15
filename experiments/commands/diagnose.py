"""`qhc diagnose`: what silently spoils hybrid training."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .flags import Names
from .options import DATA_ROOT, Command, as_json, data_root, loading, results_console

DIAGNOSE_EXAMPLES = """\b
Examples:
  qhc diagnose mnist
  qhc diagnose runs/RUN --backend aer:fake_fez
  qhc diagnose my_net.py:build --data mnist
  qhc diagnose my_package.nets:build --input-shape 3x32x32 --only gradients,neighbours --json
"""


@click.command(cls=Command, epilog=DIAGNOSE_EXAMPLES)
@click.argument("target", metavar="RECIPE|RUN|MODULE:FACTORY")
@click.option(
    "--backend",
    metavar="NAME",
    help="Where the quantum layer is to run; its noise is looked at.  [default: the target's]",
)
@click.option(
    "--data",
    metavar="NAME",
    help="What a model of your own is shown: a dataset, folder:DIR, or a recipe.",
)
@click.option(
    "--input-shape",
    "shape",
    metavar="SHAPE",
    help="Or random numbers, for example 1x28x28 for one sample.",
)
@data_root
@click.option(
    "--images",
    type=int,
    default=128,
    show_default=True,
    metavar="N",
    help="Training samples that the model is shown, drawn by the seed.",
)
@click.option(
    "--seed", type=int, metavar="N", help="Of everything random.  [default: the target's, else 0]"
)
@click.option("--only", type=Names(), metavar="CHECK,...", help="Only these checks.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any value of the recipe, for example layer.n_layers=4.",
)
@as_json
@click.pass_context
def diagnose(
    context: click.Context,
    target: str,
    backend: str | None,
    data: str | None,
    shape: str | None,
    data_root: Path | None,
    images: int,
    seed: int | None,
    only: tuple[str, ...] | None,
    changes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look for what silently spoils hybrid training, and show the evidence.

    Nothing is trained, sent or changed, and nothing is chosen by test images. A recipe is looked at
    with initial weights, a run with its trained ones. A factory is a function in MODULE or FILE.py
    that returns the model; it may ask by name for shape, n_classes, arm, seed and backend.

    The checks: inputs, dtypes, labels, duplicates, loss, gradients, optimiser, neighbours, softmax,
    saturation, plateau, dead, noise. A defect is wrong whatever was meant, a warning costs accuracy
    or time and may be meant, a note should be known.

    Leaves with 1 where there is a defect, as linters do; with 0 where there are warnings and notes
    alone, or nothing.
    """
    with loading():
        from ..diagnosis.diagnose import chosen
        from ..diagnosis.diagnose import diagnose as look
        from ..diagnosis.show import n_findings, show, summary
        from ..diagnosis.targets import Wishes, input_shape, subject_of
        from ..run.display import Display

    names = chosen(only or ())
    wishes = Wishes(
        data_root or DATA_ROOT,
        backend,
        images,
        seed,
        data,
        None if shape is None else input_shape(shape),
        changes,
    )
    display = Display()
    with display.console.status("reading data and building the model"):
        subject = subject_of(target, wishes)
    with display.counting("checks", len(names), 0) as done:
        checked = look(subject, names, done)
    show(results_console(stderr=as_json), target, checked)
    if as_json:
        click.echo(json.dumps(summary(target, checked)))
    context.exit(1 if n_findings(checked, "defect") else 0)
