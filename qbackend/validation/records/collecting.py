"""What a machine has done of a run's jobs, fetched and kept; nothing is sent, nothing waited for.

What is paid for is safe in the ledger then, whether or not there is a model to go on with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ...machines.gateway import Gateway
from ...machines.ledger.entries import Entry, State
from ...machines.ledger.ledger import Ledger
from ...seam.jobs import JobStatus

ENDED = {JobStatus.FAILED: State.FAILED, JobStatus.CANCELLED: State.CANCELLED}


@dataclass(frozen=True)
class Collected:
    """Ids of jobs by what became of them.

    Attributes:
        fetched: whose results are in the ledger now, and were not before.
        kept: whose results were there already.
        under_way: that go on.
        ended: without a result.
    """

    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    under_way: tuple[str, ...]
    ended: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self, go_on: str) -> Iterator[str]:
        """For people; `go_on` says what goes on with the run."""
        told = {
            "fetched, and kept in the ledger": self.fetched,
            "were there already": self.kept,
            "under way, look again later": self.under_way,
            "ended without a result": self.ended,
        }
        for words, jobs in told.items():
            if jobs:
                yield f"{len(jobs)} job{'' if len(jobs) == 1 else 's'} {words}: {', '.join(jobs)}"
        if not any(told.values()):
            yield "no job was sent yet"
        yield go_on


def collect(gateway: Gateway, ledger: Ledger) -> Collected:
    """Fetch every result that is there, once, and enter what each job cost.

    Raises:
        CredentialsError: the jobs belong to another account.
        TransientError: the service is out of reach; what was fetched before is kept.
    """
    before = {entry.tag for entry in ledger.entries() if entry.state is State.DONE}
    with ledger.locked():
        gateway.check_instance(ledger.entries())
        for entry in ledger.entries():
            if entry.state is State.SUBMITTED and entry.job_id is not None:
                _look(gateway, ledger, entry)
    gateway.settle(ledger)
    entries = [entry for entry in ledger.entries() if entry.job_id is not None]

    def jobs(*states: State, known: bool | None = None) -> tuple[str, ...]:
        return tuple(
            str(entry.job_id)
            for entry in entries
            if entry.state in states and known in (None, entry.tag in before)
        )

    return Collected(
        fetched=jobs(State.DONE, known=False),
        kept=jobs(State.DONE, known=True),
        under_way=jobs(State.PLANNED, State.SUBMITTED),
        ended=jobs(State.FAILED, State.CANCELLED),
    )


def _look(gateway: Gateway, ledger: Ledger, entry: Entry) -> None:
    """What has become of a job, by a ledger that is locked."""
    if not entry.is_only:
        gateway.keep_one(ledger, entry)
        entry = next(each for each in ledger.entries(entry.request) if each.tag == entry.tag)
    job_id = str(entry.job_id)
    state = gateway.ask(lambda service: service.state(job_id))
    if state.status is JobStatus.DONE:
        ledger.done(entry.tag, gateway.ask(lambda service: service.fetch(job_id)))
        gateway.charge(ledger, entry)
    elif state.status in ENDED:
        ledger.ended(entry.tag, ENDED[state.status], state.words)
        gateway.charge(ledger, entry)
