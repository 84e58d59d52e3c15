"""The search for tokens finds them, wherever a test leaves one."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qbackend import LayerSpec, errors, get_backend
from qbackend.ibm.service import connect
from qbackend.machines.options import ExecutionOptions

from .loopback import Fault, LoopbackServer, Reset, instant_retries
from .loopback.account import Identity
from .loopback.client import served, tiny
from .seam.test_backends import ask
from .support.leaks import files_with_token, has_token

ROOT = Path(__file__).parents[1]

LEAKS = {
    "printed": "print(KEY)",
    "logged": "logging.getLogger('x').warning(KEY)",
    "issued": "print(IDENTITY.issue(IDENTITY.api_key))",
    "raised": "raise ValueError(KEY)",
    "written": "(tmp_path / 'record.json').write_text(KEY)",
    "returned": "subprocess.run([sys.executable, '-c', f'print({KEY!r})'], capture_output=True)",
}


def test_keys_and_tokens_are_known() -> None:
    identity = Identity()
    issued = identity.issue(identity.api_key)
    assert issued is not None
    assert has_token(f"apikey {identity.api_key}")
    assert has_token(f"Bearer {issued['access_token']}")
    assert not has_token("ibm_loopback on the loopback-open instance")


def test_files_are_searched_whatever_they_are() -> None:
    key = Identity().api_key
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "credentials.toml").write_text(key)
        assert not files_with_token(folder)
        (folder / "deep").mkdir()
        with closing(sqlite3.connect(folder / "deep" / "jobs.sqlite")) as database, database:
            database.execute("create table words (content text)")
            database.execute("insert into words values (?)", [f"about {key}"])
        assert [path.name for path in files_with_token(folder)] == ["jobs.sqlite"]


@pytest.mark.slow
def test_a_test_that_tells_a_token_fails(tmp_path: Path) -> None:
    key = "'loopback-' + 32 * 'a'"
    cases = "\n".join(f"def test_{name}(tmp_path):\n    {leak}\n" for name, leak in LEAKS.items())
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_leaking.py").write_text(
        "import logging, subprocess, sys\nfrom tests.loopback.account import Identity\n"
        f"KEY = {key}\nIDENTITY = Identity()\n{cases}\ndef test_silent(tmp_path):\n    pass\n"
    )
    # -B: a compiled test would hold the key that its source only spells.
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # What is captured and what is written are found at teardown, after the test has passed.
    assert "2 failed, 5 passed, 4 errors" in done.stdout


def test_nothing_is_told_in_good_days_or_bad(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Every logger tells all that it has, and the run's ledger keeps all that it keeps."""
    client = logging.getLogger("qiskit_ibm_runtime")
    with served([tiny()]) as server, caplog.at_level(logging.DEBUG), instant_retries():
        client.setLevel(logging.DEBUG)
        try:
            _execute(server, tmp_path)
        finally:
            client.setLevel(logging.NOTSET)
        told = f"{caplog.text} {[record.__dict__ for record in caplog.records]}"
        assert len(caplog.records) > 10
        assert server.environment["QISKIT_IBM_TOKEN"] not in told
        assert not has_token(told)


def _execute(server: LoopbackServer, folder: Path) -> None:
    options = ExecutionOptions(poll=(0.01, 0.05))
    backend = get_backend(
        "ibm_loopback",
        shots=16,
        machine=options,
        ledger=folder / "jobs.sqlite",
        approve=lambda cost: True,
    )
    backend.evaluate(ask(backend, LayerSpec(2)))
    backend.close()
    service = connect()
    server.identity.refuse_issued_tokens()
    with pytest.raises(errors.TokenRefusedError):
        service.plan()
    server.faults.add(Fault("*", "*", Reset(), count=None))
    with pytest.raises(errors.TransientError):
        service.reconnect()
