"""Nothing that only POSIX systems have is in the way of Windows."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from experiments.records.folder import command_line
from qbackend.validation.records.environment import computer, peak_memory_mib

ROOT = Path(__file__).parents[2]
FILES = [
    path for package in ("qbackend", "models", "experiments", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
]  # fmt: skip
POSIX_MODULES = {"curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {
    "fork", "getgid", "getloadavg", "getpgid", "getuid", "geteuid", "killpg", "mkfifo", "nice",
    "O_DIRECTORY", "sched_getaffinity", "sched_setaffinity", "setsid", "sysconf", "uname", "wait",
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_needs_posix_to_be_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loaded: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            loaded |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            loaded.add(node.module or "")
    assert not loaded & POSIX_MODULES
    used = {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os"
    }  # fmt: skip
    assert not used & POSIX_NAMES


def test_the_computer_is_described_without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    used = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=3 * 2**20))
    monkeypatch.setattr(psutil, "Process", lambda: used)
    assert peak_memory_mib() == 3.0
    assert computer("none").memory_mib > 100


def test_memory_is_that_of_the_system() -> None:
    assert computer("none").memory_mib == psutil.virtual_memory().total // 2**20
    resident = psutil.Process().memory_info().rss / 2**20
    assert 0.5 * resident < peak_memory_mib() < computer("none").memory_mib


def test_a_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["run", "--out", "C:\\my runs\\one"]
    monkeypatch.setattr(sys, "platform", "win32")
    assert command_line(typed) == 'qhc run --out "C:\\my runs\\one"'
    monkeypatch.setattr(sys, "platform", "linux")
    assert command_line(typed) == "qhc run --out 'C:\\my runs\\one'"
