"""Two models of one layer, and a service that has a machine for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer
from tests.loopback.client import served
from tests.loopback.machines import Machine
from tests.run.machine.commands import MACHINE
from tests.run.machine.conftest import trained
from tests.support.command_line import exit_code, without_reports

__all__ = ["trained"]

SMALL = ("--epochs", "1", "--limit", "20", "--set", "data.validation=0.9")


def trained_as(path: Path, *more: str) -> Path:
    with without_reports():
        assert exit_code("run", *SMALL, *more, "--out", str(path)) == 0
    return path


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same layer with other weights."""
    return trained_as(tmp_path_factory.mktemp("other") / "seed1", "--seed", "1")


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another layer."""
    return trained_as(tmp_path_factory.mktemp("deep") / "deep", "--set", "layer.n_layers=1")


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arm without a quantum layer."""
    return trained_as(tmp_path_factory.mktemp("linear") / "linear", "--set", "model.arm=linear")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load(MACHINE, n_qubits=5)]) as running:
        yield running
