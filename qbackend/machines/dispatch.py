"""Submission of what is planned, in the mode that the options name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import QhcError
from .endings import is_queue_full, is_workload_closed
from .gateway import Gateway
from .ledger.entries import Entry, State
from .ledger.ledger import Ledger
from .options import ExecutionOptions
from .service import Call, Workload
from .workloads import close_left_open, close_workload, open_workload


class Dispatcher:
    """Sends a machine's jobs; keeps a session open from one request to the next.

    Args:
        machine: its name.
        gateway: the way to its service.
        ledger: of the run.
        options: how to execute.
    """

    def __init__(
        self, machine: str, gateway: Gateway, ledger: Ledger, options: ExecutionOptions
    ) -> None:
        self.machine = machine
        self._gateway = gateway
        self._ledger = ledger
        self._options = options
        self._session: Workload | None = None

    def send(self, entries: Sequence[Entry], call: Callable[[Entry], Call]) -> None:
        """Submit planned entries, by a ledger that is locked.

        What the service may have accepted before, from this process or one that died, is searched
        for first. Where the plan allows no more pending jobs, the rest stays planned.
        """
        waiting = [e for e in entries if e.doubtful_since is None or not self.adopt(e)]
        closed: QhcError | None = None
        while waiting:
            with self._workload(len(waiting)) as workload:
                left, error = self._submit(waiting, call, workload)
            if error is not None and closed is not None and len(left) == len(waiting):
                raise error
            waiting, closed = left, error
        self.keep_one_each([entry.tag for entry in entries])

    def keep_one_each(self, tags: Sequence[str]) -> None:
        """Cancel what the service has more than once of submitted jobs."""
        for entry in self._ledger.entries():
            if entry.tag in tags and entry.state is State.SUBMITTED and not entry.is_only:
                self._gateway.keep_one(self._ledger, entry)

    def adopt(self, entry: Entry) -> bool:
        """Whether the service has a job with the tag; if so, it is entered as submitted."""
        found = self._gateway.search(entry.tag, entry.doubtful_since or entry.submitted_at)
        if found:
            self._ledger.submitted(entry.tag, found[0])
        return bool(found)

    def close_left_open(self) -> None:
        """Close batches and sessions of processes that ended before they could."""
        if self._session is None:
            close_left_open(self._gateway, self._ledger)

    def close(self) -> None:
        """Close the session, if one is open, or what other processes left open."""
        if self._session is not None:
            session, self._session = self._session, None
            self._close(session)
        else:
            with self._ledger.locked():
                self.close_left_open()

    def _submit(
        self, entries: Sequence[Entry], call: Callable[[Entry], Call], workload: Workload | None
    ) -> tuple[list[Entry], QhcError | None]:
        """Submit one after the other; what is left when the workload is closed, and its error."""
        for index, entry in enumerate(entries):
            self._ledger.begun_in(entry.tag, None if workload is None else workload.id)
            try:
                self._gateway.start(self._ledger, entry, self.machine, call(entry), workload)
            except QhcError as error:
                if workload is not None and is_workload_closed(error):
                    # The service ends a session that was idle for a minute.
                    self._ledger.closed(workload.id)
                    self._session = None
                    return list(entries[index:]), error
                if is_queue_full(error) and self._n_submitted() > 0:
                    return [], None
                raise
        return [], None

    def _n_submitted(self) -> int:
        return sum(entry.state is State.SUBMITTED for entry in self._ledger.entries())

    @contextmanager
    def _workload(self, n_jobs: int) -> Iterator[Workload | None]:
        """What the jobs are started in: nothing, a batch closed behind them, or the session."""
        mode = self._options.mode
        if mode == "session":
            if self._session is None:
                self._session = self._open(session=True)
            yield self._session
        elif mode == "batch" or (mode == "auto" and n_jobs > 1):
            batch = self._open(session=False)
            try:
                yield batch
            finally:
                self._close(batch)
        else:
            yield None

    def _open(self, *, session: bool) -> Workload:
        return open_workload(self._gateway, self._ledger, self.machine, session=session)

    def _close(self, workload: Workload) -> None:
        for known in self._ledger.open_workloads():
            if known.id == workload.id:
                close_workload(self._gateway, self._ledger, known)
