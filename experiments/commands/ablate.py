"""`qhc ablate`: comparisons of many runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from qbackend.errors import OptionError

from .flags import FILE, options
from .options import (
    DATA_ROOT,
    QPC_RECIPE,
    RECIPE,
    RECIPES_BACKEND,
    Group,
    chosen_settings,
    data_root,
    dataset_flag,
    epochs_flag,
    limit_flag,
    recipe_flag,
    recipe_options,
    set_flag,
)

ABLATE_EXAMPLES = """\b
Examples:
  qhc ablate arms --recipe digits --seeds 5
  qhc ablate arms --recipe mnist --arms quantum,linear --seeds 5 --backend native
"""

NOISE_EXAMPLES = """\b
Examples:
  qhc ablate noise --recipe digits --seeds 2
  qhc ablate noise --recipe mnist --device fake_brisbane --part all --strength 1 --shots 4096
  qhc ablate noise --part readout,two_qubit --strength 0,1/2,1 --full --engine ray
"""

QPC_EXAMPLES = """\b
Examples:
  qhc ablate qpc --recipe qpc-fashionmnist --loss cross_entropy --optimiser adamw
  qhc ablate qpc --recipe qpc-cifar10 --arm quantum,conv --depth 2 --optimiser adam,sgd --jobs 4
  qhc ablate qpc --recipe qpc-resnet --arm quantum,conv --depth 2 --full --epochs 5 --seeds 1
"""


def list_options(*axes: tuple[str, str]) -> Callable[[Any], Any]:
    """An option per axis, which takes a list: a,b,c or the flag several times."""
    return options(
        *(
            click.option(f"--{axis}", metavar="LIST", multiple=True, help=words)
            for axis, words in axes
        )
    )


engine_option = click.option(
    "--engine",
    default="loky",
    show_default=True,
    metavar="NAME",
    help="loky on this machine, or threading, which trains one model at a time; dask or ray on a "
    "cluster.",
)
full_option = click.option(
    "--full", is_flag=True, help="Every combination of the axes, instead of a star."
)
out_option = click.option(
    "--out", type=FILE, metavar="DIR", help="Folder of it all.  [default: under runs/]"
)
noise_axes = list_options(
    ("device", "fake_NAME or ibm_NAME.  [default: six devices' snapshots]"),
    ("part", "all, one_qubit, two_qubit, relaxation, readout, idle.  [default: all but idle]"),
    ("strength", "1 is the device.  [default: 0,1/4,1/2,1,2,4]"),
    ("shots", "Numbers, or exact.  [default: exact,256,1024,4096,16384]"),
    ("preparation", "textbook, compact.  [default: both]"),
    ("training", "ideal, noise-aware, calibrated.  [default: all]"),
)
qpc_axes = list_options(
    ("arm", "What the 1x1 convolutions are exchanged for.  [default: all arms]"),
    ("depth", "Layers of a circuit.  [default: 1,2,4,8]"),
    ("loss", "cross_entropy, label_smoothing, margin.  [default: all]"),
    ("optimiser", "adam, adamw, sgd.  [default: all]"),
)


def _check_compared(given: dict[str, Any], axes: dict[str, str]) -> None:
    """Raise `OptionError` for a setting that the comparison makes itself.

    Args:
        given: the flags that were typed.
        axes: keys of the recipe, or tables of it, and the flags that choose their values.
    """
    for setting in given["settings"]:
        key = setting.partition("=")[0].strip()
        for axis, flag in axes.items():
            if key == axis or key.startswith(f"{axis}."):
                raise OptionError(
                    f"--set {setting}: the comparison chooses {key} itself; use {flag} instead"
                )


@click.group(cls=Group)
def ablate() -> None:
    """Compare models part by part."""


@ablate.command(epilog=ABLATE_EXAMPLES)
@recipe_options(RECIPE, RECIPES_BACKEND)
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
@out_option
@click.pass_obj
def arms(typed: list[str], arms: str, seeds: int, out: Path | None, **given: Any) -> None:
    """Train every arm of a recipe over several seeds and compare them.

    An arm is what stands in the circuit's place. The same command goes on where it was stopped;
    finished runs are not repeated.
    """
    from ..records.folder import command_line
    from ..run.display import Display
    from ..run.start import Place
    from ..studies.arms import ablate_arms

    _check_compared(given, {"model.arm": "--arms", "run.seed": "--seeds"})
    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    recipe = given["recipe"] or RECIPE
    folder = ablate_arms(recipe, chosen_settings(given), arms.split(","), seeds, place, Display())
    click.echo((folder / "arms.txt").read_text(encoding="utf-8"), nl=False)
    click.echo(f"tables and report: {folder}")


@ablate.command(epilog=NOISE_EXAMPLES)
@recipe_flag(RECIPE)
@dataset_flag
@data_root
@limit_flag
@epochs_flag
@set_flag
@noise_axes
@full_option
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, metavar="N")
@click.option(
    "--calibrate",
    type=int,
    default=256,
    show_default=True,
    metavar="N",
    help="Training images that a calibration is fitted on.",
)
@engine_option
@click.option("--jobs", type=int, metavar="N", help="Cells at a time.  [default: all cores]")
@out_option
@click.pass_obj
def noise(typed: list[str], **given: Any) -> None:
    """Find out which part of which device's noise costs how much accuracy.

    Models are trained once per seed and then evaluated under every setting. A LIST is written
    a,b,c, or its flag repeated. By default the settings are a star around one device with all of
    its noise, exact expectations, the compact preparation and ideal training: every strength for
    each device and for each part, and shots, preparation and training one at a time. The same
    command goes on where it was stopped; nothing finished is computed again.
    """
    from ..records.folder import command_line
    from ..run.display import Display
    from ..run.start import Place
    from ..studies.grid import Workers
    from ..studies.noise.axes import Axes
    from ..studies.noise.study import Images, ablate_noise

    _check_compared(
        given,
        {
            "run.seed": "--seeds",
            "run.backend": "--device",
            "run.limit": "--limit",
            "run.shots": "--shots",
            "run.preparation": "--preparation",
            "run.calibrate": "--calibrate",
            "noise": "--part and --strength",
        },
    )
    names = ("device", "part", "strength", "shots", "preparation", "training")
    lists = {name: ",".join(given.pop(name)) for name in names}
    axes = Axes.typed(**{name: text or None for name, text in lists.items()})
    limit, calibrate = given.pop("limit"), given.pop("calibrate")
    folder = ablate_noise(
        given["recipe"] or RECIPE,
        chosen_settings(given),
        axes.product() if given["full"] else axes.star(),
        given["seeds"],
        Images(limit, calibrate),
        Workers(given["engine"], given["jobs"]),
        Place(given["data_root"] or DATA_ROOT, given["out"], command_line(typed)),
        Display(),
    )
    click.echo((folder / "noise.txt").read_text(encoding="utf-8"), nl=False)
    click.echo(f"tables and report: {folder}")


@ablate.command(epilog=QPC_EXAMPLES)
@recipe_options(QPC_RECIPE, RECIPES_BACKEND)
@qpc_axes
@full_option
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N")
@engine_option
@click.option("--jobs", type=int, metavar="N", help="Runs at a time.  [default: all cores]")
@out_option
@click.pass_obj
def qpc(typed: list[str], **given: Any) -> None:
    """Find out what circuits add to pointwise convolutions.

    Every setting is trained with seeds 0 to N-1 under the recipe's budget. A LIST is written
    a,b,c, or its flag repeated. By default the settings are a star around circuits of depth 2
    with cross-entropy and AdamW: every arm, every depth, and each loss and optimiser with the
    classical convolution beside the circuits. The same command goes on where it was stopped;
    nothing finished is trained again.
    """
    from ..records.folder import command_line
    from ..run.display import Display
    from ..run.start import Place
    from ..studies.grid import Workers
    from ..studies.qpc.axes import Axes
    from ..studies.qpc.study import ablate_qpc

    _check_compared(
        given,
        {
            "run.seed": "--seeds",
            "model.arm": "--arm",
            "layer.n_layers": "--depth",
            "train.loss": "--loss",
            "train.label_smoothing": "--loss",
            "train.optimiser": "--optimiser",
        },
    )
    lists = {name: ",".join(given.pop(name)) for name in ("arm", "depth", "loss", "optimiser")}
    axes = Axes.typed(**{name: text or None for name, text in lists.items()})
    given["recipe"] = given["recipe"] or QPC_RECIPE
    folder = ablate_qpc(
        given["recipe"],
        chosen_settings(given),
        axes.product() if given["full"] else axes.star(),
        given["seeds"],
        Workers(given["engine"], given["jobs"]),
        Place(given["data_root"] or DATA_ROOT, given["out"], command_line(typed)),
        Display(),
    )
    click.echo((folder / "qpc.txt").read_text(encoding="utf-8"), nl=False)
    click.echo(f"tables and report: {folder}")
