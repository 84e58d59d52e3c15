"""A server for each test that asks for one, and the client's way to its machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qiskit_ibm_runtime import IBMBackend, QiskitRuntimeService

from . import LoopbackServer
from .client import served


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served() as running:
        yield running


@pytest.fixture
def service(server: LoopbackServer) -> QiskitRuntimeService:
    return QiskitRuntimeService()


@pytest.fixture
def backend(service: QiskitRuntimeService) -> IBMBackend:
    return service.backend("ibm_loopback")
