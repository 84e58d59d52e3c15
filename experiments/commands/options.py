"""What the commands share: `--debug`, the options of a recipe, and what they resolve to.

Commands import what they need when they run, so that `qhc --help` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import OptionError

from .flags import FILE, MachineOption, options
from .machine_options import machine_settings

if TYPE_CHECKING:
    from rich.console import Console

    from ..config.sections import Config

DATA_ROOT = Path("data")
RECIPE = "digits"
RECIPES_BACKEND = "the recipe's, else aer"


class Command(click.Command):
    """A command that takes --debug as `qhc` itself does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug())

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, the flags for machines apart."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "On a machine": []}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and isinstance(parameter, click.Option):
                is_for_machine = isinstance(parameter, MachineOption)
                sections["On a machine" if is_for_machine else "Options"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


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


data_root = click.option(
    "--data-root",
    type=FILE,
    envvar="QHC_DATA_ROOT",
    show_envvar=True,
    help="Folder of the datasets.  [default: data]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")


def recipe_options(
    default: str, backend: str, without: Collection[str] = ()
) -> Callable[[Any], Any]:
    """Of a run, by the names that `chosen_settings` reads.

    Args:
        default: recipe where none is named.
        backend: in words, where none is named.
        without: names of options to leave out.
    """
    found = {
        "recipe": click.option(
            "--recipe", metavar="NAME|FILE", help=f"What to train.  [default: {default}]"
        ),
        "backend": click.option(
            "--backend",
            metavar="NAME",
            help=f"Where the quantum layer runs.  [default: {backend}]",
        ),
        "dataset": click.option("--dataset", metavar="NAME", help="Instead of the recipe's."),
        "data_root": data_root,
        "limit": click.option(
            "--limit",
            type=int,
            metavar="N",
            help="Number of test images, drawn by the seed.  [default: all, 100 on a machine]",
        ),
        "epochs": click.option("--epochs", type=int, metavar="N", help="Instead of the recipe's."),
        "shots": click.option(
            "--shots", type=int, metavar="N", help="Per circuit; exact without, 1024 on a machine."
        ),
        "settings": click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any value of the recipe, for example train.lr=0.001.",
        ),
    }
    return options(*(flag for name, flag in found.items() if name not in without))


def results_console(*, stderr: bool = False) -> Console:
    """Where tables go; a pipe has no width that could cut them."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=160)


@contextmanager
def loading() -> Iterator[None]:
    """Says, on a terminal, that the heavy libraries are being imported."""
    from rich.console import Console

    with Console(stderr=True).status("loading torch and Qiskit"):
        yield


def chosen_config(given: dict[str, Any]) -> Config:
    """The config of the recipe and the flags that were typed."""
    from ..config.recipe import load_config

    return load_config(given["recipe"] or RECIPE, chosen_settings(given))


def config_of_checkpoint(file: Path, given: dict[str, Any]) -> Config:
    """The recipe that the checkpoint was trained by, without what belongs to that run alone."""
    from ..config.of_checkpoint import config_of_trained
    from ..records.checkpoint import load_model_info

    trains = given.get("train") is not None
    for option in ("recipe",) if trains else ("recipe", "epochs"):
        if given[option] is not None:
            raise OptionError(f"--checkpoint brings its own recipe; leave --{option} out")
    recorded = load_model_info(file).config
    settings = chosen_settings(given)
    source = f"checkpoint {file}"
    return config_of_trained(recorded, settings, source, trains=trains, folder=file.parent)


def chosen_settings(given: dict[str, Any]) -> list[str]:
    """`--set` and the flags that stand for recipe values, as `key=value`; flags win."""
    flags = {
        "run.backend": given.get("backend"),
        "run.shots": given.get("shots"),
        "run.seed": given.get("seed"),
        "run.limit": given.get("limit"),
        "run.rows": given.get("rows"),
        "run.mitigations": given.get("mitigations"),
        "run.preparation": given.get("preparation"),
        "run.calibrate": given.get("calibrate"),
        "data.name": given["dataset"],
        "train.epochs": given["epochs"],
        "train.weights": given.get("train"),
        "train.limit": given.get("train_limit"),
        "train.gradient": given.get("gradient"),
        **{f"machine.{key}": value for key, value in machine_settings(given).items()},
    }
    # A JSON string or number is a TOML one.
    chosen = [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    return [*given["settings"], *chosen]


def check_compared(settings: tuple[str, ...], chosen: Mapping[str, str]) -> None:
    """Raise `OptionError` for a setting that the comparison makes itself.

    Args:
        settings: of `--set`.
        chosen: keys of the recipe, or tables of it, and the flags that choose their values.
    """
    for setting in settings:
        key = setting.partition("=")[0].strip()
        for axis, flag in chosen.items():
            if key == axis or key.startswith(f"{axis}."):
                raise OptionError(
                    f"--set {setting}: the comparison chooses {key} itself; use {flag} instead"
                )
