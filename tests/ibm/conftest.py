"""The server and the ledger are those of the tests of machines."""

from tests.machines.conftest import path, server, three_jobs

__all__ = ["path", "server", "three_jobs"]
