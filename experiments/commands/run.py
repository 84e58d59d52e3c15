"""`qhc run`, `qhc estimate`, `qhc rerun` and `qhc resume`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import BudgetError, RunFolderError

from .checkpoints import check_readable, checkpoint_files, without_copies
from .flags import FILE, MachineOption, options
from .machine import collect_results, is_own_run
from .machine_options import (
    access_of,
    account_options,
    budget_option,
    check_machine_flags,
    check_preference,
    deadline_option,
    execution_options,
    machine_settings,
    no_wait_option,
    prefer_option,
    repeat_budget_option,
    repeat_deadline_option,
    yes_option,
)
from .options import (
    DATA_ROOT,
    RECIPE,
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
    from ..config.sections import Config
    from ..records.folder import RunFolder

RESUME_EXAMPLES = """\b
Examples:
  qhc resume runs/RUN
  qhc resume runs/RUN --max-qpu-seconds 120
  qhc resume runs/RUN --collect
"""

RUN_EXAMPLES = """\b
Examples:
  qhc run
  qhc run --recipe mnist --backend native --seed 3
  qhc run --recipe mnist --set protocol=published --set model.arm=classical
  qhc run --recipe digits --epochs 5 --set train.lr=0.005 --set layer.n_layers=4
  qhc run --set model.factory=my_net.py:build --set data.factory=my_data.py:load
  qhc run --checkpoint runs/RUN --backend aer --shots 1024 --limit 200 --json
  qhc run --backend aer:ibm_brisbane --shots 4096 --calibrate 256
  qhc run --recipe mnist --backend native:fake_fez --set noise.readout=0
  qhc run --backend aer:runs/RUN/noise.json
  qhc run --checkpoint runs/RUN --backend fake_brisbane --limit 100
  qhc run --checkpoint runs/RUN --backend fake_fez --limit 2000 --calibrate 32
  qhc run --checkpoint runs/RUN --backend ibm_fez --limit 100 --shots 1024 --no-wait
  qhc run --checkpoint runs/RUN --backend ibm --prefer queue
  qhc run --checkpoint runs/A --checkpoint runs/B --backend fake_fez --calibrate 32
  qhc run --checkpoint runs/STUDY --backend fake_fez --limit 200
  qhc run --checkpoint runs/QPC --backend fake_brisbane --rows 200
  qhc run --checkpoint runs/RUN --backend fake_manila --train quantum --gradient spsa
"""


ESTIMATE_EXAMPLES = """\b
Examples:
  qhc estimate --checkpoint runs/RUN --backend ibm_fez --limit 200 --shots 2048
  qhc estimate --checkpoint runs/RUN --backend ibm
  qhc estimate --checkpoint runs/A --checkpoint runs/B --backend ibm_fez
  qhc estimate --recipe mnist --backend ibm_fez --primitive estimator --precision 0.03 --json
"""

RERUN_EXAMPLES = """\b
Examples:
  qhc rerun runs/RUN
  qhc rerun runs/RUN --backend ibm_marrakesh --yes --no-wait
  qhc rerun runs/RUN --backend ibm --prefer queue
  qhc rerun runs/RUN --backend fake_fez --json
"""

run_options = options(
    recipe_options(RECIPE, "the recipe's or the checkpoint's, else aer"),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        help="Of everything random.  [default: the recipe's or the checkpoint's, else 0]",
    ),
    click.option(
        "--calibrate",
        type=int,
        metavar="N",
        help="Also correct a device's noise, by a map fitted on N training images; on a machine "
        "each copy of the layer has its own.",
    ),
    click.option(
        "--rows",
        type=int,
        metavar="N",
        help="Of quantum pointwise convolutions: execute N rows of real feature maps, and simulate "
        "the rest with the error that they have.",
    ),
    click.option("--preparation", metavar="NAME", help="On a device: auto, compact or textbook."),
    click.option(
        "--checkpoint",
        type=FILE,
        multiple=True,
        metavar="RUN|FILE",
        help="Only validate this trained model; several times, or a folder of runs: all of them "
        "together, on the same images.",
    ),
    click.option(
        "--train",
        type=click.Choice(["quantum"]),
        help="Before that, train the circuit's weights of the checkpoint there, and nothing else, "
        "for 1 epoch unless --epochs says otherwise.",
    ),
    click.option(
        "--train-limit",
        type=int,
        metavar="N",
        help="Number of images to train on, and to validate on.",
    ),
    click.option(
        "--gradient",
        metavar="NAME",
        help="Of the quantum layer: vjp, parameter-shift or spsa.  [default: the backend's]",
    ),
    execution_options,
    account_options,
)


@click.command(cls=Command, epilog=RUN_EXAMPLES)
@run_options
@yes_option
@no_wait_option
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the run.  [default: under runs/]")
@as_json
@click.pass_obj
def run(typed: list[str], as_json: bool, out: Path | None, **given: Any) -> None:
    """Train a model by a recipe and test it, or validate a trained one on a backend.

    A machine validates: the same images are answered without noise, under the machine's simulated
    noise, and then, when you have seen the plan and said yes, by the machine.
    """
    checkpoints, config = _chosen(given)
    with loading():
        from ..records.folder import command_line
        from ..run.display import Display
        from ..run.start import Place, start, validate

    place = Place(given["data_root"] or DATA_ROOT, out, command_line(typed))
    access = access_of(given)
    if not checkpoints:
        folder = start(config, place, Display(), access)
    else:
        checkpoint, *beside = checkpoints
        folder = validate(checkpoint, config, place, Display(), access, beside=beside)
    show(folder, as_json=as_json)


@click.command(cls=Command, epilog=RERUN_EXAMPLES)
@click.argument("run", type=FILE)
@click.option(
    "--backend", metavar="NAME", help="Where to repeat it.  [default: where it was executed]"
)
@data_root
@prefer_option
@repeat_budget_option
@repeat_deadline_option
@account_options
@yes_option
@no_wait_option
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the run.  [default: under runs/]")
@as_json
@click.pass_obj
def rerun(
    typed: list[str],
    run: Path,
    backend: str | None,
    data_root: Path | None,
    out: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Repeat a finished validation, and say what has changed.

    On another day or another machine: the weights, the images and all options are those of RUN;
    plan, question and folder are its own. The report has the two side by side: how far the outputs
    have drifted and how much of that is chance, both accuracies, calibrations and qubits, and which
    errors have changed.
    """
    _check_run(run)
    if backend is not None:
        from qbackend.registry import check_name

        check_name(backend)
    if is_own_run(run):
        from ..run.own import refuse_rerun

        refuse_rerun(run, backend)
    check_preference(backend, given)
    with loading():
        from ..records.folder import command_line
        from ..run.display import Display
        from ..run.rerun import rerun as repeat
        from ..run.start import Place

    place = Place(data_root or DATA_ROOT, out, command_line(typed))
    options = machine_settings(given)
    folder = repeat(run, backend, data_root, place, Display(), access_of(given), options)
    show(folder, as_json=as_json)


@click.command(cls=Command, epilog=RESUME_EXAMPLES)
@click.argument("run", type=FILE)
@click.option(
    "--collect",
    is_flag=True,
    cls=MachineOption,
    help="Only fetch what its machine has done, and keep it: nothing is sent or waited for.",
)
@data_root
@budget_option
@deadline_option
@account_options
@yes_option
@no_wait_option
@as_json
def resume(run: Path, collect: bool, data_root: Path | None, as_json: bool, **given: Any) -> None:
    """Go on with a run that was interrupted, or collect what a machine has done for it.

    A run of qbackend.validate goes on by the same call from Python: of it, results that are there
    can be fetched by --collect.
    """
    _check_run(run)
    if collect:
        collect_results(run, given, data_root, as_json=as_json)
        return
    if is_own_run(run):
        from ..run.own import resumed

        found = resumed(run)
        click.echo(json.dumps(found.to_dict()) if as_json else str(found))
        return
    with loading():
        from ..run.display import Display
        from ..run.resume import resume as go_on

    limits = {"budget": given["max_qpu_seconds"], "deadline": given["deadline"]}
    show(go_on(run, data_root, Display(), access_of(given), **limits), as_json=as_json)


@click.command(cls=Command, epilog=ESTIMATE_EXAMPLES)
@run_options
@as_json
def estimate(as_json: bool, **given: Any) -> None:
    """Say what a run would ask of its backend, and execute nothing.

    It takes what `qhc run` takes but --yes, --no-wait and --out.
    """
    checkpoints, config = _chosen(given)
    with loading():
        from ..run.approval import show_plan
        from ..run.display import Display
        from ..run.start import plan_of

    root = given["data_root"] or DATA_ROOT
    checkpoint, beside = checkpoints[0] if checkpoints else None, checkpoints[1:]
    plan = plan_of(config, checkpoint, root, Display(), access_of(given), beside=beside)
    backend = config.run.backend if plan.choice is None else plan.choice.chosen.name
    show_plan(plan, backend, results_console(stderr=as_json))
    try:
        plan.check(config.machine.max_qpu_seconds)
    except BudgetError as error:
        click.echo(f"note: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"backend": backend, **plan.to_dict()}))


def _chosen(given: dict[str, Any]) -> tuple[list[Path], Config]:
    """The checkpoint files that were given, and the config that the flags resolve to.

    Of several, the first with a quantum layer leads: the config is its.

    What can be known to be wrong is said before the seconds that the libraries take to load.
    """
    from qbackend.registry import check_name

    check_name(given["backend"] or "aer")
    files = [file for each in given["checkpoint"] for file in checkpoint_files(each)]
    if len(files) > 1:
        files = without_copies(files, given["checkpoint"])
    if not files:
        config = chosen_config(given)
    elif len(files) == 1:
        config = config_of_checkpoint(files[0], given)
    else:
        from ..joint.members import check_together, leading_first

        check_readable(files, given["checkpoint"])
        files, infos = leading_first(files)
        config = config_of_checkpoint(files[0], given)
        check_together(files, infos, config, other_data=given["dataset"] is not None)
    check_machine_flags(config.run.backend, given)
    return files, config


def _check_run(run: Path) -> None:
    """Raise `RunFolderError` before the libraries load for a folder that there is not."""
    if not run.exists():
        raise RunFolderError(f"{run} is not a run: it does not exist; qhc run makes one")


def show(folder: RunFolder | None, *, as_json: bool) -> None:
    """Results on standard output, or on standard error when that is for JSON.

    A process that only helped to train has nothing to show.
    """
    from ..run.results import show_results, summary, waiting_summary

    if folder is None:
        return
    if folder.status == "waiting":
        if as_json:
            click.echo(json.dumps(waiting_summary(folder)))
        return
    show_results(folder, results_console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(summary(folder)))
