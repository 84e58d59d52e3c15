"""The command in other processes, which die where they are told to, as by `kill -9`."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

from experiments.commands.cli import main
from experiments.records.folder import RunFolder
from qbackend.ibm.service import RuntimeService
from qbackend.machines.ledger.ledger import Ledger
from tests.machines.processes import LEDGER, ROOT, SERVICE, Executioner, Point
from tests.support.command_line import without_reports

WATCHED = {
    Ledger: (*LEDGER, "opened", "closed"),
    RuntimeService: SERVICE,
    RunFolder: ("append", "note"),
}
"""What a process may die before and after."""


def killed(
    folder: Path, environment: Mapping[str, str], point: Point, *arguments: str
) -> int | None:
    """What the command, working in `folder`, leaves with; a negative signal where it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(
        target=_run, args=(folder, dict(environment), point, arguments), daemon=True
    )
    # The server of processes finds the modules that it loads beforehand only by this.
    with mock.patch.dict(os.environ, PYTHONPATH=str(ROOT)):
        process.start()
    process.join(120)
    return process.exitcode


def _run(
    folder: Path, environment: dict[str, str], point: Point, arguments: tuple[str, ...]
) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    executioner = Executioner(point)
    for kind, methods in WATCHED.items():
        for method in methods:
            setattr(kind, method, _watched(getattr(kind, method), method, executioner))
    with without_reports():
        main(arguments)


def _watched(
    usual: Callable[..., Any], method: str, executioner: Executioner
) -> Callable[..., Any]:
    @wraps(usual)
    def call(*given: Any, **options: Any) -> Any:
        executioner.pass_by(method, after=False)
        answer = usual(*given, **options)
        executioner.pass_by(method, after=True)
        return answer

    return call
