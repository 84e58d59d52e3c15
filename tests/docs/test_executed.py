"""Every block of code is executed, page by page as a reader would, but for what says why not.

With fewer images, epochs, shots and qubits than it says, which changes no flag. What is not
executed is checked by `test_blocks.py` all the same. A command that several pages have is executed
once.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..support.command_line import exit_code, without_reports
from .pages import PAGES, SHELLS, Block, blocks, name_of
from .shell import Line, lines, unsaid_reason

OF_A_DEVICE = ("jobs", "cancel", "resume", "rerun")
"""Commands about a run that asked a machine: `runs/RUN` is such a one there."""

SMALL = {"--limit": "4", "--epochs": "1", "--shots": "64", "--calibrate": "4", "--seeds": "2"}
"""What a command is executed with in place of what a page says, where that is more."""

LARGE, FIVE_QUBITS = re.compile(r"fake_(?:fez|brisbane|marrakesh|torino)"), "fake_manila"
"""Devices that are named, and what stands for them where there need not be room for copies."""

_done: set[tuple[str, ...]] = set()


def is_executed(block: Block) -> bool:
    if block.file is not None:
        return True
    if block.language == "python":
        return block.mark is None and not re.search(r"[\"']ibm(?:_\w+)?[\"']", block.text)
    return block.language in SHELLS and any(line.reason is None for line in lines(block))


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_executed, blocks(page)))], ids=name_of
)
def test_a_reader_can_do_it(page: Path, reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, Any] = {"__name__": "__page__"}
    for block in filter(is_executed, blocks(page)):
        if block.file is not None:
            (reader / block.file).write_text(block.text)
        elif block.language == "python":
            # A traceback has the page's own line.
            text = "\n" * block.line + LARGE.sub(FIVE_QUBITS, block.text)
            code = compile(text, name_of(page), "exec")
            exec(code, known)
        else:
            for line in lines(block):
                if line.reason is None:
                    assert execute(line) == 0, f"{block.where}: {line.text}\n{capsys.readouterr()}"


def small(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same command with fewer images, epochs and shots."""
    has_copies = "--copies" in words
    kept = [word if has_copies else LARGE.sub(FIVE_QUBITS, word) for word in words]
    for at, flag in enumerate(words[:-1]):
        if flag in SMALL:
            kept[at + 1] = str(min(int(words[at + 1]), int(SMALL[flag])))
    if words[0] == "run" and "--checkpoint" in words and "--limit" not in words:
        kept += ["--limit", SMALL["--limit"]]
    if words[0] == "run" and "--checkpoint" not in words and "--epochs" not in words:
        kept += ["--epochs", SMALL["--epochs"]]
    return tuple(kept)


def execute(line: Line) -> int:
    """What a command leaves with."""
    if line.words[0] != "qhc":
        command = line.text.partition("<<")[0]
        shell = subprocess.run(["bash", "-c", command], input=line.document, text=True, check=False)
        return shell.returncode
    words = small(line.words[1:])
    if words in _done:
        return 0
    _done.add(words)
    if words[0] in OF_A_DEVICE:
        words = tuple(word.replace("runs/RUN", "runs/DEVICE") for word in words)
    with without_reports():
        return exit_code(*words)


def test_it_is_enough_that_is_executed() -> None:
    executed = [block for page in PAGES for block in blocks(page) if is_executed(block)]
    assert sum(block.language == "python" for block in executed) >= 10
    assert sum(block.language in SHELLS for block in executed) >= 15


def test_why_something_is_not_executed() -> None:
    reasons = {
        "qhc run --checkpoint runs/RUN --backend ibm_fez": "needs an account",
        "qhc run --checkpoint runs/RUN --backend aer:ibm_fez": None,
        "qhc run --recipe mnist": "needs its data",
        "qhc run --epochs 2": None,
        "qhc run --dataset folder:DIR": "needs what is the reader's",
        "make run": "installs, or measures for minutes",
    }
    assert {text: unsaid_reason(tuple(text.split())) for text in reasons} == reasons
    marked = Block(PAGES[0], 1, "bash", "# takes minutes\nqhc bench\n")
    assert [line.reason for line in lines(marked)] == ["takes minutes"]
    one = Block(PAGES[0], 1, "bash", "qhc bench     # takes minutes\nqhc data list\n")
    assert [line.reason for line in lines(one)] == ["takes minutes", None]
