"""The flags of commands that may reach a machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import OptionError
from qbackend.machines.options import SWITCH, ExecutionOptions

from .flags import FILE, Count, MachineOption, Numbers, options

if TYPE_CHECKING:
    from ..assembly.access import Access

_KINDS: dict[str, Any] = {
    "X": float,
    "N": int,
    "auto|N": Count("auto"),
    "LIST": Numbers(),
    "S": float,
}
"""What a flag's value is read as, by what its help says that it takes."""


def _flags() -> dict[str, Any]:
    """The options of an execution that have a flag, by name."""
    return {option.name: option for option in fields(ExecutionOptions) if option.metadata["words"]}


def _flag(name: str, words: str | None = None) -> Any:
    option = _flags()[name]
    dashed, takes = f"--{name.replace('_', '-')}", option.metadata["takes"]
    default = f"{option.default:g}" if isinstance(option.default, float) else option.default
    told = words or option.metadata["words"].format(default)
    given: dict[str, Any] = {"help": told, "cls": MachineOption}
    if takes == SWITCH:
        return click.option(dashed, name, is_flag=True, default=None, **given)
    kind = int if "int" in option.type else _KINDS.get(takes, str)
    return click.option(dashed, name, type=kind, metavar=takes, **given)


account_options = options(
    click.option(
        "--credentials",
        type=FILE,
        metavar="FILE",
        cls=MachineOption,
        help="Where your access is written, in place of where it usually is.",
    ),
    click.option(
        "--profile", metavar="NAME", cls=MachineOption, help="Which account of that file."
    ),
)


def execution_flags(without: Collection[str] = ()) -> Callable[[Any], Any]:
    """Of an execution, but for some options that the command chooses itself."""
    session = "Short for --mode session."
    return options(
        *(_flag(name) for name in _flags() if name not in without),
        click.option("--session", is_flag=True, cls=MachineOption, help=session),
    )


execution_options = execution_flags()
budget_option = _flag("max_qpu_seconds", "Another budget of QPU time for the whole run.")
deadline_option = _flag("deadline", "Seconds to wait for results, this time.")
repeat_budget_option = _flag("max_qpu_seconds")
prefer_option = _flag("prefer")
repeat_deadline_option = _flag("deadline")
yes_option = click.option("--yes", is_flag=True, cls=MachineOption, help="Send without asking.")
no_wait_option = click.option(
    "--no-wait", is_flag=True, cls=MachineOption, help="Return once the jobs are sent."
)


def machine_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The values of [machine] among the flags that were typed."""
    typed = {name: given[name] for name in _flags() if given.get(name) is not None}
    if given.get("session"):
        if typed.get("mode", "session") != "session":
            raise OptionError(f"--session and --mode {typed['mode']} contradict each other")
        typed["mode"] = "session"
    return typed


def access_of(given: dict[str, Any]) -> Access:
    """How a machine is reached, taken out of the flags that were typed."""
    from ..assembly.access import Access

    return Access(
        credentials=given.get("credentials"),
        profile=given.get("profile"),
        yes=bool(given.get("yes")),
        wait=not given.get("no_wait"),
    )


def check_preference(backend: str | None, given: dict[str, Any]) -> None:
    """Raise `OptionError` for --prefer where there is nothing to choose among."""
    from qbackend.registry import parse_name

    if given.get("prefer") is not None and (backend is None or not parse_name(backend).is_choice):
        raise OptionError(
            "--prefer chooses among an account's machines where none is named: add --backend ibm, "
            "or leave it out"
        )


def check_machine_flags(backend: str, given: dict[str, Any]) -> None:
    """Raise `OptionError` for flags that only a machine has a use for."""
    from qbackend.registry import parse_name

    check_preference(backend, given)
    if parse_name(backend).is_machine:
        return
    names = (*machine_settings(given), "credentials", "profile", "yes", "no_wait")
    typed = [f"--{name.replace('_', '-')}" for name in names if given.get(name)]
    typed += [f"--set {each}" for each in given["settings"] if each.startswith("machine.")]
    if typed:
        raise OptionError(
            f"'{backend}' executes on this computer, at once and for nothing: {', '.join(typed)} "
            "only has a meaning on a machine, for example --backend ibm_fez or fake_fez"
        )
