"""A model to send to a machine, and a service that has the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer
from tests.loopback.client import served
from tests.support.command_line import exit_code, without_reports


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digits model after an epoch on a tenth of the images."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    small = ("--epochs", "1", "--limit", "20", "--set", "data.validation=0.9")
    with without_reports():
        assert exit_code("run", *small, "--out", str(folder)) == 0
    return folder


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served() as running:
        yield running
