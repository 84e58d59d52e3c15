"""A server and a ledger for each test that asks for one, and how to make several jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qbackend.ibm import limits
from tests.ibm.calls import small_machine
from tests.loopback import LoopbackServer, instant_retries
from tests.loopback.client import served

from .fakes import SHOTS, placing


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """With a small machine; the client's own retries do not wait."""
    with served([small_machine()]) as running, instant_retries():
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a ledger that is not there yet."""
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def three_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job takes two rows, so that five rows are three jobs."""
    executions = 2 * SHOTS // placing.get("copies", 1)
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", executions)
