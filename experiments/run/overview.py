"""All runs that asked a machine, by their ledgers: nobody is asked, nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qbackend.errors import QhcError
from qbackend.machines.cost import Price
from qbackend.machines.ledger.entries import Entry, State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.service import LOCAL
from qbackend.validation.records.ledger import ROWS_WORDS

from ..records.folder import RunFolder

RUNS = Path("runs")
"""Where runs are looked for: those of other folders are named one by one."""

NONE_YET = (
    f"no run under {RUNS}/ has asked a machine yet. To ask one: qhc run --checkpoint RUN "
    "--backend ibm_NAME (qhc backends lists yours); to rehearse it for nothing: --backend fake_fez"
)
WHAT_NEXT = (
    "as the ledgers know it; qhc jobs RUN asks the machine, qhc resume RUN collects what is done"
)


@dataclass(frozen=True)
class RunLine:
    """One run as it is shown.

    Attributes:
        run: its folder.
        started: ISO 8601.
        machine: its name.
        state: how far the run has come, or "damaged".
        waits_for: what it would go on with, or what is wrong with it; empty for nothing.
        jobs, jobs_done: the last attempts, and those of them with a result.
        rows, rows_done: that they execute, each for all copies of the layer at once.
        charged_seconds: of QPU time, of all attempts, as far as it is known.
        price: of a second; None where it was not known.
    """

    run: str
    started: str
    machine: str
    state: str
    waits_for: str
    jobs: int = 0
    jobs_done: int = 0
    rows: int = 0
    rows_done: int = 0
    charged_seconds: float = 0.0
    price: Price | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        money = {} if self.price is None else {"money": self.price.money(self.charged_seconds)}
        return {**asdict(self), **money}


def list_runs(root: Path = RUNS) -> list[RunLine]:
    """The runs in a folder that have a ledger, newest first."""
    found = [_line(RunFolder(ledger.parent)) for ledger in root.glob("*/jobs.sqlite")]
    return sorted(found, key=lambda line: (line.started, line.run), reverse=True)


def print_runs(lines: Sequence[RunLine], console: Console) -> None:
    """A line per run, the sums, and what to type next."""
    if not lines:
        console.print(NONE_YET, markup=False, soft_wrap=True)
        return
    prices = any(line.price for line in lines)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("run", overflow="fold")
    table.add_column("machine", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for heading in ("jobs", "executed rows", "charged (s)", *(["cost"] if prices else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("waits for", overflow="fold")
    for line in lines:
        cost = [line.price.words(line.charged_seconds) if line.price else ""]
        table.add_row(
            line.run,
            line.machine,
            line.state,
            _share(line.jobs_done, line.jobs),
            _share(line.rows_done, line.rows),
            f"{line.charged_seconds:,.1f}",
            *(cost if prices else []),
            line.waits_for,
        )
    console.print(table)
    seconds = sum(line.charged_seconds for line in lines)
    money: dict[str, float] = defaultdict(float)
    for line in lines:
        if line.price is not None:
            money[line.price.currency] += line.price.money(line.charged_seconds)
    sums = [f"{seconds:,.1f} s charged", *(f"{each:,.2f} {name}" for name, each in money.items())]
    runs = f"{len(lines)} run{'s' if len(lines) > 1 else ''}"
    console.print(", ".join([runs, *sums]), markup=False)
    console.print(ROWS_WORDS, markup=False, soft_wrap=True)
    console.print(WHAT_NEXT, markup=False, soft_wrap=True)


def _line(folder: RunFolder) -> RunLine:
    try:
        state, machine = folder.state, folder.backend
        ledger = Ledger.existing(folder.ledger, read_only=True)
    except QhcError as error:
        return RunLine(str(folder.path), "", "", "damaged", str(error))
    try:
        entries, charged = ledger.entries(), ledger.charged_seconds()
        sessions = ledger.sessions()
    finally:
        ledger.close()
    last = list({(entry.request, entry.first_row): entry for entry in entries}.values())
    done = [entry for entry in last if entry.state is State.DONE]
    is_over = state.status == "finished"
    waits = [] if is_over else _waits(last, state.requests, state.approved)
    unsettled = sum(
        entry.state.is_final
        and entry.job_id is not None
        and entry.qpu_seconds is None
        and entry.workload not in sessions
        for entry in entries
    ) + sum(seconds is None for seconds in sessions.values())
    if unsettled:
        waits.append(f"what {_count(unsettled, 'job')} cost")
    return RunLine(
        run=str(folder.path),
        started=state.started,
        machine=machine,
        state=state.status,
        waits_for="; ".join(waits),
        jobs=len(last),
        jobs_done=len(done),
        rows=sum(entry.n_rows for entry in last),
        rows_done=sum(entry.n_rows for entry in done),
        charged_seconds=charged,
        price=state.price,
    )


def _waits(last: Sequence[Entry], planned: int, approved: bool | None) -> list[str]:
    """What a run with these last attempts, of so many planned requests, would go on with."""
    submitted = [entry for entry in last if entry.state is State.SUBMITTED]
    sent = [entry for entry in submitted if entry.instance != LOCAL]
    unsent = [entry for entry in last if entry.state is State.PLANNED]
    words = []
    if sent:
        first = min(entry.submitted_at for entry in sent if entry.submitted_at is not None)
        words.append(f"{_count(len(sent), 'job')} sent, {first:%Y-%m-%d %H:%M} UTC")
    if again := len(submitted) - len(sent):
        words.append(f"{_count(again, 'job')} simulated here, to be executed anew")
    if unsent:
        doubt = ", as far as is known" if any(each.doubtful_since for each in unsent) else ""
        words.append(f"{_count(len(unsent), 'job')} to be sent{doubt}")
    for state in (State.FAILED, State.CANCELLED):
        if ended := sum(entry.state is state for entry in last):
            words.append(f"{_count(ended, 'job')} {state.value}, to be sent again")
    requests = len({entry.request for entry in last})
    if not (requests or approved):
        words.append("a yes to its plan")
    elif requests < planned:
        words.append(f"{planned - requests} of {_count(planned, 'request')} to be made")
    return words


def _share(done: int, whole: int) -> str:
    return f"{done:,} of {whole:,}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
