"""Settings shared by the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from .support.command_line import Qhc, exit_code, without_reports
from .support.leaks import _no_token_is_returned, pytest_runtest_makereport

__all__ = ["_no_token_is_returned", "pytest_runtest_makereport"]

# Kernels compile and libraries load inside the first example: a deadline would measure that.
settings.register_profile("qhc", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("qhc")

NIGHTHAWK = "qiskit_ibm_runtime.fake_provider.backends.nighthawk.fake_nighthawk"


@pytest.fixture(autouse=True)
def _arithmetic() -> None:
    # Small products lose more to a second thread than they gain.
    torch.set_num_threads(1)
    # What is timed flushes denormal numbers; what is tested must not depend on it.
    torch.set_flush_denormal(False)


@pytest.fixture
def remarks_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the library remark on fake_nighthawk again, as it does once per process."""
    from qbackend.devices import snapshots

    monkeypatch.setattr(NIGHTHAWK + ".DISPLAY_WARNING", True)
    snapshots._load.cache_clear()
    yield
    snapshots._load.cache_clear()


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    # An account that the developer has is not this suite's to use.
    monkeypatch.delenv("QISKIT_IBM_TOKEN", raising=False)
    monkeypatch.delenv("QHC_CREDENTIALS", raising=False)
    nowhere = Path("nowhere", "credentials.toml")
    monkeypatch.setattr("qbackend.ibm.credentials.searched_files", lambda: (nowhere,))
    monkeypatch.setattr("qiskit_ibm_runtime.QiskitRuntimeService.saved_accounts", lambda: {})


@pytest.fixture
def qhc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Qhc]:
    """The command in a folder of its own; it draws no reports."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = exit_code(*arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    with without_reports():
        yield call
