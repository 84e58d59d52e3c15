"""The plan of what a machine is to do, shown, and the question whether to pay for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.prompt import Confirm
from rich.table import Table

from qbackend.errors import OptionError
from qbackend.machines.consent import can_ask
from qbackend.seam.requests import Cost
from qbackend.validation.telling import table_text

from ..records.folder import RunFolder
from ..rows.calls import Watch
from ..rows.estimates import price_of
from .display import Display
from .plan import RunPlan, Share

LINES = {
    "rows": "rows",
    "copies": "copies side by side",
    "circuits": "circuits",
    "pubs": "PUBs",
    "jobs": "jobs",
    "shots": "shots",
    "executions": "executions",
    "two_qubit_gates": "two-qubit gates of a row",
    "two_qubit_depth": "two-qubit depth of a row",
}
"""Numbers of a cost, in words."""

LITTLE_ROOM = 1.25
"""How many times its estimate a job should be able to take."""


MOST_COLUMNS = 4
"""Of a plan; more shares have a row each, with these numbers."""
ON_MACHINE = "about, on a machine"
WEIGHED = ("images", "rows", "executions", "QPU seconds", ON_MACHINE)


class Approval:
    """Shows the plan and asks, once for a whole run; what was approved stays so.

    Args:
        machine: its name.
        folder: of the run, which remembers the answer.
        display: where the plan is shown.
        yes: do not ask.

    Attributes:
        plan: of the whole run, to be set before the first request.
        watch: over a network whose calls may go beyond the plan; None where none can.
    """

    def __init__(self, machine: str, folder: RunFolder, display: Display, *, yes: bool) -> None:
        self.plan: RunPlan | None = None
        self.watch: Watch | None = None
        self.machine = machine
        self.folder = folder
        self.display = display
        self.yes = yes

    def __call__(self, cost: Cost) -> bool:
        """Whether the first request, of this cost, and all others of the plan may be sent.

        What goes beyond the plan is asked about by itself. Raises `OptionError` where there is
        nobody to ask.
        """
        if self.folder.state.approved:
            is_planned = self.watch is None or self.watch.is_planned
            return is_planned or not charges(cost) or self._agree_to_more(cost)
        plan = self.plan
        assert plan is not None
        if len(plan.shares) == plan.total.requests == 1:
            # The request itself is known by now, to the row.
            plan = replace(plan, shares=(replace(plan.shares[0], cost=cost),))
        with self.display.asking():
            show_plan(plan, self.machine, self.display.console)
            if charges(cost) and not self.yes:
                check_can_ask()
                money, seconds = price_of(plan.total.cost), plan.total.cost.qpu_seconds
                words = "" if money is None else f", for about {money.words(seconds)}"
                question = f"Send this to {self.machine}{words}?"
                if not Confirm.ask(question, console=self.display.console, default=False):
                    self.display.say(f"asked again by: qhc resume {self.folder.path}")
                    return False
        self.folder.note(approved=True, price=price_of(plan.total.cost))
        return True

    def _agree_to_more(self, cost: Cost) -> bool:
        price, path = price_of(cost), self.folder.path
        money = "" if price is None else f", {price.words(cost.qpu_seconds)}"
        words = (
            "what was answered leads the network to calls that it does not make without noise: "
            f"{cost.rows:,} rows beyond the plan on {self.machine} would take about "
            f"{cost.qpu_seconds:.1f} s of QPU time more{money}"
        )
        if not can_ask():
            raise OptionError(
                f"{words}; they were not sent: a yes is to the plan alone, --yes too, and there "
                f"is no terminal to ask. At one, go on with: qhc resume {path}"
            )
        with self.display.asking():
            if Confirm.ask(f"{words}. Send them?", console=self.display.console, default=False):
                return True
            self.display.say(f"asked again by: qhc resume {path}")
        return False


def charges(cost: Cost) -> bool:
    """Whether QPU time is charged for; on a fake device none is."""
    return cost.qpu_seconds > 0


def check_can_ask() -> None:
    """Raise `OptionError` where nobody can answer."""
    if not can_ask():
        raise OptionError(
            "a machine's time costs money, and there is no terminal to ask whether to spend it; "
            "add --yes to send it, or look at the plan alone: qhc estimate"
        )


def check_approvable(plan: RunPlan, machine: str, console: Console, *, yes: bool) -> None:
    """Raise `OptionError`, the plan shown, where it costs and nobody could say yes to it."""
    if charges(plan.total.cost) and not (yes or can_ask()):
        show_plan(plan, machine, console)
        check_can_ask()


def show_plan(plan: RunPlan, machine: str, console: Console) -> None:
    """A table of the plan, a column per share, one for all of them, and what is not sent."""
    shares = [*plan.shares, plan.total] if len(plan.shares) > 1 else list(plan.shares)
    shares += [] if plan.whole is None else [plan.whole]
    if len(shares) > MOST_COLUMNS:
        _print_rows(shares, machine, console)
    else:
        table = Table(f"plan on {machine}", box=SIMPLE_HEAD)
        for share in shares:
            table.add_column(share.what, justify="right", no_wrap=True)
        for name, values in _lines(shares):
            table.add_row(name, *values)
        console.print(table)
    for share in plan.shares:
        if share.steps:
            console.print(_step_words(share), markup=False, soft_wrap=True)
    cost = plan.total.cost
    if plan.apart is not None:
        console.print(_saved_words(plan.total.cost, plan.apart), markup=False, soft_wrap=True)
    console.print(f"estimate: {_basis(cost)}", markup=False, soft_wrap=True)
    if words := _limit_words(plan.sent):
        console.print(f"limit: {words}", markup=False, soft_wrap=True)
    if price := price_of(cost):
        told = f"{price.per_second:g} {price.currency} per second of QPU time, by your credentials"
        console.print(f"price: {told}", markup=False, soft_wrap=True)
    if words := getattr(cost, "fractional_gates", ""):
        console.print(words, markup=False, soft_wrap=True)
    left = getattr(cost, "seconds_left", None)
    if left is not None:
        console.print(f"left in the account's plan: {left:,.0f} s", markup=False)


def _print_rows(shares: list[Share], machine: str, console: Console) -> None:
    """A row per share of what a reader weighs, and below it what else all together have."""
    lines = dict(_lines(shares))
    alike = {name: values[-1] for name, values in lines.items() if name not in WEIGHED}
    table = Table(f"plan on {machine}", box=SIMPLE_HEAD)
    for name in (shown := [name for name in lines if name in WEIGHED]):
        words = name.replace(" ", "\n", 1) if name != ON_MACHINE else "about, on\na machine"
        table.add_column(words, justify="right")
    for share, *values in zip(shares, *(lines[name] for name in shown), strict=True):
        table.add_row(share.what, *values)
    # Whole, however narrow the terminal is.
    console.print(table_text(table), markup=False, soft_wrap=True, end="")
    told = ", ".join(f"{name} {value}" for name, value in alike.items())
    console.print(f"together: {told}", markup=False, soft_wrap=True)


def _step_words(share: Share) -> str:
    """What one step of a training takes, of which all are alike."""
    cost, steps = share.cost, share.steps
    seconds = cost.qpu_seconds / steps
    words = f"{seconds:,.1f} s of QPU time" if seconds else "no QPU time"
    each = f"{cost.rows // steps:,} rows, {getattr(cost, 'derivatives', 0) // steps:,} of them for"
    return f"each of {steps:,} training steps takes {each} derivatives, and {words}"


def _saved_words(cost: Cost, apart: Share) -> str:
    """What several models save by being asked in one run."""
    # Rounded first: a reader subtracts what is shown.
    together, alone = (
        round(each.qpu_seconds or machine_seconds(each), 1) for each in (cost, apart.cost)
    )
    words = f"one by one, {apart.requests} runs would take {apart.cost.jobs:,} jobs"
    if not alone:
        return f"{words}, and these {cost.jobs:,}"
    return (
        f"{words} and {alone:,.1f} s of a machine's QPU time by the same estimate; together they "
        f"take {cost.jobs:,} and {together:,.1f} s, {alone - together:,.1f} s "
        f"({100 * (1 - together / alone):.0f} %) less"
    )


def _limit_words(shares: Sequence[Share]) -> str:
    """When the service stops a job, and whether that is soon; empty where nothing is stopped."""
    limited = {
        share: limit
        for share in shares
        if (limit := getattr(share.cost, "max_execution_time", None)) is not None
    }
    if not limited:
        return ""
    told = ", ".join(f"{limit} s ({share.what})" for share, limit in limited.items())
    if len(set(limited.values())) == 1:
        told = f"{next(iter(limited.values()))} s"
    words = f"the service stops a job after {told} of QPU time (max_execution_time)"
    if any(
        limit < LITTLE_ROOM * share.cost.qpu_seconds / share.cost.jobs
        for share, limit in limited.items()
    ):
        words += (
            ", which is little more than estimated: what is stopped is charged and gives nothing; "
            "a larger --max-qpu-seconds leaves more room, or --max-execution-time where that is set"
        )
    return words


def _basis(cost: Cost) -> str:
    """Where the estimate comes from."""
    if charges(cost):
        return f"{cost.basis}; what is charged is known afterwards"
    words = "simulated on this computer, nothing is charged"
    if not (seconds := machine_seconds(cost)):
        return words
    return f"{words}; a machine would take about {seconds:,.0f} s: {cost.basis}"


def _lines(shares: list[Share]) -> list[tuple[str, list[str]]]:
    """What is said of each share; what a cost does not know is left out."""
    lines = [("images", [f"{share.images:,}" for share in shares])]
    for key, name in LINES.items():
        values = [getattr(share.cost, key, None) for share in shares]
        if None not in values:
            lines.append((name, [f"{value:,}" for value in values]))
    seconds = [share.cost.qpu_seconds for share in shares]
    lines.append(("QPU seconds", [f"{each:,.1f}" for each in seconds]))
    if price := price_of(shares[0].cost):
        lines.append((f"cost ({price.currency})", [f"{price.money(s):,.2f}" for s in seconds]))
    on_machine = [machine_seconds(share.cost) for share in shares]
    if not charges(shares[-1].cost) and all(on_machine):
        lines.append((ON_MACHINE, [f"{seconds:,.1f}" for seconds in on_machine]))
    return lines


def machine_seconds(cost: Cost) -> float:
    """What a fake device's cost would be on a machine; 0 for a simulator's."""
    return getattr(cost, "machine_seconds", 0.0)
