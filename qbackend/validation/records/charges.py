"""What a run's jobs cost, as far as its ledger knows."""

from __future__ import annotations

from typing import Any

from ...machines.cost import Price
from ...machines.ledger.entries import State
from ...machines.ledger.ledger import Ledger
from .recorded import Recorded
from .stored import StoredRun


class Charges(Recorded):
    """What the jobs of a run took, as far as its ledger knows.

    Attributes:
        job_ids: of those that gave results.
        estimated_seconds: of QPU time, of all that were executed.
        charged_seconds: so far.
        unsettled: jobs and sessions whose charge is not known yet.
        price: of a second, when the run was approved.
    """

    job_ids: tuple[str, ...]
    estimated_seconds: float
    charged_seconds: float
    unsettled: int
    price: Price | None = None

    @property
    def money(self) -> str:
        """What was charged, in words that follow the seconds; empty without a price."""
        return "" if self.price is None else f", {self.price.words(self.charged_seconds)}"

    def summary(self) -> dict[str, Any]:
        """What they took, for a line of JSON."""
        line = self.only("job_ids", "estimated_seconds", "charged_seconds", "price")
        if self.price is not None:
            line["money"] = self.price.money(self.charged_seconds)
        return line


def ledger_summary(folder: StoredRun) -> Charges | None:
    """What the jobs of a run took, as far as its ledger knows; None without a ledger.

    Attempts without a result are charged too; what they took is compared with its estimate. A
    session is charged as a whole, whatever its jobs took.
    """
    if not folder.ledger.exists():
        return None
    ledger = Ledger.existing(folder.ledger)
    entries = ledger.entries()
    sessions, charged = ledger.sessions(), ledger.charged_seconds()
    ledger.close()
    done = [entry for entry in entries if entry.state is State.DONE]
    executed = [entry for entry in entries if entry.state is State.DONE or entry.qpu_seconds]
    alone = [e for e in entries if e.job_id is not None and e.workload not in sessions]
    charges = [*sessions.values(), *(entry.qpu_seconds for entry in alone)]
    price = folder.state.price
    return Charges(
        **({} if price is None else {"price": price}),
        job_ids=tuple(entry.job_id for entry in done if entry.job_id is not None),
        estimated_seconds=sum(entry.estimate_seconds for entry in executed),
        charged_seconds=charged,
        unsettled=sum(seconds is None for seconds in charges),
    )
