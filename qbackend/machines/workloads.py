"""Jobs sent, alone or in batches and sessions, which whoever comes back closes.

A session is billed from its first job to its end, whether or not anything is executed meanwhile:
one that nobody closes would be paid for until its service ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..errors import QhcError
from .gateway import Gateway
from .ledger.entries import Entry, OpenWorkload, State
from .ledger.ledger import Ledger
from .options import ExecutionOptions
from .patience import CHARGE_SECONDS
from .service import Call, Meaning, Service, Workload

_LOGGER = logging.getLogger("qbackend")


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
        self._batch: Workload | None = None
        self._gathers = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """One batch for all that is sent while it lasts, unless the mode is another."""
        self._gathers = self._options.mode in ("auto", "batch")
        try:
            yield
        finally:
            self._gathers = False
            if self._batch is not None:
                batch, self._batch = self._batch, None
                self._close(batch)

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
        if self._session is None and self._batch is None:
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
                meaning = self._gateway.meanings(str(error))
                if workload is not None and meaning is Meaning.WORKLOAD_CLOSED:
                    # The service ends a session that was idle for a minute.
                    self._ledger.closed(workload.id)
                    self._session = self._batch = None
                    return list(entries[index:]), error
                if meaning is Meaning.QUEUE_FULL and self._n_submitted() > 0:
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
                self._session = open_workload(
                    self._gateway, self._ledger, self.machine, session=True
                )
            yield self._session
        elif self._gathers:
            if self._batch is None:
                self._batch = open_workload(
                    self._gateway, self._ledger, self.machine, session=False
                )
            yield self._batch
        elif mode == "batch" or (mode == "auto" and n_jobs > 1):
            batch = open_workload(self._gateway, self._ledger, self.machine, session=False)
            try:
                yield batch
            finally:
                self._close(batch)
        else:
            yield None

    def _close(self, workload: Workload) -> None:
        for known in self._ledger.open_workloads():
            if known.id == workload.id:
                close_workload(self._gateway, self._ledger, known)


def open_workload(gateway: Gateway, ledger: Ledger, machine: str, *, session: bool) -> Workload:
    """A batch or a session that the ledger knows of."""
    opened = gateway.ask(lambda service: service.open_workload(machine, session=session))
    known = OpenWorkload(opened.id, session, gateway.service.instance)
    ledger.opened(known, machine)
    return opened


def close_workload(gateway: Gateway, ledger: Ledger, workload: OpenWorkload) -> None:
    """Have it take no more jobs, and enter what it cost if the service says so soon.

    One that cannot be closed stays open in the ledger, for whoever comes back.
    """
    until = gateway.clock.now() + CHARGE_SECONDS
    kind = "session" if workload.is_session else "batch"
    try:
        # Also where the time to wait is over: an open session goes on costing.
        with gateway.by(until):
            gateway.ask(
                lambda service: service.close_workload(workload.id, session=workload.is_session)
            )
    except QhcError as error:
        again = "" if ledger.run is None else f"; qhc resume {ledger.run} tries again"
        _LOGGER.warning("%s %s could not be closed: %s%s", kind, workload.id, error, again)
        return
    ledger.closed(workload.id)
    if workload.is_session:
        settle_sessions(gateway, ledger)


def close_left_open(gateway: Gateway, ledger: Ledger) -> None:
    """Close what a process has left open that ended before it could."""
    for workload in ledger.open_workloads():
        close_workload(gateway, ledger, workload)


def settle_sessions(gateway: Gateway, ledger: Ledger) -> None:
    """Enter what sessions cost that have ended, and that the service had not settled before."""
    is_open = {workload.id for workload in ledger.open_workloads()}
    running = {entry.workload for entry in ledger.entries() if not entry.state.is_final}
    until = gateway.clock.now() + CHARGE_SECONDS
    for session, charged in ledger.sessions().items():
        if charged is not None or session in is_open | running:
            continue
        try:
            seconds = gateway.ask(partial(_seconds, session=session), until=until)
        except QhcError as error:
            _LOGGER.warning("what session %s cost is not known yet: %s", session, error)
            continue
        if seconds is not None:
            ledger.session_charged(session, seconds)


def _seconds(service: Service, session: str) -> float | None:
    return service.session_seconds(session)
