"""The command `qhc`. Every command imports what it needs, so that `qhc --help` answers at once."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import OptionError, QhcError

if TYPE_CHECKING:
    from .config import Config
    from .record import RunFolder

FILE = click.Path(path_type=Path)
DATA_ROOT = Path("data")

EXAMPLES = """\b
Examples:
  qhc run                              train and test on 8x8 digits, no download
  qhc run --recipe mnist               the hybrid network on MNIST
  qhc backends                         what the quantum layer can run on
  qhc report runs/ONE runs/OTHER       two runs side by side
"""

RUN_EXAMPLES = """\b
Examples:
  qhc run
  qhc run --recipe mnist --backend native --seed 3
  qhc run --recipe mnist --set protocol=published --set model.arm=classical
  qhc run --recipe digits --epochs 5 --set train.lr=0.005 --set layer.n_layers=4
  qhc run --checkpoint runs/RUN --backend aer --shots 1024 --limit 200 --json
"""

ABLATE_EXAMPLES = """\b
Examples:
  qhc ablate arms --recipe digits --seeds 5
  qhc ablate arms --recipe mnist --arms quantum,linear --seeds 5 --backend native
"""


class Command(click.Command):
    """A command that takes --debug as `qhc` itself does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug())


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug())


def _debug() -> click.Option:
    # `main` looks for it among the arguments: it must work where parsing itself fails.
    return click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks.")


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order of the help."""

    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


data_root = click.option(
    "--data-root",
    type=FILE,
    envvar="QHC_DATA_ROOT",
    show_envvar=True,
    help="Folder of the datasets.  [default: data]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
recipe_options = options(
    click.option("--recipe", metavar="NAME|FILE", help="What to train.  [default: digits]"),
    click.option("--backend", metavar="NAME", help="Where the quantum layer runs.  [default: aer]"),
    click.option("--dataset", metavar="NAME", help="Instead of the recipe's."),
    data_root,
    click.option(
        "--limit", type=int, metavar="N", help="Number of test images, drawn by the seed."
    ),
    click.option("--epochs", type=int, metavar="N", help="Instead of the recipe's."),
    click.option("--shots", type=int, metavar="N", help="Per circuit; exact without."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any value of the recipe, for example train.lr=0.001.",
    ),
)


@click.group(
    cls=Group,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="qhc")
def cli() -> None:
    """Train a hybrid quantum-classical image classifier, then validate it anywhere."""


@cli.command(epilog=RUN_EXAMPLES)
@recipe_options
@click.option("--seed", type=int, metavar="N", help="Of everything random.  [default: 0]")
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
    from .display import Display
    from .record import command_line
    from .run import Place, start, validate

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    if checkpoint is None:
        folder = start(_config(given), place, Display())
    else:
        file = _checkpoint_file(checkpoint)
        folder = validate(file, _config_of_checkpoint(file, given), place, Display())
    _show(folder, as_json=as_json)


@cli.command()
@click.argument("run", type=FILE)
@data_root
@as_json
def resume(run: Path, data_root: Path | None, as_json: bool) -> None:
    """Go on with a run that was interrupted, after its last finished epoch."""
    from .display import Display
    from .run import resume as go_on

    _show(go_on(run, data_root, Display()), as_json=as_json)


@cli.command()
@click.argument("runs", type=FILE, nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the report.  [default: the run's]")
def report(runs: tuple[Path, ...], out: Path | None) -> None:
    """Write the report of a run, or of several side by side."""
    from .report import write_report

    click.echo(write_report(runs, out))


@cli.command()
def backends() -> None:
    """List what the quantum layer can run on."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from qbackend import list_backends

    table = Table("name", "what it is", box=SIMPLE_HEAD)
    for backend in list_backends():
        table.add_row(backend.name, backend.summary)
    Console().print(table)


@cli.group()
def data() -> None:
    """List datasets, or fetch one."""


@data.command("list")
@data_root
def list_data(data_root: Path | None) -> None:
    """List the datasets and what of them is there."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from .data import list_datasets

    table = Table("name", "image", "classes", "images", "state", "remark", box=SIMPLE_HEAD)
    for dataset in list_datasets(data_root or DATA_ROOT):
        table.add_row(
            dataset.name,
            "x".join(map(str, dataset.shape)),
            str(dataset.n_classes),
            f"{dataset.n_train + dataset.n_test:,}",
            dataset.state,
            dataset.remark,
        )
    Console().print(table)


@data.command("get")
@click.argument("name")
@data_root
def get_data(name: str, data_root: Path | None) -> None:
    """Fetch a dataset, unless it is there."""
    from .data import get_dataset

    dataset = get_dataset(name, data_root or DATA_ROOT)
    click.echo(f"{dataset.name}: {dataset.state}, {dataset.bytes / 2**20:,.0f} MiB")


@cli.group()
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
    from .ablate import ablate_arms
    from .display import Display
    from .record import command_line
    from .run import Place

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    recipe = given["recipe"] or "digits"
    folder = ablate_arms(recipe, _settings(given), arms.split(","), seeds, place, Display())
    click.echo((folder / "arms.txt").read_text(encoding="utf-8"), nl=False)
    click.echo(f"tables and report: {folder}")


def _config(given: dict[str, Any]) -> Config:
    from .recipe import load_config

    return load_config(given["recipe"] or "digits", _settings(given))


def _config_of_checkpoint(file: Path, given: dict[str, Any]) -> Config:
    """The recipe that the checkpoint was trained by, without what belongs to that run alone."""
    from .checkpoint import load_model_info
    from .recipe import configure

    for option in ("recipe", "epochs"):
        if given[option] is not None:
            raise OptionError(f"--checkpoint brings its own recipe; leave --{option} out")
    values = load_model_info(file).config
    kept = {k: v for k, v in values["run"].items() if k not in ("shots", "limit")}
    return configure({**values, "run": kept}, _settings(given), f"checkpoint {file}")


def _settings(given: dict[str, Any]) -> list[str]:
    flags = {
        "run.backend": given["backend"],
        "run.shots": given["shots"],
        "run.seed": given.get("seed"),
        "run.limit": given["limit"],
        "data.name": given["dataset"],
        "train.epochs": given["epochs"],
    }
    # A JSON string or number is a TOML one.
    chosen = [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    return [*given["settings"], *chosen]


def _checkpoint_file(path: Path) -> Path:
    return path / "checkpoint.safetensors" if path.is_dir() else path


def _show(folder: RunFolder | None, *, as_json: bool) -> None:
    """Results on standard output, or on standard error when that is for JSON."""
    from rich.console import Console

    from .display import show_results, summary

    if folder is None:
        return
    show_results(folder, Console(stderr=as_json, highlight=False))
    if as_json:
        click.echo(json.dumps(summary(folder)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    2 for what the user can mend, 1 for any other failure, 130 for Ctrl-C.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(typed, prog_name="qhc", standalone_mode=False, obj=typed)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:
        if "--debug" in typed:
            traceback.print_exc()
        known = isinstance(error, QhcError)
        hint = "" if known or "--debug" in typed else " (--debug shows the traceback)"
        click.echo(f"error: {'' if known else f'{type(error).__name__}: '}{error}{hint}", err=True)
        code = error.exit_code if isinstance(error, QhcError) else 1
    sys.exit(code)


if __name__ == "__main__":
    main()
