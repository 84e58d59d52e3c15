"""The ledger of a run on a machine: whether it is what the run wrote, and how it is made anew.

What an approved run has sent is known by its ledger alone. Without it, nothing may be sent again
that may have been paid for: the service is asked, by the tag of the run that all its jobs have.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import RunFolderError
from ...machines.gateway import Gateway
from ...machines.ledger.entries import State
from ...machines.ledger.file import DamagedLedgerError
from ...machines.ledger.ledger import Ledger
from ...machines.ledger.recovery import rebuild
from ...machines.ledger.tags import new_run_tag
from ...machines.service import LOCAL
from ...registry import parse_name
from .stored import StoredRun

ROWS_WORDS = "rows are counted as executed: copies side by side answer one each in one executed row"
"""Under tables of jobs: a ledger keeps rows as they were sent, folded onto the copies."""


def run_tag(folder: StoredRun) -> str | None:
    """The tag of the run's jobs; None for a run that was approved before jobs had one."""
    if folder.state.tag is None and not _was_approved(folder):
        folder.note(tag=new_run_tag())
    return folder.state.tag


def check_ledger(folder: StoredRun) -> None:
    """Raise `RunFolderError` where a run may have sent what its ledger does not tell any more."""
    backend = parse_name(folder.backend)
    if not (backend.is_machine and _was_approved(folder)):
        return
    if (reason := _missing(folder)) is None:
        return
    if backend.is_fake:
        if reason != DAMAGED:
            return  # nothing was paid for: its rows are executed anew
        raise RunFolderError(
            f"{folder.ledger} {reason}; remove it, then qhc resume {folder.path} executes its rows "
            "anew, for nothing"
        )
    words = (
        f"{folder.ledger} {reason}: what this run has sent and paid is not known here, and nothing "
        "was sent"
    )
    if folder.state.tag is not None:
        raise RunFolderError(
            f"{words}. To make it anew from what the service has of the run: "
            f"qhc jobs {folder.path} --rebuild"
        )
    raise RunFolderError(
        f"{words}. Its jobs have no tag of the run to find them by: look for them at "
        "https://quantum.cloud.ibm.com/workloads, and put the file back, or begin a new run"
    )


def has_jobs_under_way(folder: StoredRun) -> bool:
    """Whether jobs that the run has sent go on by themselves, as far as its ledger tells."""
    if _missing(folder) is not None:
        return False
    ledger = Ledger(folder.ledger, read_only=True)
    entries = ledger.entries()
    ledger.close()
    return any(e.state is State.SUBMITTED and e.instance != LOCAL for e in entries)


@dataclass(frozen=True)
class Rebuilt:
    """A ledger that was made anew.

    Attributes:
        jobs: of the run that the service has.
        instance: of the account whose jobs were looked through.
        folder: of the run.
    """

    jobs: int
    instance: str
    folder: StoredRun

    def __str__(self) -> str:
        found = {0: "no job", 1: "1 job"}.get(self.jobs, f"{self.jobs} jobs")
        return (
            f"the service has {found} of this run (instance {self.instance}); "
            f"qhc resume {self.folder.path} collects what it has, and asks before it sends anything"
        )


def rebuild_ledger(folder: StoredRun, gateway: Gateway) -> Rebuilt:
    """Make the lost ledger of an approved run anew; what is sent from now on is asked for anew.

    Raises:
        RunFolderError: the ledger is whole, or there is nothing that jobs could be found by.
        QhcError: the service does not answer.
    """
    tag, reason = folder.state.tag, _missing(folder)
    if reason is None or not _was_approved(folder):
        raise RunFolderError(f"nothing is missing from the ledger of {folder.path}")
    if tag is None:
        check_ledger(folder)
        raise RunFolderError(f"the jobs of {folder.path} have no tag that they could be found by")
    jobs = gateway.ask(lambda service: service.tagged(tag))
    known = rebuild(folder.ledger, jobs)
    folder.note(approved=False)
    return Rebuilt(known, gateway.service.instance, folder)


MISSING, EMPTY, DAMAGED = "is missing", "was emptied", "is damaged"


def _was_approved(folder: StoredRun) -> bool:
    """Whether anything may have been sent; a rebuilt ledger does not undo that."""
    return folder.state.approved is not None


def _missing(folder: StoredRun) -> str | None:
    """What is wrong with the run's ledger; None where it is whole."""
    path = folder.ledger
    if not path.is_file():
        return MISSING
    if path.stat().st_size == 0:
        return EMPTY
    try:
        Ledger(path, read_only=True).close()
    except DamagedLedgerError:
        return DAMAGED
    return None
