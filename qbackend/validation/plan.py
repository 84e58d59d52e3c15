"""What a validation will ask of its machines, shown and approved before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..errors import BudgetError
from ..machines.budget import total as summed
from ..machines.consent import Approve, can_ask, check_approved
from ..machines.cost import MachineCost
from ..seam.requests import Cost
from .asking import Asker, Known
from .evaluation import Outcome
from .records.stored import StoredRun
from .telling import Telling
from .trips import Place, Road


@dataclass(frozen=True)
class Share:
    """One request: a layer's rows of all items on one backend.

    Attributes:
        backend: its name.
        layer: its name in the model, with the call where there are several.
        cost: of the request.
        is_certain: whether its rows are known already: a later layer's are counted, and what they
            are follows from the answers before them.
        place: where the model makes it.
        rows: that are executed of the items, without those that calibrate.
    """

    backend: str
    layer: str
    cost: Cost
    is_certain: bool
    place: Place
    rows: int


@dataclass(frozen=True)
class Plan:
    """All requests in order.

    Attributes:
        shares: of each backend, by the order of the layers.
        items: of the data.
    """

    shares: tuple[Share, ...]
    items: int

    def of(self, backend: str) -> list[Share]:
        """Those of one backend."""
        return [share for share in self.shares if share.backend == backend]

    def total(self, backend: str | None = None) -> MachineCost | None:
        """Of all requests together, or of one backend's; None where there are none."""
        costs = [
            share.cost
            for share in self.shares
            if isinstance(share.cost, MachineCost) and backend in (None, share.backend)
        ]
        return summed(costs) if costs else None

    def check(self, budget: float) -> None:
        """Raise `BudgetError` for more QPU seconds than the budget, or the account's plan, has."""
        cost = self.total()
        if cost is None:
            return
        seconds = cost.qpu_seconds
        fewer = "Take fewer items (limit=) or shots (shots=)"
        if seconds > budget:
            raise BudgetError(
                f"this takes about {seconds:.0f} s of QPU time, more than the budget of "
                f"{budget:g} s; nothing was sent. {fewer}, or allow it: "
                f'options={{"max_qpu_seconds": {int(-(-seconds // 1))}}}'
            )
        if cost.seconds_left is not None and seconds > cost.seconds_left:
            raise BudgetError(
                f"this takes about {seconds:.0f} s of QPU time, and the account's plan has "
                f"{cost.seconds_left:.0f} s left; nothing was sent. {fewer}"
            )

    def table(self) -> Table:
        """A row per request, and the sum of several."""
        table = Table(box=SIMPLE_HEAD)
        table.add_column("plan", no_wrap=True)
        for heading in ("rows", "copies", "PUBs", "jobs", "executions", "QPU seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for share in self.shares:
            mark = "" if share.is_certain else " *"
            table.add_row(f"{share.layer} on {share.backend}{mark}", *_numbers(share.cost))
        whole = self.total()
        if whole is not None and len(self.shares) > 1:
            table.add_row("together", *_numbers(whole, is_sum=True))
        return table

    def words(self) -> list[str]:
        """Below the table: what is not known yet, and where the estimate comes from."""
        found = []
        if not all(share.is_certain for share in self.shares):
            found.append(
                "* as many rows as are counted now; what they are follows from the answers of the "
                "layers before, so that they are sent when these are there"
            )
        whole = self.total()
        if whole is None:
            return found
        if whole.qpu_seconds:
            found.append(f"{whole.basis}; what is charged is known afterwards")
            if whole.price is not None:
                found.append(f"about {whole.price.words(whole.qpu_seconds)} in money")
        elif whole.machine_seconds:
            found.append(
                f"simulated on this computer, nothing is charged; a machine would take about "
                f"{whole.machine_seconds:,.1f} s: {whole.basis}"
            )
        return found

    def sentence(self) -> str:
        """The plan in a line, as a question and an error have it."""
        cost = self.total()
        assert cost is not None
        names = ", ".join(dict.fromkeys(share.backend for share in self.shares))
        money = "" if cost.price is None else f", {cost.price.words(cost.qpu_seconds)}"
        layers = "" if len(self.shares) == 1 else f" in {len(self.shares)} requests"
        return (
            f"{self.items:,} items, {cost.rows:,} rows of quantum layers{layers} in "
            f"{cost.jobs:,} job{'' if cost.jobs == 1 else 's'} on {names} would take about "
            f"{cost.qpu_seconds:.1f} s of QPU time{money}"
        )


def plan_of(
    road: Road,
    names: Mapping[Place, str],
    ideal: Outcome,
    askers: Sequence[Asker],
    known: Mapping[Place, Known] | None,
    items: int,
) -> Plan:
    """The requests of a model's layers on each of the backends.

    Args:
        road: through the model.
        names: of the places.
        ideal: what came of the evaluation without noise; it has counted the rows.
        askers: of the backends.
        known: rows that calibrate; None for none.
        items: of the data.

    Raises:
        QhcError: as the backends' `estimate`.
    """
    places = sorted(ideal.features, key=road.places.__getitem__)
    shares = []
    for asker in askers:
        for number, place in enumerate(places):
            layer = road.layers[place.layer]
            rows = asker.live(layer, ideal.features[place])
            calibrating = 0
            if known is not None:
                # Behind the first layer, rows as answered and as corrected are others.
                rows = rows if number == 0 else 2 * rows
                calibrating = asker.live(layer, known[place].features)
            if rows:
                cost = asker.cost(layer, rows, calibrating)
                shares.append(Share(asker.name, names[place], cost, number == 0, place, rows))
    return Plan(tuple(shares), items)


class Consent:
    """Shows a plan and asks, once for a whole run; what was approved stays so.

    A model whose calls follow from the answers may want more than it did without noise. What goes
    beyond the plan is asked about by itself.

    Args:
        folder: of the run, which remembers the answer.
        plan: of all machines.
        approve: is shown the sum of all costs; None asks at the terminal.
        telling: where the plan is shown.
    """

    def __init__(
        self, folder: StoredRun, plan: Plan, approve: Approve | None, telling: Telling
    ) -> None:
        self.folder, self.plan, self.approve, self.telling = folder, plan, approve, telling
        self._is_planned = True

    def counting(self, backend: str) -> Callable[[Place, int], None]:
        """Is to be told of every request to the backend before it is made."""
        left = Counter({share.place: share.rows for share in self.plan.of(backend)})

        def before(place: Place, rows: int) -> None:
            left[place] -= rows
            self._is_planned = left[place] >= 0

        return before

    def __call__(self, cost: MachineCost) -> bool:
        """Whether the first request and all others of the plan may be sent, or one beyond it.

        Raises:
            ApprovalError: somebody said no, or there is nobody to ask.
        """
        if self.folder.state.approved:
            if not self._is_planned:
                ask_more(self.plan, cost, self.approve)
            return True
        ask(self.plan, self.approve, self.telling)
        whole = self.plan.total()
        self.folder.note(approved=True, price=None if whole is None else whole.price)
        return True


def ask(plan: Plan, approve: Approve | None, telling: Telling) -> None:
    """Show the plan and ask whether it may be sent; raises `ApprovalError` for anything but yes."""
    whole = plan.total()
    if whole is None:
        return
    show(plan, telling)
    seconds = whole.qpu_seconds + 1
    example = (
        f"validate(..., approve=lambda cost: cost.qpu_seconds < {seconds:.0f}); estimate(...) "
        "looks at the plan alone"
    )
    check_approved(_machines(plan), whole, approve, words=plan.sentence(), example=example)


def ask_more(plan: Plan, cost: MachineCost, approve: Approve | None) -> None:
    """Ask about a request that is not in the plan; raises `ApprovalError` as `ask`."""
    seconds = cost.qpu_seconds
    check_approved(
        _machines(plan),
        cost,
        approve,
        words=(
            "what was answered leads the model to calls that it does not make without noise: "
            f"{cost.rows:,} rows beyond the plan would take about {seconds:.1f} s of QPU time more"
        ),
        example=f"validate(..., approve=lambda cost: cost.qpu_seconds < {seconds + 1:.0f})",
    )


def check_askable(plan: Plan, approve: Approve | None, telling: Telling) -> None:
    """Raise `ApprovalError`, before anything is made, where it costs and nobody could say yes."""
    whole = plan.total()
    if approve is None and whole is not None and whole.qpu_seconds and not can_ask():
        ask(plan, None, telling)


def show(plan: Plan, telling: Telling) -> None:
    """The plan and what is to be said of it."""
    telling.show(plan.table())
    for words in plan.words():
        telling.say(words)


def _machines(plan: Plan) -> str:
    return ", ".join(dict.fromkeys(share.backend for share in plan.shares))


def _numbers(cost: Cost, *, is_sum: bool = False) -> list[str]:
    found: list[Any] = [cost.rows]
    if isinstance(cost, MachineCost):
        found += ["" if is_sum else cost.copies, cost.pubs, cost.jobs, cost.executions]
    else:
        found += ["", "", cost.jobs, cost.shots]
    return [*(f"{each:,}" if isinstance(each, int) else each for each in found),
            f"{cost.qpu_seconds:,.1f}"]  # fmt: skip
