"""Batches and sessions are known before their first job, and closed by whoever comes back."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import pytest

from qbackend.errors import BackendError, SendingInterruptedError, TokenRefusedError
from qbackend.machines.gateway import Gateway
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.workloads import close_left_open

from .fakes import LOST, SPEC, FakeService, Fault, Time, ask, backend_of


def open_in(path: Path) -> list[tuple[str, bool]]:
    """What the ledger knows to be open."""
    ledger = Ledger(path, read_only=True)
    try:
        return [(each.id, each.is_session) for each in ledger.open_workloads()]
    finally:
        ledger.close()


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_it_is_in_the_ledger_before_its_first_job(path: Path, mode: str) -> None:
    service, seen = FakeService(), []
    service.faults.append(Fault("start", lambda: seen.extend(open_in(path))))
    backend = backend_of(service, ledger=path, mode=mode)
    backend.evaluate(ask(backend))
    backend.close()
    assert seen == [("workload-0", mode == "session")]
    assert open_in(path) == []
    assert [entry.workload for entry in Ledger(path).entries()] == ["workload-0"]
    assert [workload.closed for workload in service.workloads] == [1]


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_a_later_process_closes_what_was_left_open(path: Path, mode: str) -> None:
    """The one before it died between its job and the end of its batch or session."""
    service = FakeService()
    service.faults.append(Fault("close_workload", KeyboardInterrupt(), count=10))
    backend = backend_of(service, ledger=path, mode=mode, wait=True)
    with suppress(KeyboardInterrupt, SendingInterruptedError):
        backend.evaluate(ask(backend))
        backend.close()
    assert open_in(path) == [("workload-0", mode == "session")]
    service.faults.clear()
    later = backend_of(service, ledger=path)
    later.evaluate(ask(later))
    assert open_in(path) == []
    assert [workload.closed for workload in service.workloads] == [1]
    assert len(service.jobs) == 1


def test_a_later_process_that_has_nothing_to_ask_closes_it_too(path: Path) -> None:
    """The one before it died when everything was on record, and before the end of its session."""
    service = FakeService()
    backend = backend_of(service, ledger=path, mode="session")
    backend.evaluate(ask(backend))
    assert open_in(path) == [("workload-0", True)]
    later = backend_of(service, ledger=path, mode="session")
    later.compile(SPEC)
    later.close()
    assert open_in(path) == []
    assert [workload.closed for workload in service.workloads] == [1]
    later.close()


@pytest.mark.parametrize("error", [LOST, TokenRefusedError("refused"), BackendError("gone")])
def test_what_cannot_be_closed_is_closed_later(
    path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    service, time = FakeService(), Time()
    service.faults.append(Fault("close_workload", error, count=100))
    backend = backend_of(service, time, ledger=path, mode="session")
    values = backend.evaluate(ask(backend)).values
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        backend.close()
    assert values.shape == (3, 2)
    assert "session workload-0 could not be closed" in caplog.text
    assert f"qhc resume {path.parent} tries again" in caplog.text
    assert open_in(path) == [("workload-0", True)]
    service.faults.clear()
    ledger = Ledger(path)
    close_left_open(Gateway(lambda: service, clock=Time().clock), ledger)
    assert ledger.open_workloads() == []
    assert ledger.sessions() == {"workload-0": 40.0}


def test_a_session_counts_by_the_clock_in_the_budget(path: Path) -> None:
    service = FakeService()
    for seed in (1, 2):
        backend = backend_of(service, ledger=path, mode="session", max_qpu_seconds=80.0)
        backend.evaluate(ask(backend, seed=seed))
        backend.close()
    ledger = Ledger(path)
    assert ledger.charged_seconds() == ledger.committed_seconds() == 2 * 40.0
    # What its jobs took by themselves is known, and not added.
    assert [entry.qpu_seconds for entry in ledger.entries()] == [3.0, 3.0]


def test_a_session_that_is_not_settled_is_asked_for_later(path: Path) -> None:
    service = FakeService()
    answers = iter([None, 12.5])
    service.session_seconds = lambda session: next(answers)  # type: ignore[method-assign]
    backend = backend_of(service, ledger=path, mode="session")
    backend.evaluate(ask(backend))
    backend.close()
    assert Ledger(path).sessions() == {"workload-0": None}
    later = backend_of(service, ledger=path)
    later.evaluate(ask(later, seed=8))
    assert Ledger(path).sessions() == {"workload-0": 12.5}
