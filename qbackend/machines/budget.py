"""What may be spent: by the run, and by the account's plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..errors import BudgetError
from .cost import MachineCost


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
