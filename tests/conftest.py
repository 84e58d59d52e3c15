"""Settings shared by the whole suite."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

# Kernels compile and libraries load inside the first example: a deadline would measure that.
settings.register_profile("qhc", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("qhc")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # Small products lose more to a second thread than they gain.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    # An account that the developer has is not this suite's to use.
    monkeypatch.delenv("QISKIT_IBM_TOKEN", raising=False)
    monkeypatch.setattr("qiskit_ibm_runtime.QiskitRuntimeService.saved_accounts", lambda: {})
