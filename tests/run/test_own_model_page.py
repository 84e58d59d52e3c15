"""What docs/own-model.md says, typed from the first line to the last."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ..support.command_line import Qhc

PAGE = Path(__file__).parents[2] / "docs" / "own-model.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_page_works_as_it_is_written(qhc: Qhc) -> None:
    n_files = n_commands = 0
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind in ("python", "toml"):
            first, _, _ = text.partition("\n")
            Path(first.removeprefix("# ")).write_text(text, encoding="utf-8")
            n_files += 1
            continue
        assert kind == "console"
        for line in text.splitlines():
            program, *arguments = shlex.split(line.removeprefix("$ "))
            assert program == "qhc"
            code, _, err = qhc(*arguments)
            assert code == 0, f"{line}\n{err}"
            n_commands += 1
    assert (n_files, n_commands) == (5, 7)
