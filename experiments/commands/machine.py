"""`qhc jobs` and `qhc cancel`: what a machine has of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .flags import FILE
from .machine_options import access_of, account_options
from .options import Command, as_json, results_console


@click.command(cls=Command)
@click.argument("run", type=FILE)
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make a ledger that was lost anew, from what the service has of the run.",
)
@account_options
@as_json
def jobs(run: Path, as_json: bool, rebuild: bool, **given: Any) -> None:
    """Show a run's jobs: how far they are, and what they cost."""
    from ..run.display import Display
    from ..run.jobs import list_jobs, print_jobs
    from ..run.jobs import rebuild as make_anew

    if rebuild:
        click.echo(str(make_anew(run, access_of(given))), err=True)
        return
    found = list_jobs(run, access_of(given), Display().say)
    if as_json:
        click.echo(json.dumps({"run": str(run), "jobs": [job.to_dict() for job in found]}))
    else:
        print_jobs(found, results_console())


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
