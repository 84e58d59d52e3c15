"""A folder as a reader has it after the first page: a trained model, and runs of it elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..support.command_line import exit_code, without_reports
from ..support.own_circuit import QASM


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`runs/RUN`, trained on digits, and `runs/DEVICE`, the same validated as on a machine."""
    folder = tmp_path_factory.mktemp("reader")
    train = ("run", "--epochs", "1", "--out", "runs/RUN")
    validate = ("run", "--checkpoint", "runs/RUN", "--backend", "fake_manila", "--limit", "10")
    with pytest.MonkeyPatch.context() as patch, without_reports():
        patch.chdir(folder)
        assert exit_code(*train) == 0
        assert exit_code(*validate, "--out", "runs/DEVICE") == 0
    return folder / "runs"


@pytest.fixture
def reader(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of somebody who reads a page: names that pages use stand for runs."""
    for name, found in {"RUN": "RUN", "ONE": "RUN", "OTHER": "RUN", "RERUN": "DEVICE"}.items():
        shutil.copytree(runs / found, tmp_path / "runs" / name)
    shutil.copytree(runs / "DEVICE", tmp_path / "runs" / "DEVICE")
    (tmp_path / "my.qasm").write_text(QASM)
    monkeypatch.chdir(tmp_path)
    # A circuit of the reader's is imported from the working folder.
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path
