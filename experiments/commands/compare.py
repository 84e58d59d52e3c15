"""`qhc compare`: one trained model, executed in several ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .checkpoints import checkpoint_file
from .flags import FILE, Names
from .machine_options import (
    access_of,
    account_options,
    check_machine_flags,
    execution_flags,
    no_wait_option,
    yes_option,
)
from .options import (
    DATA_ROOT,
    Group,
    as_json,
    check_compared,
    config_of_checkpoint,
    loading,
    recipe_options,
)
from .run import show

VARIANTS = ("m3", "tensored", "calibrated", "decoupling", "twirling", "trex", "zne")
VARIED = (
    *("primitive", "precision", "dynamical_decoupling", "gate_twirling", "measurement_twirling"),
    *("readout_mitigation", "zne"),
)
"""Options of an execution that the variants differ in."""

MITIGATION_EXAMPLES = """\b
Examples:
  qhc compare mitigation --checkpoint runs/RUN --backend fake_fez
  qhc compare mitigation --checkpoint runs/RUN --backend ibm_fez --limit 200 --max-qpu-seconds 120
  qhc compare mitigation --checkpoint runs/RUN --backend ibm_fez --variants m3,calibrated --no-wait
  qhc estimate --checkpoint runs/RUN --backend ibm_fez --set 'run.mitigations=["m3", "zne"]'
"""


@click.group(cls=Group)
def compare() -> None:
    """Compare ways to execute one trained model on a machine."""


@compare.command("mitigation", epilog=MITIGATION_EXAMPLES)
@click.option(
    "--checkpoint", type=FILE, required=True, metavar="RUN|FILE", help="The trained model."
)
@click.option(
    "--backend",
    required=True,
    metavar="NAME",
    help="The machine: ibm_NAME, ibm for the account's best, or fake_NAME for a rehearsal.",
)
@click.option(
    "--variants",
    "mitigations",
    type=Names(),
    metavar="NAME,...",
    help=f"What to compare with none: {', '.join(VARIANTS)}.  [default: all]",
)
@recipe_options("", "", without=("recipe", "backend", "epochs", "limit", "shots"))
@click.option(
    "--limit",
    type=int,
    metavar="N",
    help="Number of test images, drawn by the seed.  [default: 100]",
)
@click.option("--shots", type=int, metavar="N", help="Per circuit.  [default: 1024]")
@click.option(
    "--seed", type=int, metavar="N", help="Of everything random.  [default: the checkpoint's]"
)
@click.option(
    "--calibrate",
    type=int,
    metavar="N",
    help="Training images that the map of 'calibrated' is fitted on, on every copy.  [default: 16]",
)
@click.option("--preparation", metavar="NAME", help="On a device: auto, compact or textbook.")
@execution_flags(without=VARIED)
@account_options
@yes_option
@no_wait_option
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the run.  [default: under runs/]")
@as_json
@click.pass_obj
def mitigation(typed: list[str], as_json: bool, out: Path | None, **given: Any) -> None:
    """Find out which mitigation of a machine's errors helps a trained model, and which harms it.

    The same test images are executed without mitigation (raw) and under every variant, in one
    batch of few jobs: raw, m3, tensored and calibrated are read from the same counts. m3 and
    tensored correct the readout, calibrated maps each output by training images; decoupling is
    dynamical decoupling, twirling that of gates and measurements; trex and zne are the Estimator's.

    The plan of them all is shown before the one question. qhc resume goes on with it as with any
    run, and pays for nothing twice.
    """
    from qbackend.registry import check_name

    check_name(given["backend"])
    check_compared(
        given["settings"],
        {"run.mitigations": "--variants", **{f"machine.{key}": "--variants" for key in VARIED}},
    )
    if given["mitigations"] is None:
        given["mitigations"] = VARIANTS
    file = checkpoint_file(given["checkpoint"])
    config = config_of_checkpoint(file, {**given, "recipe": None, "epochs": None})
    check_machine_flags(config.run.backend, given)
    with loading():
        from ..records.folder import command_line
        from ..run.display import Display
        from ..run.start import Place, validate

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    show(validate(file, config, place, Display(), access_of(given)), as_json=as_json)
