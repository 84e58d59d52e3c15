"""The flags of commands that may reach a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from qbackend.errors import OptionError

from .flags import FILE, MachineOption, Numbers, options

if TYPE_CHECKING:
    from ..assembly.access import Access

EXECUTION = {
    "primitive": "sampler or estimator.  [default: sampler]",
    "generation": "Runtime's primitives of the server or of the client.  [default: server]",
    "mode": "auto, job, batch or session.  [default: auto]",
    "precision": "Standard error for the Estimator to reach, in place of --shots.",
    "dynamical_decoupling": "On idle qubits: XX, XpXm or XY4.",
    "gate_twirling": "Twirl two-qubit gates.",
    "measurement_twirling": "Twirl measurements.",
    "readout_mitigation": "m3 or tensored for the Sampler, trex for the Estimator.",
    "zne": "Noise factors of zero-noise extrapolation, for example 1,3,5; Estimator.",
    "max_execution_time": "Seconds of QPU time after which a job is stopped.",
    "max_qpu_seconds": "Budget of QPU time for the whole run.  [default: 60]",
    "deadline": "Seconds to wait for results.",
}
"""Values of [machine] and what their flags say."""

_TYPES: dict[str, Any] = {
    "precision": float,
    "zne": Numbers(),
    "max_execution_time": int,
    "max_qpu_seconds": float,
    "deadline": float,
}
_SWITCHES = ("gate_twirling", "measurement_twirling")


def _flag(name: str, words: str) -> Any:
    dashed = f"--{name.replace('_', '-')}"
    if name in _SWITCHES:
        return click.option(dashed, name, is_flag=True, default=None, help=words, cls=MachineOption)
    metavar = "S" if name in ("max_execution_time", "max_qpu_seconds", "deadline") else None
    kind = _TYPES.get(name, str)
    metavar = metavar or ("X" if kind is float else "LIST" if name == "zne" else "NAME")
    return click.option(dashed, name, type=kind, metavar=metavar, help=words, cls=MachineOption)


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
execution_options = options(
    *(_flag(name, words) for name, words in EXECUTION.items()),
    click.option("--session", is_flag=True, cls=MachineOption, help="Short for --mode session."),
)
budget_option = _flag("max_qpu_seconds", "Another budget of QPU time for the whole run.")
deadline_option = _flag("deadline", "Seconds to wait for results, this time.")
yes_option = click.option("--yes", is_flag=True, cls=MachineOption, help="Send without asking.")
no_wait_option = click.option(
    "--no-wait", is_flag=True, cls=MachineOption, help="Return once the jobs are sent."
)


def machine_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The values of [machine] among the flags that were typed."""
    typed = {name: given[name] for name in EXECUTION if given.get(name) is not None}
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


def check_machine_flags(backend: str, given: dict[str, Any]) -> None:
    """Raise `OptionError` for flags that only a machine has a use for."""
    from qbackend.registry import parse_name

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
