"""`qhc jobs` and `qhc cancel`: what a machine has of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from qbackend.errors import OptionError

from .flags import FILE
from .machine_options import access_of, account_options
from .options import Command, as_json, results_console

JOBS_EXAMPLES = """\b
Examples:
  qhc jobs                     all runs under runs/, from their ledgers
  qhc jobs runs/RUN            the machine is asked
  qhc jobs runs/RUN --rebuild  where its jobs.sqlite is lost
"""


@click.command(cls=Command, epilog=JOBS_EXAMPLES)
@click.argument("run", type=FILE, required=False)
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make a ledger that was lost anew, from what the service has of the run.",
)
@account_options
@as_json
def jobs(run: Path | None, as_json: bool, rebuild: bool, **given: Any) -> None:
    """Show a run's jobs, or all runs that asked a machine.

    Of RUN, a line per job: how far it is, by its service, and what it cost.

    Without RUN, all runs under runs/ that asked a machine, newest first: how far they are, what
    they wait for and what they cost, as their ledgers know it; no service is asked.
    """
    if run is None:
        _check_asks_nobody(given, rebuild=rebuild)
        _show_runs(as_json=as_json)
        return
    from ..run.display import Display
    from ..run.jobs import jobs_summary, list_jobs, price_of_run, print_jobs
    from ..run.jobs import rebuild as make_anew

    if rebuild:
        click.echo(str(make_anew(run, access_of(given))), err=True)
        return
    found = list_jobs(run, access_of(given), Display().say)
    if as_json:
        click.echo(json.dumps({"run": str(run), **jobs_summary(found, price_of_run(run))}))
    else:
        print_jobs(found, results_console(), price_of_run(run))


def _check_asks_nobody(given: dict[str, Any], *, rebuild: bool) -> None:
    """Raise `OptionError` for flags that only a run's service has a use for."""
    flags = {"rebuild": rebuild, **given}
    typed = [f"--{name}" for name, value in flags.items() if value]
    if typed:
        raise OptionError(
            f"without a RUN no service is asked: leave {', '.join(typed)} out, or name the run: "
            "qhc jobs RUN"
        )


def _show_runs(*, as_json: bool) -> None:
    from ..run.overview import list_runs, print_runs

    found = list_runs()
    if as_json:
        click.echo(json.dumps({"runs": [line.to_dict() for line in found]}))
    else:
        print_runs(found, results_console())


@click.command(cls=Command)
@click.argument("run", type=FILE)
@account_options
@as_json
def cancel(run: Path, as_json: bool, **given: Any) -> None:
    """Cancel a run's jobs that have not ended."""
    from ..run.display import Display
    from ..run.jobs import cancel_jobs, print_cancellation

    display = Display()
    with display.waiting():
        found = cancel_jobs(run, access_of(given), display.progress)
    if as_json:
        click.echo(json.dumps({"run": str(run), **found.to_dict()}))
    else:
        print_cancellation(found, run, results_console())


def collect_results(run: Path, given: dict[str, Any], root: Path | None, *, as_json: bool) -> None:
    """What a machine has done of a run, fetched and told."""
    names = ("max_qpu_seconds", "deadline", "yes", "no_wait")
    typed = [f"--{name.replace('_', '-')}" for name in names if given.get(name)]
    typed += [] if root is None else ["--data-root"]
    if typed:
        raise OptionError(f"--collect sends nothing and waits for nothing: leave out {typed[0]}")
    from qbackend.validation.folder import OwnRun

    from ..run.display import Display
    from ..run.jobs import collect_jobs
    from ..run.own import go_on_words

    found = collect_jobs(run, access_of(given), Display().say)
    if as_json:
        click.echo(json.dumps({"run": str(run), **found.to_dict()}))
        return
    go_on = go_on_words(OwnRun.open(run)) if is_own_run(run) else f"qhc resume {run} goes on"
    for line in found.lines(go_on):
        click.echo(line)


def is_own_run(run: Path) -> bool:
    """Whether it is a run of `qbackend.validate`."""
    from qbackend.validation.folder import is_own

    return is_own(run)
