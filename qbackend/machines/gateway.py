"""A service behind patience: what may pass is tried again, and nothing is submitted twice."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from ..errors import (
    BackendError,
    CredentialsError,
    JobNotFoundError,
    JobTimeoutError,
    TokenRefusedError,
    TransientError,
)
from .endings import Meanings, is_refused
from .ledger.entries import Entry, State
from .ledger.ledger import Ledger
from .patience import (
    CALL_SECONDS,
    CHARGE_SECONDS,
    DOUBT_PAUSES,
    DOUBT_SECONDS,
    LATE_SECONDS,
    START_SECONDS,
    Clock,
    Limit,
    NoAnswerError,
    pause_after,
    poll_pauses,
    retry_pauses,
    within,
)
from .service import Call, Meaning, Service, Workload

T = TypeVar("T")

_LOGGER = logging.getLogger("qbackend")


@dataclass(frozen=True)
class Progress:
    """Where a request is: `done` of its `jobs`, and what there is to say about one of them.

    Without jobs it is the service that is spoken of: why there is a wait.
    """

    done: int
    jobs: int
    words: str
    queue_position: int | None = None
    tag: str | None = None
    job_id: str | None = None


class Gateway:
    """The way to a service, which is connected when it is first needed.

    Args:
        connect: makes the connection.
        meanings: of the service's words; needed to submit.
        tell: is told why there is a wait.
        clock: what the waits are measured by.
        call_seconds: limit of one question.
        start_seconds: limit of one submission.
        doubt_seconds: in which a job comes to light that the service may have.
        deadline: limit of one question with all its tries, None for as long as patience lasts.
    """

    def __init__(
        self,
        connect: Callable[[], Service],
        *,
        meanings: Meanings = lambda words: None,
        tell: Callable[[str], None] = lambda words: None,
        clock: Clock | None = None,
        call_seconds: float = CALL_SECONDS,
        start_seconds: float = START_SECONDS,
        doubt_seconds: float = DOUBT_SECONDS,
        deadline: float | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.meanings = meanings
        self._connect = connect
        self._tell = tell
        self._call_seconds = call_seconds
        self._start_seconds = start_seconds
        self._doubt_seconds = doubt_seconds
        self._deadline = math.inf if deadline is None else deadline
        self._limit = Limit()
        self._service: Service | None = None
        self._is_stale = False

    @property
    def service(self) -> Service:
        """The service, connected."""
        return self.ask(lambda service: service)

    def by(self, until: float) -> AbstractContextManager[None]:
        """Whatever is asked and sent meanwhile, it is waited for until then, by the clock."""
        return self._limit.by(until)

    def ask(self, question: Callable[[Service], T], *, until: float = math.inf) -> T:
        """What the service answers; asked again, a bounded number of times, while that may help.

        Raises:
            TransientError, TokenRefusedError: patience is at its end.
            JobTimeoutError: so is the time, `until` by the clock.
        """
        until = min(until, self._limit.until, self.clock.now() + self._deadline)
        pauses = retry_pauses(self.clock)
        while True:
            try:
                return self._once(question, self._call_seconds, until)
            except (TransientError, TokenRefusedError) as error:
                self._pause(error, pauses, until)

    def start(
        self, ledger: Ledger, entry: Entry, machine: str, call: Call, workload: Workload | None
    ) -> None:
        """Submit an entry of which the service has no job, and enter the oldest that it has then.

        Any failure may hide an accepted job, and so may the end of this process: the ledger knows
        of the doubt before the service is asked, and the service is searched before each other try.
        """
        pauses, tag, until = retry_pauses(self.clock), entry.tag, self._limit.until
        is_certain = entry.doubtful_since is None
        found: list[str] = []
        while not found:
            self._left(until)
            ledger.doubted(tag)
            try:
                job_id = self._once(
                    lambda service: service.start(machine, call, tag, workload),
                    self._start_seconds,
                    until,
                )
                found = [job_id]
            except (TransientError, TokenRefusedError) as error:
                # What is on its way may be accepted at any later time.
                meaning = self.meanings(str(error))
                since = None if is_refused(error, meaning) else ledger.doubted(tag)
                is_certain = is_certain and since is None
                if is_certain:
                    ledger.answered(tag)
                if meaning is Meaning.QUEUE_FULL:
                    raise
                found = [] if since is None else self.find(tag)
                if not found:
                    self._pause(error, pauses, until)
                    found = self.search(tag, since)
            except Exception:  # whatever it is may hide a job; without one it is raised again
                is_certain = False
                found = self.find(tag)
                if not found:
                    raise
        ledger.submitted(tag, found[0])
        if is_certain:
            ledger.answered(tag)
        if not self.service.is_local:
            self._tell(f"job {found[0]} sent to {machine}")

    def find(self, tag: str) -> list[str]:
        """Ids of the jobs with this tag that are not cancelled, oldest first."""
        return list(self.ask(lambda service: service.find(tag)))

    def search(self, tag: str, since: datetime | None) -> list[str]:
        """The same; while there is none, again until one would have come to light.

        `since` is when the service may have taken one, None for nothing to wait for.
        """
        until = self.clock.now() + self.doubt_left(since)
        pauses = poll_pauses(self.clock, *DOUBT_PAUSES)
        while not (found := self.find(tag)) and (left := until - self.clock.now()) > 0:
            self._tell(
                "the service may have a job that it does not list yet; searching for "
                f"{left:.0f} s more"
            )
            self.clock.sleep(min(next(pauses), left, self._left(self._limit.until)))
        return found

    def doubt_left(self, since: datetime | None) -> float:
        """Seconds in which a job may still come to light that the service may have taken then."""
        if since is None or self.service.is_local:
            return 0.0
        # A clock that was set back makes nobody wait for longer.
        return self._doubt_seconds - max(0.0, _age(since))

    def keep_one(self, ledger: Ledger, entry: Entry) -> None:
        """Of the jobs with a submitted entry's tag, keep the oldest and cancel the others.

        The entry is settled once the service lists its job and no other, and will take no
        submission of it any more.
        """
        assert entry.job_id is not None
        found = self.find(entry.tag)
        kept = found[0] if found else entry.job_id
        if kept != entry.job_id:
            ledger.submitted(entry.tag, kept)
        for job_id in dict.fromkeys([entry.job_id, *found]):
            if job_id != kept:
                self.cancel(job_id)
        is_certain = entry.doubtful_since is None or _age(entry.doubtful_since) > LATE_SECONDS
        if is_certain and found == [entry.job_id]:
            ledger.only(entry.tag)

    def cancel(self, job_id: str) -> bool:
        """Ask for the end of a job; False if it had ended, or cannot be cancelled."""
        try:
            if self.ask(lambda service: service.state(job_id)).status.is_final:
                return False
            self.ask(lambda service: service.cancel(job_id))
        except (TransientError, TokenRefusedError):
            raise
        except JobNotFoundError as error:
            # What was simulated ended with its process; a machine's job may only be unknown yet.
            if not self.service.is_local:
                _LOGGER.warning("job %s could not be cancelled: %s", job_id, error)
            return self.service.is_local
        except BackendError as error:
            _LOGGER.warning("job %s could not be cancelled: %s", job_id, error)
            return False
        return True

    def check_instance(self, entries: Sequence[Entry]) -> None:
        """Raise `CredentialsError` if open jobs are another account's: this one has them not."""
        planned_for = {entry.instance for entry in entries if not entry.state.is_final}
        if not planned_for:
            return
        # Credentials that name no instance lead to any of the account's.
        first = min(planned_for)
        self.ask(lambda service: service.stay_with(first))
        instance = self.service.instance
        if foreign := planned_for - {instance}:
            raise CredentialsError(
                f"jobs of this run belong to the instance {', '.join(foreign)}, the credentials "
                f"in use lead to {instance}; go on with those that the run began with "
                "(--credentials, --profile)"
            )

    def charge(self, ledger: Ledger, entry: Entry, until: float | None = None) -> None:
        """Enter what a job cost, if the service says so soon; its result does not depend on it."""
        job_id = entry.job_id
        if job_id is None:
            return
        if until is None:
            until = self.clock.now() + CHARGE_SECONDS
        try:
            seconds = self.ask(lambda service: service.usage(job_id), until=until)
        except BackendError as error:
            _LOGGER.warning("what job %s cost is not known yet: %s", job_id, error)
            return
        if seconds is not None:
            ledger.charged(entry.tag, seconds)

    def settle(self, ledger: Ledger) -> None:
        """Enter what ended jobs cost that the service had not settled before."""
        until = self.clock.now() + CHARGE_SECONDS
        for entry in ledger.entries():
            if entry.state.is_final and entry.qpu_seconds is None:
                self.charge(ledger, entry, until)

    def _once(self, question: Callable[[Service], T], seconds: float, until: float = math.inf) -> T:
        try:
            service = self._connected(until)
            if service.is_local:
                return question(service)
            return within(min(seconds, self._left(until)), lambda: question(service))
        except (TokenRefusedError, NoAnswerError):
            # What hangs keeps the locks of its connection.
            self._is_stale = True
            raise

    def _connected(self, until: float) -> Service:
        connect = self._connect
        if self._service is not None:
            if not self._is_stale:
                return self._service
            connect = self._service.reconnect
        self._service = within(min(self._call_seconds, self._left(until)), connect)
        self._is_stale = False
        return self._service

    def _left(self, until: float) -> float:
        """Seconds until then."""
        left = until - self.clock.now()
        if left <= 0:
            raise JobTimeoutError("the time to wait is over")
        return left

    def _pause(self, error: BackendError, pauses: Iterator[float], until: float) -> None:
        """Wait before the next try, or raise the error where there is none."""
        left = until - self.clock.now()
        pause = pause_after(error, pauses, left)
        if left > 0:
            self._tell(f"{error}; trying again in {min(pause, left):,.0f} s")
            self.clock.sleep(min(pause, left))
        if pause >= left:
            raise JobTimeoutError(f"the time to wait is over; {error}") from error


def cancel_all(service: Service | Gateway, ledger: Ledger) -> list[Entry]:
    """Cancel every job of a ledger that has not ended; the entries that were cancelled by this.

    A planned job may have been accepted by a service that never said so: it is looked for.

    Raises:
        CredentialsError: jobs that belong to another account.
        TransientError: the service is out of reach; jobs not shown as cancelled go on.
    """
    gateway = service if isinstance(service, Gateway) else Gateway(lambda: service)
    with ledger.locked():
        tags = cancel_entries(gateway, ledger, ledger.entries())
    return [entry for entry in ledger.entries() if entry.tag in tags]


def cancel_entries(gateway: Gateway, ledger: Ledger, entries: Sequence[Entry]) -> list[str]:
    """Cancel those that have not ended, by a ledger that is locked; tags of those that were."""
    gateway.check_instance(entries)
    tags = []
    for entry in entries:
        if entry.state.is_final:
            continue
        known = [] if entry.job_id is None else [entry.job_id]
        found = dict.fromkeys([*known, *gateway.search(entry.tag, entry.doubtful_since)])
        stopped = [gateway.cancel(job_id) for job_id in found]
        if all(stopped):
            ledger.ended(entry.tag, State.CANCELLED, "cancelled here")
            gateway.charge(ledger, entry)
            tags.append(entry.tag)
    return tags


def _age(moment: datetime) -> float:
    """Seconds since then."""
    return (datetime.now(UTC) - moment).total_seconds()
