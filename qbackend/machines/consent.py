"""Who says that a machine's time may be paid for: a function of the cost, or a person."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from ..errors import ApprovalError, OptionError
from .cost import MachineCost

Approve = Callable[[MachineCost], bool]
"""Is shown a plan before anything is sent, and says whether it may be."""


def approve_all(cost: MachineCost) -> bool:
    """Say yes to every plan; the budget still holds."""
    return True


def check_approve(approve: Approve | None) -> Approve | None:
    """The same; raises `OptionError` for what is no function."""
    if approve is not None and not callable(approve):
        raise OptionError(
            f"approve is a function that is shown the cost and gives True or False, got "
            f"{approve!r}: for example approve=lambda cost: cost.qpu_seconds < 60"
        )
    return approve


def can_ask() -> bool:
    """Whether a person is at the keyboard."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def check_approved(
    machine: str,
    cost: MachineCost,
    approve: Approve | None,
    *,
    words: str | None = None,
    example: str | None = None,
) -> None:
    """Raise `ApprovalError` unless the plan was approved; what costs nothing needs no yes.

    Without `approve` the person at the terminal is asked.

    Args:
        machine: its name.
        cost: of all that is asked about.
        approve: is shown the cost.
        words: the plan in a line, where it is of more than one request.
        example: of how to say yes where there is nobody to ask.
    """
    planned = words or plan_words(machine, cost)
    if approve is not None:
        answer = approve(cost)
        if not isinstance(answer, bool | np.bool_):
            # A text would be true, "no" among them.
            raise ApprovalError(
                f"nothing was sent to {machine}: approve gave {answer!r}, which is neither True "
                "nor False"
            )
        if not answer:
            raise ApprovalError(f"nothing was sent to {machine}: the plan was not approved")
        return
    if cost.qpu_seconds == 0:
        return
    if not can_ask():
        raise ApprovalError(
            f"{planned}; nothing was sent, because there is nobody to ask: say yes by approve, for "
            f"example {example or _example(machine, cost)}"
        )
    question = f"{planned} ({cost.basis})"
    if cost.max_execution_time is not None:
        question += f"; a job is stopped after {cost.max_execution_time} s"
    if not _asked(f"{question}. Send it?"):
        raise ApprovalError(f"nothing was sent to {machine}: the plan was not approved")


def plan_words(machine: str, cost: MachineCost) -> str:
    """What a request would take, in a line."""
    words = cost.words
    if cost.derivatives:
        words += f", {cost.derivatives} of them for derivatives,"
    money = "" if cost.price is None else f", {cost.price.words(cost.qpu_seconds)}"
    return (
        f"{words} in {_count(cost.jobs, 'job')} on {machine} would take about "
        f"{cost.qpu_seconds:.1f} s of QPU time{money}"
    )


def _example(machine: str, cost: MachineCost) -> str:
    return (
        f"QuantumLayer(spec, '{machine}', approve=lambda cost: cost.qpu_seconds < "
        f"{cost.qpu_seconds + 1:.0f}), or get_backend('{machine}', approve=...)"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _asked(question: str) -> bool:
    """The answer of the person at the terminal; no where there is none."""
    print(f"{question} [y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
