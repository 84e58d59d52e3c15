"""A server for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loopback import LoopbackServer, instant_retries
from tests.loopback.client import served

from .calls import small_machine


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """With a small machine; the client's own retries do not wait."""
    with served([small_machine()]) as running, instant_retries():
        yield running
