"""The machines of `qhc backends`: what the account has, and what is left of its plan."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qbackend.errors import QhcError
from qbackend.machines.gateway import Gateway
from qbackend.machines.service import MachineInfo, PlanInfo
from qbackend.machines.vendor import Vendor
from qbackend.registry import vendors

from ..assembly.access import Access
from ..run.display import Display

LIST_SECONDS = 60.0
"""That a service has to tell of its machines: the other backends are listed without it."""

NO_ACCOUNT = (
    "machines: no credentials for {} were found, so none are listed; "
    "credentials.example.toml tells how to add yours"
)


def print_machines(console: Console, access: Access) -> None:
    """Print a line per machine of each vendor's account, or why there are none.

    Raises:
        QhcError: an account that `access` names cannot be reached; of one that is only found, a
            line says so.
    """
    for vendor in vendors():
        _print_vendor(console, vendor, access)


def _print_vendor(console: Console, vendor: Vendor, access: Access) -> None:
    try:
        found = _machines(vendor, access)
    except QhcError as error:
        if access.account() != Access().account():
            raise
        console.print(f"machines: {error}", markup=False, soft_wrap=True)
        return
    if found is None:
        console.print(NO_ACCOUNT.format(vendor.name), markup=False, soft_wrap=True)
        return
    machines, plan, source = found
    left = "" if plan.seconds_left is None else f", {plan.seconds_left:,.0f} s left"
    sessions = "" if plan.has_sessions else ", no sessions"
    title = f"machines (credentials from {source}; plan {plan.name}{left}{sessions})"
    console.print(title, markup=False, soft_wrap=True)
    table = Table("machine", "qubits", "gate", "jobs waiting", "status", box=SIMPLE_HEAD)
    for column in (1, 3):
        table.columns[column].justify = "right"
    for machine in sorted(machines, key=lambda machine: machine.pending_jobs):
        qubits, waiting = str(machine.n_qubits), str(machine.pending_jobs)
        table.add_row(machine.name, qubits, machine.two_qubit_gate, waiting, machine.status)
    console.print(table)


def _machines(vendor: Vendor, access: Access) -> tuple[list[MachineInfo], PlanInfo, str] | None:
    """Machines, plan, and where the credentials are from; None without any."""
    account = access.credentials, access.profile
    source = vendor.account(*account)
    if source is None:
        return None
    gateway = Gateway(lambda: vendor.connect(*account, is_local=False), tell=Display().say)
    until = gateway.clock.now() + LIST_SECONDS
    machines = gateway.ask(lambda service: service.machines(), until=until)
    plan = gateway.ask(lambda service: service.plan(), until=until)
    return machines, plan, source
