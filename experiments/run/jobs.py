"""The jobs of a run: what its ledger knows, and what their service says of those under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qbackend.errors import QhcError
from qbackend.machines.cost import Price
from qbackend.machines.gateway import Gateway, Progress, cancel_all
from qbackend.machines.ledger.entries import Entry, State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.service import RemoteState, Service
from qbackend.machines.workloads import close_left_open, settle_sessions
from qbackend.registry import parse_name, vendor_of
from qbackend.validation.records.collecting import Collected, collect
from qbackend.validation.records.files import is_writable
from qbackend.validation.records.ledger import ROWS_WORDS, Rebuilt, check_ledger, rebuild_ledger

from ..assembly.access import Access
from ..records.folder import RunFolder

LOOK_SECONDS = 30.0
"""That a service has to tell of all jobs: the ledger's own lines should not wait for ever."""


@dataclass(frozen=True)
class JobLine:
    """One job as it is shown.

    Attributes:
        state: as the ledger has it.
        job_id: at its service, None before it is submitted.
        first_row, n_rows: of its request, each for all copies of the layer at once.
        request: which of the run's requests, counted from 1.
        estimated_seconds: of QPU time, when it was planned.
        charged_seconds: None while that is not known.
        submitted_at, finished_at: ISO 8601, UTC.
        words: of the service.
        queue_position: where the service says.
        session: that the job was sent in, which is charged by the clock in the jobs' place.
        session_seconds: charged for it; None while that is not known.
    """

    state: str
    job_id: str | None
    first_row: int
    n_rows: int
    request: int
    estimated_seconds: float
    charged_seconds: float | None
    submitted_at: str | None
    finished_at: str | None
    words: str
    queue_position: int | None = None
    session: str | None = None
    session_seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def list_jobs(
    run: Path, access: Access, tell: Callable[[str], None] = lambda words: None
) -> list[JobLine]:
    """A run's jobs by time of planning.

    Their service is asked for those under way, and for what ended ones cost that it had not settled
    before; where it does not answer, the words of the former say so. `tell` is told why there is a
    wait.

    Raises:
        RunFolderError: no run, or one that planned no jobs.
    """
    folder = RunFolder.open(run)
    check_ledger(folder)
    read_only = not is_writable(folder.path)
    ledger = Ledger.existing(folder.ledger, read_only=read_only)
    gateway = _gateway(folder, access, tell)
    is_local = parse_name(folder.backend).is_fake
    try:
        if not (is_local or read_only):
            # What is in the ledger is shown without them.
            with suppress(QhcError):
                gateway.settle(ledger)
                settle_sessions(gateway, ledger)
        entries, sessions = ledger.entries(), ledger.sessions()
    finally:
        ledger.close()
    lines = _lines(entries, sessions)
    return lines if is_local else _asked(lines, gateway)


def collect_jobs(
    run: Path, access: Access, tell: Callable[[str], None] = lambda words: None
) -> Collected:
    """Fetch what a machine has done of a run, into its ledger; sends nothing, waits for nothing.

    Raises:
        RunFolderError: no run, or one that planned no jobs.
        QhcError: the service does not answer.
    """
    folder = RunFolder.open(run)
    check_ledger(folder)
    ledger = Ledger.existing(folder.ledger, tell)
    try:
        return collect(_gateway(folder, access, tell), ledger)
    finally:
        ledger.close()


@dataclass(frozen=True)
class Cancellation:
    """What became of the jobs that had not ended: ids of those cancelled, and those that go on."""

    cancelled: list[str]
    others: list[JobLine]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        others = [job.to_dict() for job in self.others]
        return {"cancelled": self.cancelled, "not_cancelled": others}


def cancel_jobs(
    run: Path, access: Access, progress: Callable[[Progress], None] = lambda progress: None
) -> Cancellation:
    """Cancel a run's jobs that have not ended, and ask where those are that cannot be cancelled.

    `progress` is told why there is a wait.

    Raises:
        RunFolderError: no run, or one that planned no jobs.
        QhcError: the service does not answer; jobs that are not shown as cancelled go on.
    """

    def tell(words: str) -> None:
        progress(Progress(0, 0, words))

    folder = RunFolder.open(run)
    check_ledger(folder)
    ledger, gateway = Ledger.existing(folder.ledger, tell), _gateway(folder, access, tell)
    try:
        cancelled = cancel_all(gateway, ledger)
        close_left_open(gateway, ledger)
        entries, sessions = ledger.entries(), ledger.sessions()
    finally:
        ledger.close()
    others = [line for line in _lines(entries, sessions) if not State(line.state).is_final]
    return Cancellation([e.job_id or e.tag for e in cancelled], _asked(others, gateway))


def close_left(folder: RunFolder, access: Access, tell: Callable[[str], None]) -> None:
    """Close a session of a run that could not be closed at its end: it goes on costing."""
    if not folder.ledger.exists() or not is_writable(folder.path):
        return
    ledger = Ledger.existing(folder.ledger, tell)
    try:
        if ledger.open_workloads():
            with ledger.locked():
                close_left_open(_gateway(folder, access, tell), ledger)
    finally:
        ledger.close()


def rebuild(run: Path, access: Access) -> Rebuilt:
    """Make the lost ledger of a run anew, from what its service has; sends nothing.

    Raises:
        RunFolderError: no run, or one whose ledger is whole.
        QhcError: the service does not answer.
    """
    folder = RunFolder.open(run)
    return rebuild_ledger(folder, _gateway(folder, access))


def print_cancellation(found: Cancellation, run: Path, console: Console) -> None:
    """Which jobs are cancelled, which are not, and what to do about the latter."""
    lines = [f"cancelled: {', '.join(found.cancelled)}"] if found.cancelled else []
    for job in found.others:
        lines.append(f"not cancelled: {job.job_id or 'id unknown'} ({job.words or job.state})")
    if found.others:
        lines.append(f"qhc resume {run} waits for these, and collects what is done")
    for line in lines or ["nothing to cancel: every job has ended"]:
        console.print(line, markup=False, soft_wrap=True)


def sending_words(folder: RunFolder) -> str:
    """How many of the plan's requests are sent, and what sends the rest; empty for a single one.

    What a request asks for may depend on the answers to those before it.
    """
    planned = folder.state.requests
    if planned == 1 or not folder.ledger.exists():
        return ""
    ledger = Ledger.existing(folder.ledger)
    entries = ledger.entries()
    ledger.close()
    unsent = {entry.request for entry in entries if entry.job_id is None}
    sent = {entry.request for entry in entries} - unsent
    job_ids = ", ".join(entry.job_id for entry in entries if entry.job_id)
    words = f"{len(sent)} of the run's {planned} requests are sent"
    words += f" (jobs {job_ids})" if job_ids else ""
    if len(sent) < planned:
        words += f"; qhc resume {folder.path} sends the others, once it has the answers before them"
    return words


def price_of_run(run: Path) -> Price | None:
    """Of a second of QPU time, when the run's plan was approved; raises `RunFolderError`."""
    return RunFolder.open(run).state.price


def jobs_summary(lines: list[JobLine], price: Price | None) -> dict[str, Any]:
    """The jobs and what they cost, for JSON."""
    found: dict[str, Any] = {"jobs": [job.to_dict() for job in lines]}
    seconds = _charged(lines)
    found["charged_seconds"] = seconds
    if price is not None:
        found |= {"price": asdict(price), "money": price.money(seconds)}
    return found


def _charged(lines: list[JobLine]) -> float:
    """Seconds of the jobs' sessions, and of the jobs outside of one, as far as they are known."""
    sessions = {line.session: line.session_seconds for line in lines if line.session is not None}
    alone = [line.charged_seconds for line in lines if line.session is None]
    return sum(seconds or 0.0 for seconds in [*alone, *sessions.values()])


def print_jobs(lines: list[JobLine], console: Console, price: Price | None = None) -> None:
    """A line per job, then the sums, in money too where a price is known."""
    table = Table("state", "job", box=SIMPLE_HEAD)
    for heading in ("request", "executed rows", "queue", "estimated (s)", "charged (s)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("remark", overflow="fold")
    for line in lines:
        charged = line.charged_seconds
        table.add_row(
            line.state,
            line.job_id or "",
            str(line.request),
            f"{line.first_row} to {line.first_row + line.n_rows - 1}",
            "" if line.queue_position is None else str(line.queue_position),
            f"{line.estimated_seconds:.1f}",
            "" if charged is None else f"{charged:.1f}",
            line.words,
        )
    console.print(table)
    estimated = sum(line.estimated_seconds for line in lines)
    sessions = {line.session: line.session_seconds for line in lines if line.session is not None}
    for session, seconds in sessions.items():
        words = "its charge is not known yet" if seconds is None else f"{seconds:.1f} s charged"
        console.print(f"session {session}, billed by the clock: {words}", markup=False)
    settled = _charged(lines)
    money = "" if price is None else f", {price.words(settled)}"
    jobs = f"{len(lines)} job{'s' if len(lines) > 1 else ''}"
    console.print(f"{jobs}, {estimated:.1f} s estimated, {settled:.1f} s charged so far{money}")
    console.print(ROWS_WORDS, markup=False, soft_wrap=True)


def _lines(entries: list[Entry], sessions: Mapping[str, float | None]) -> list[JobLine]:
    requests = list(dict.fromkeys(entry.request for entry in entries))
    return [_line(entry, requests.index(entry.request) + 1, sessions) for entry in entries]


def _line(entry: Entry, request: int, sessions: Mapping[str, float | None]) -> JobLine:
    submitted, finished = entry.submitted_at, entry.finished_at
    session = entry.workload if entry.workload in sessions else None
    return JobLine(
        state=entry.state.value,
        job_id=entry.job_id,
        first_row=entry.first_row,
        n_rows=entry.n_rows,
        request=request,
        estimated_seconds=entry.estimate_seconds,
        charged_seconds=entry.qpu_seconds,
        submitted_at=None if submitted is None else submitted.isoformat(),
        finished_at=None if finished is None else finished.isoformat(),
        words=entry.words,
        session=session,
        session_seconds=None if session is None else sessions[session],
    )


def _asked(lines: list[JobLine], gateway: Gateway) -> list[JobLine]:
    """The lines with what the service says of the jobs under way."""
    asked, until = [], gateway.clock.now() + LOOK_SECONDS
    for line in lines:
        job_id = line.job_id
        if line.state == State.SUBMITTED.value and job_id is not None:
            try:
                state = gateway.ask(partial(_state, job_id=job_id), until=until)
            except QhcError as error:
                line = replace(line, words=f"the service does not tell: {error}")
            else:
                words = state.words or state.status.value
                line = replace(line, words=words, queue_position=state.queue_position)
        asked.append(line)
    return asked


def _state(service: Service, job_id: str) -> RemoteState:
    return service.state(job_id)


def _gateway(
    folder: RunFolder, access: Access, tell: Callable[[str], None] = lambda words: None
) -> Gateway:
    """The way to the service that the run's machine belongs to."""
    account = access.with_account_of(folder.provenance).account()
    backend = parse_name(folder.backend)
    vendor = vendor_of(backend.key)
    return Gateway(lambda: vendor.connect(**account, is_local=backend.is_fake), tell=tell)
