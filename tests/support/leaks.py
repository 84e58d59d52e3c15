"""No test may show a token: what it prints, logs, returns and writes is searched for one.

The tokens are those of the loopback service: its API keys, and what it gives for them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

TOKEN = re.compile(rb"loopback-[0-9a-f]{32}|eyJhbGciOiAiUlMyNTYi")
"""An API key of the loopback service, and how each of its tokens begins."""

MAY_HOLD_ONE = ("credentials.toml",)
"""Names of files that are there to hold a token."""


def has_token(text: str | bytes | None) -> bool:
    """Whether there is a token in what was told."""
    if text is None:
        return False
    return TOKEN.search(text.encode() if isinstance(text, str) else text) is not None


def files_with_token(folder: Path) -> list[Path]:
    """The files below `folder` that have a token and should not."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [f for f in files if f.name not in MAY_HOLD_ONE and has_token(f.read_bytes())]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Fail a test that told or kept a token."""
    report: pytest.TestReport = yield
    told = ["the traceback"] if has_token(report.longreprtext) else []
    if call.when == "teardown":  # which has what was captured in all phases
        told += [name for name, content in report.sections if has_token(content)]
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        told += [str(path) for path in files_with_token(folder)] if folder is not None else []
    if told:
        report.outcome = "failed"
        report.longrepr = f"a token is in {', '.join(told)}"
        report.sections = []
    return report


@pytest.fixture(autouse=True)
def _no_token_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look through the output of commands, which tests keep to themselves."""
    invoke, run = CliRunner.invoke, subprocess.run

    def invoked(*arguments: Any, **options: Any) -> Result:
        result = invoke(*arguments, **options)
        assert not has_token(result.output), "a token is in the command's output"
        assert not has_token(repr(result.exception)), "a token is in the command's error"
        return result

    def ran(*arguments: Any, **options: Any) -> Any:
        completed = run(*arguments, **options)
        for stream in (completed.stdout, completed.stderr):
            assert not has_token(stream), "a token is in a process's output"
        return completed

    monkeypatch.setattr(CliRunner, "invoke", invoked)
    monkeypatch.setattr(subprocess, "run", ran)
