"""What may be spent: by the run, by the account's plan, and by one job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import BudgetError
from .cost import MachineCost

LONGER = 2.0
"""How many times its estimate a job may take: an estimate is a rule of thumb."""
SHORTEST_LIMIT = 10.0
"""Seconds that any job may take, however small: what a job takes beside its shots varies."""


@dataclass(frozen=True)
class Allowance:
    """What there is for jobs that are about to be sent, seconds of QPU time.

    Attributes:
        budget: of the whole run.
        left: of it, by what is charged, and estimated where no charge is known.
        to_send: estimated for the jobs that it is left for.
        under_way: estimated for all that will be under way together, these and others.
        longest: that a job may ask for at all.
    """

    budget: float
    left: float
    to_send: float
    under_way: float
    longest: float

    def time_limit(self, seconds: float) -> int:
        """Whole seconds after which a job that is estimated to take `seconds` is stopped.

        What is stopped is charged, and gives nothing: there is room for an estimate that is far
        off, as long as the budget has room. What may be under way together stays within the budget,
        shared by the estimates, except that no job is given less than its own.
        """
        share = min(self.budget * seconds / self.under_way, self.left * seconds / self.to_send)
        # Without the rounding of the divisions.
        allowed = round(min(max(SHORTEST_LIMIT, LONGER * seconds), share, self.longest), 6)
        return max(math.floor(allowed), math.ceil(seconds))


def check_budget(planned: MachineCost, committed: float, budget: float) -> None:
    """Raise `BudgetError` for a plan that goes over the budget or over what is left.

    Args:
        planned: what is about to be sent.
        committed: seconds charged to the run, or estimated for what it has sent.
        budget: seconds for the whole run.
    """
    seconds = planned.qpu_seconds
    if committed + seconds > budget:
        before = f" after {committed:.0f} s of this run" if committed else ""
        needed = math.ceil(committed + seconds)
        raise BudgetError(
            f"{planned.words} take about "
            f"{seconds:.0f} s of QPU time{before}, more than the budget of {budget:g} s; nothing "
            f"was sent: allow more with --max-qpu-seconds {needed}, or take fewer images "
            "(--limit) or shots (--shots)"
        )
    left = planned.seconds_left
    if left is not None and seconds > left:
        raise BudgetError(
            f"{planned.words} take about "
            f"{seconds:.0f} s of QPU time, but the plan '{planned.plan}' has {left:.0f} s left; "
            "nothing was sent: take fewer images (--limit) or shots (--shots), or wait until the "
            "plan has seconds again (qhc backends shows them)"
        )


def total(costs: Sequence[MachineCost]) -> MachineCost:
    """The sum of the costs of single jobs of one layer."""
    return replace(
        costs[0],
        rows=sum(each.rows for each in costs),
        circuits=sum(each.circuits for each in costs),
        jobs=sum(each.jobs for each in costs),
        shots=sum(each.shots for each in costs),
        qpu_seconds=sum(each.qpu_seconds for each in costs),
        pubs=sum(each.pubs for each in costs),
        executions=sum(each.executions for each in costs),
        machine_seconds=sum(each.machine_seconds for each in costs),
    )
