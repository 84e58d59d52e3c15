"""The commands that look at things: reports, runs, backends, datasets, speed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..report.all_runs.choosing import KEYS, check_states, chosen_runs, sorted_runs, why_none
from .flags import FILE
from .kernel_list import show_kernels
from .machine_options import access_of, account_options
from .options import DATA_ROOT, Command, Group, as_json, data_root, loading, results_console

if TYPE_CHECKING:
    from qbackend.circuits.device_form import Preparation

RUNS = Path("runs")
BENCH_EXAMPLES = """\b
Examples:
  qhc bench --quick
  qhc bench --case amplitude4 --backend native --backend aer --out layer.json
"""


REPORT_EXAMPLES = """\b
Examples:
  qhc report runs/RUN --open         one run, in the browser
  qhc report runs/ONE runs/OTHER     several side by side: groups, spread, differences
  qhc report                         a page of all runs under runs/, sorted and filtered at will
"""

RUNS_EXAMPLES = """\b
Examples:
  qhc runs                                  all under runs/, newest first
  qhc runs -n 10 --sort test                the ten best
  qhc runs --recipe 'mnist*' --backend aer --state finished
  qhc runs studies/ --no-cells --json
"""


def pattern_option(name: str) -> Callable[[Any], Any]:
    """A filter of a list of runs."""
    words = f"Only runs with this {name}; may be a pattern."
    return click.option(f"--{name}", multiple=True, metavar="NAME", help=words)


@click.command(cls=Command, epilog=REPORT_EXAMPLES)
@click.argument("runs", type=FILE, nargs=-1, metavar="[RUN|FOLDER]...")
@click.option(
    "--out", type=FILE, metavar="DIR", help="Folder of the report.  [default: the run's or FOLDER]"
)
@click.option("--open", "is_opened", is_flag=True, help="Show it in the browser.")
def report(runs: tuple[Path, ...], out: Path | None, is_opened: bool) -> None:
    """Write the report of a run, of several side by side, or of all in a folder.

    Of several runs, a page that compares them. Of a FOLDER with runs in it, at any depth, a page
    that lists them all; without one, of runs/.
    """
    from ..report.write import write_report

    page = write_report(runs or (RUNS,), out)
    click.echo(page)
    if is_opened:
        from .browser import show_page

        show_page(page)


@click.command(cls=Command, epilog=RUNS_EXAMPLES)
@click.argument("folder", type=FILE, default=RUNS)
@pattern_option("recipe")
@pattern_option("backend")
@pattern_option("state")
@pattern_option("dataset")
@pattern_option("model")
@pattern_option("arm")
@click.option("--no-cells", is_flag=True, help="Leave out the runs that studies are made of.")
@click.option(
    "--sort",
    "key",
    default="started",
    show_default=True,
    metavar="KEY",
    help=f"{', '.join(KEYS)}. Numbers: the largest first.",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("-n", "--number", type=click.IntRange(min=1), metavar="N", help="The first N only.")
@as_json
def runs(
    folder: Path,
    no_cells: bool,
    key: str,
    reverse: bool,
    number: int | None,
    as_json: bool,
    **patterns: tuple[str, ...],
) -> None:
    """List the runs under FOLDER, and the studies; by default those under runs/.

    A filter takes a name, or a pattern with * and ?, and may be given several times. qhc report
    FOLDER makes a page of the same list.
    """
    from ..report.all_runs.listing import find_runs
    from ..report.numbers import counted
    from .run_list import print_runs, runs_json

    found = find_runs(folder)
    check_states(patterns["state"], found)
    wanted = {"data" if name == "dataset" else name: each for name, each in patterns.items()}
    chosen = sorted_runs(chosen_runs(found, wanted, cells=not no_cells), key, reverse=reverse)
    shown = chosen[:number]
    if as_json:
        click.echo(runs_json(shown))
    elif found and not shown:
        words = f"of {counted(len(found), 'run')} under {folder}/ {why_none(found, wanted)}"
        results_console().print(words, markup=False, soft_wrap=True)
    else:
        print_runs(shown, len(found), folder, results_console())


@click.command(cls=Command)
@click.option(
    "--spec", "recipe", metavar="RECIPE", help="Also say what its layer takes on each device."
)
@click.option("--preparation", default="auto", metavar="NAME", help="auto, compact or textbook.")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Only these.")
@account_options
def backends(
    recipe: str | None, preparation: Preparation, devices: tuple[str, ...], **given: Any
) -> None:
    """List what the quantum layer can run on: backends, your machines, devices' noise models."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from qbackend import list_backends

    from .device_list import print_devices
    from .machine_list import print_machines

    table = Table("name", "what it is", box=SIMPLE_HEAD)
    for backend in list_backends():
        table.add_row(backend.name, backend.summary)
    console = results_console()
    console.print(table)
    print_machines(console, access_of(given))
    print_devices(console, recipe, preparation, devices)


@click.group(cls=Group)
def data() -> None:
    """List datasets, or fetch one."""


@data.command("list")
@data_root
def list_data(data_root: Path | None) -> None:
    """List the datasets and what of them is there."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ..data.load import list_datasets

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
    results_console().print(table)


@data.command("get")
@click.argument("name")
@data_root
def get_data(name: str, data_root: Path | None) -> None:
    """Fetch a dataset, unless it is there."""
    from ..data.load import get_dataset

    dataset = get_dataset(name, data_root or DATA_ROOT)
    click.echo(f"{dataset.name}: {dataset.state}, {dataset.bytes / 2**20:,.0f} MiB")


@click.command(cls=Command)
@as_json
def warmup(as_json: bool) -> None:
    """Compile every kernel now, and not during the first run.

    Kernels for the CPU are compiled for both number formats, a GPU's for layers of 4 and 6 wires;
    one that is in the cache is only loaded. It takes two to three minutes, once per machine and
    version.
    """
    with loading():
        import torch

        from qbackend.module.warmup import warmed, work

        from ..run.display import Display

    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    calls = [call for device in devices for call in work(torch.device(device))]
    with Display().counting("layers", len(calls), 0) as count:
        for call in calls:
            call()
            count()
    found = warmed()
    if as_json:
        click.echo(json.dumps([asdict(kernel) for kernel in found]))
    else:
        show_kernels(results_console(), found)


@click.command(cls=Command, epilog=BENCH_EXAMPLES)
@click.option("--quick", is_flag=True, help="A few cases, about a minute in all.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only these; may be a glob.")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Only these.")
@click.option("--out", type=FILE, metavar="FILE", help="Write JSON there, and tables beside it.")
@as_json
@click.pass_context
def bench(context: click.Context, **given: Any) -> None:
    """Time the quantum layer, beside other simulators that are installed."""
    from ..bench.command import run_bench

    context.exit(run_bench(**given))
