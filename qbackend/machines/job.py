"""A request whose rows are in one or more jobs at a service."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import islice

import numpy as np

from ..errors import BackendError, JobNotFoundError, QhcError
from ..layers.inputs import Array
from ..seam.jobs import Job, JobStatus
from ..seam.requests import Result
from ..seam.side_by_side import single_values
from .endings import GONE, USELESS, Whereabouts, failure, is_sent_again, is_useless, remark_on
from .gateway import Gateway, Progress, cancel_entries
from .ledger.entries import Entry, State
from .ledger.ledger import Ledger
from .ledger.work import Work
from .options import CORRECTED_HERE
from .patience import REMARK_SECONDS, poll_pauses, retry_pauses
from .service import RemoteState
from .vendor import Vendor
from .workloads import Dispatcher

LOCAL_POLL = (0.02, 0.5)
"""Pauses where the service is in this process: nobody is spared by longer ones."""
USAGE_LOOKS = 3
"""How often the seconds charged are asked for while a service has not settled them."""
REFETCHES = 2
"""How often a result of no use is fetched again."""
LOOKS_IN_VAIN = 3
"""How often in a row a job is not found before its tag is asked for: replicas lag behind."""

ENDED = {JobStatus.FAILED: State.FAILED, JobStatus.CANCELLED: State.CANCELLED}


class RemoteJob(Job):
    """The jobs of one request, of which the ledger knows everything.

    Args:
        work: the request.
        vendor: of the machine.
        dispatcher: sends what has to be sent again.
        gateway: the way to the service.
        ledger: of the run.
        progress: is told where the jobs are.
    """

    def __init__(
        self,
        work: Work,
        vendor: Vendor,
        dispatcher: Dispatcher,
        gateway: Gateway,
        ledger: Ledger,
        progress: Callable[[Progress], None],
    ) -> None:
        self._work = work
        self._vendor = vendor
        self._dispatcher = dispatcher
        self._gateway = gateway
        self._ledger = ledger
        self._progress = progress
        self._machine = dispatcher.machine
        deadline = work.options.deadline
        self._deadline = math.inf if deadline is None else deadline
        self._left = self._deadline
        self._until = math.inf
        self._lock = threading.RLock()
        self._result: Result | None = None
        self._in_vain: Counter[str] = Counter()

    @property
    def id(self) -> str:
        """The job's id at its service; of several, all of them."""
        return "+".join(entry.job_id or entry.tag for entry in self._entries())

    def send(self) -> None:
        """Submit what is planned, by a ledger that is locked; what that takes is not left to wait.

        Raises:
            SendingInterruptedError: by Ctrl-C; what was accepted goes on.
            JobTimeoutError: the deadline is over; so does this.
            BackendError: the service is out of reach, or does not take them.
        """
        began = self._gateway.clock.now()
        try:
            with self._gateway.by(began + self._deadline):
                self._send_planned()
            self._left = self._deadline - (self._gateway.clock.now() - began)
        except KeyboardInterrupt:
            raise self._where.interrupted() from None
        except BackendError as error:
            raise self._where.named(error) from error

    def status(self) -> JobStatus:
        """Where the jobs are, together: what one look at each says.

        Raises:
            JobNotFoundError: the service does not know a job, a minute after its submission.
            TransientError, TokenRefusedError: the service is out of reach.
        """
        entries = self._entries()
        states = {entry.state for entry in entries}
        if State.FAILED in states:
            return JobStatus.FAILED
        if State.CANCELLED in states:
            return JobStatus.CANCELLED
        if states == {State.DONE}:
            return JobStatus.DONE
        remote = [self._seen(entry) for entry in entries if entry.state is State.SUBMITTED]
        waits = all(status is JobStatus.SUBMITTED for status in remote)
        return JobStatus.SUBMITTED if waits else JobStatus.RUNNING

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the results, fetch each once and put them together.

        Raises:
            JobTimeoutError: not all are there in time; the jobs are unharmed.
            TransientError, TokenRefusedError: the service stays out of reach; so are they.
            JobFailedError, JobCancelledError: a job ended without a result; all others were
                waited for and are kept.
            JobsPendingError: interrupted by Ctrl-C; the jobs go on.
        """
        with self._lock:
            if self._result is None:
                try:
                    self._wait(timeout)
                    self._result = self._assemble()
                except KeyboardInterrupt:
                    raise self._where.pending("interrupted") from None
            return self._result

    def mend(self) -> None:
        """Fetch again, by a ledger that is locked, what was refused: it is paid for."""
        for entry in self._entries():
            if is_useless(entry):
                self._decoded(entry)

    def cancel(self) -> bool:
        """Ask for the end of every job that has not ended; True if there was one."""
        with self._ledger.locked():
            return bool(cancel_entries(self._gateway, self._ledger, self._entries()))

    def usage(self) -> float:
        return sum(entry.qpu_seconds or 0.0 for entry in self._ledger.entries(self._work.key))

    def _entries(self) -> list[Entry]:
        return self._ledger.current(self._work.key)

    def _now(self, entry: Entry) -> Entry:
        """The entry as it stands in the ledger."""
        return next(e for e in self._ledger.entries(self._work.key) if e.tag == entry.tag)

    def _wait(self, timeout: float | None) -> None:
        """Until every entry is final."""
        clock, options = self._gateway.clock, self._work.options
        self._until, self._left = clock.now() + self._left, self._deadline
        limits = {self._until: self._deadline}
        if timeout is not None:
            limits[clock.now() + timeout] = timeout
        until = min(limits)
        pauses = None
        while entries := [entry for entry in self._entries() if not entry.state.is_final]:
            try:
                with self._gateway.by(until):
                    if any(entry.state is State.PLANNED for entry in entries):
                        with self._ledger.locked():
                            self._send_planned()
                    for entry in entries:
                        self._look(entry)
            except BackendError as error:
                if clock.now() < until:
                    raise self._where.named(error) from error
            if all(entry.state.is_final for entry in self._entries()):
                break
            if clock.now() >= until:
                raise self._where.late(limits[until], self._remark())
            if pauses is None:
                local = self._gateway.service.is_local
                pauses = poll_pauses(clock, *(LOCAL_POLL if local else options.poll))
            clock.sleep(min(next(pauses), max(0.0, until - clock.now())))
        if any(entry.state is not State.DONE for entry in self._entries()):
            raise self._failure()

    def _send_planned(self) -> None:
        """Send what is new, was planned again, or was one job too many before."""
        planned = [entry for entry in self._entries() if entry.state is State.PLANNED]
        allowed = self._work.allowance(self._ledger, planned, self._vendor.longest_job)
        self._dispatcher.send(planned, lambda entry: self._work.call(entry, allowed))

    def _look(self, entry: Entry) -> None:
        """One look at a submitted job, and what follows from it."""
        if entry.state is not State.SUBMITTED or entry.job_id is None:
            return
        if not entry.is_only:
            entry = self._only(entry)
        assert entry.job_id is not None
        try:
            state = self._remote_state(entry.job_id)
            self._in_vain[entry.tag] = 0
        except JobNotFoundError as error:
            state = self._not_found(entry, error)
        if not state.status.is_final:
            self._tell(entry, state)
            return
        with self._ledger.locked():
            entry = self._now(entry)
            if entry.state is not State.SUBMITTED:
                return  # another process was faster
            if not entry.is_only and self._only(entry).job_id != entry.job_id:
                return  # the one that stays has to be looked at first
            if state.status is JobStatus.DONE:
                self._ledger.done(entry.tag, self._raw(entry))
                self._gateway.charge(self._ledger, entry)
            elif not self._in_vain.pop(entry.tag, 0) or not self._dispatcher.adopt(entry):
                self._end(entry, state)
        self._tell(entry, state)

    def _seen(self, entry: Entry) -> JobStatus:
        """Of a submitted job."""
        assert entry.job_id is not None
        try:
            return self._remote_state(entry.job_id).status
        except JobNotFoundError:
            if self._gateway.doubt_left(entry.submitted_at) > 0:
                return JobStatus.SUBMITTED
            raise

    def _not_found(self, entry: Entry, error: JobNotFoundError) -> RemoteState:
        """Under way as far as is known, until it was looked for often enough."""
        self._in_vain[entry.tag] += 1
        if self._in_vain[entry.tag] < LOOKS_IN_VAIN:
            return RemoteState(JobStatus.SUBMITTED, str(error))
        return RemoteState(JobStatus.FAILED, f"{GONE}: {error}")

    def _only(self, entry: Entry) -> Entry:
        """The entry, once there is no other job with its tag."""
        with self._ledger.locked():
            self._dispatcher.keep_one_each([entry.tag])
            return self._now(entry)

    def _raw(self, entry: Entry) -> bytes:
        job_id = entry.job_id
        assert job_id is not None
        return self._gateway.ask(lambda service: service.fetch(job_id))

    def _decoded(self, entry: Entry) -> tuple[Array, Array] | None:
        """Values and standard errors of a job that is done, None for a result of no use.

        It may have been damaged on its way, and is fetched again before that is believed.
        """
        call = self._work.call(entry)
        if self._work.read_as in CORRECTED_HERE:  # what cannot be corrected is of use as it is
            return self._vendor.decode(self._ledger.raw(entry.tag), call)
        with suppress(BackendError):
            return self._vendor.decode(self._ledger.raw(entry.tag), call)
        is_local = self._gateway.service.is_local
        pauses = islice(retry_pauses(self._gateway.clock), 0 if is_local else REFETCHES)
        with self._ledger.locked():
            while True:
                try:
                    return self._vendor.decode(self._ledger.raw(entry.tag), call)
                except BackendError as error:
                    words = f"{USELESS}: {error}"
                if (pause := next(pauses, None)) is None:
                    self._ledger.rejected(entry.tag, words)
                    return None
                again = f"{words}; fetching it again in {pause:.0f} s"
                self._tell(entry, RemoteState(JobStatus.DONE, again))
                self._gateway.clock.sleep(pause)
                try:
                    self._ledger.refetched(entry.tag, self._raw(entry))
                except JobNotFoundError:
                    pauses = islice(pauses, 0)

    def _end(self, entry: Entry, state: RemoteState) -> None:
        self._ledger.ended(entry.tag, ENDED[state.status], state.words)
        self._gateway.charge(self._ledger, entry)
        ended = self._now(entry)
        if is_sent_again(ended, self._vendor.meaning):
            self._ledger.plan_again([ended], ended.instance)

    def _assemble(self) -> Result:
        parts = [self._decoded(entry) for entry in self._entries()]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):
            raise self._failure()
        self._settle()
        work, n_copies = self._work, len(self._work.compiled.copies)
        calibrated_at = work.compiled.record.get("calibrated_at")
        values, stderr = (np.concatenate(each) for each in zip(*whole, strict=True))
        return Result(
            values=single_values(values, work.slots, n_copies),
            stderr=single_values(stderr, work.slots, n_copies),
            shots=self._vendor.performed(work.shots, work.options),
            job_ids=tuple(entry.job_id or "" for entry in self._entries()),
            device=self._machine,
            calibrated_at=None if calibrated_at is None else datetime.fromisoformat(calibrated_at),
            qpu_seconds=self.usage(),
            copies=work.slots % n_copies if n_copies else None,
        )

    def _settle(self) -> None:
        """Ask a few times more for what the service had not settled when a job ended."""
        clock, pause = self._gateway.clock, self._work.options.poll[0]
        for _ in range(USAGE_LOOKS):
            unsettled = [e for e in self._entries() if e.qpu_seconds is None and e.job_id]
            if not unsettled or clock.now() + pause > self._until:
                return
            words = "done, and what it cost is not settled yet"
            self._tell(unsettled[0], RemoteState(JobStatus.DONE, words))
            clock.sleep(pause)
            with self._gateway.by(self._until):
                for entry in unsettled:
                    self._gateway.charge(self._ledger, entry)

    def _failure(self) -> BackendError:
        given = self._machine, self._work.options, self._vendor.meaning
        return failure(self._ledger, self._work.key, *given, self._remark())

    def _remote_state(self, job_id: str) -> RemoteState:
        return self._gateway.ask(lambda service: service.state(job_id))

    def _remark(self) -> str:
        """What there is to say of the machine, if the service answers at once."""
        until = self._gateway.clock.now() + REMARK_SECONDS
        try:
            machines = self._gateway.ask(lambda service: service.machines(), until=until)
        except QhcError:
            return ""
        return remark_on(self._machine, machines)

    def _tell(self, entry: Entry, state: RemoteState) -> None:
        entries = self._entries()
        done = sum(e.state is State.DONE for e in entries)
        words = state.words or state.status.value
        self._progress(
            Progress(done, len(entries), words, state.queue_position, entry.tag, entry.job_id)
        )

    @property
    def _where(self) -> Whereabouts:
        return Whereabouts(self._entries(), self._machine, self._ledger.run)
