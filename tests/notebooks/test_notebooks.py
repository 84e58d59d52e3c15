"""The notebooks are what was committed: executed, small, without a warning, and they still run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from .execution import NOTEBOOKS, code_cells, code_hash, execute, read

MOST_BYTES = 300_000
COMPILING = re.compile(r"(?m)^(compiling CPU kernels|compiled \S+ for).*\n")
"""What a first run on a computer says on standard error."""


def mistakes(notebook: NotebookNode) -> list[str]:
    """What a reader should not see, cell by cell."""
    cells = code_cells(notebook)
    found = [
        f"cell {number} was executed as {cell.execution_count}"
        for number, cell in enumerate(cells, start=1)
        if cell.execution_count != number
    ]
    for number, cell in enumerate(cells, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number} ended with {output.ename}")
            if output.get("name") == "stderr":
                found.append(f"cell {number} warned: {output.text}")
        said = "".join(output.get("text", "") for output in cell.outputs)
        if "Warning" in said or "Traceback" in said:
            found.append(f"cell {number} said: {said}")
        if places := re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users)/\S*", str(cell.outputs)):
            found.append(f"cell {number} names {places}")
    return found


def kinds(notebook: NotebookNode) -> list[Counter[str]]:
    """How many pictures, tables and texts each cell gave."""
    return [
        Counter(
            kind
            for output in cell.outputs
            for kind in output.get("data", {})
            if kind in ("image/png", "text/markdown")
        )
        + Counter(bool(cell.outputs) * ["something"])
        for cell in code_cells(notebook)
    ]


def test_there_are_three() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_of_the_code(path: Path) -> None:
    notebook = read(path)
    assert notebook.metadata.get("code_sha256") == code_hash(notebook), (
        f"execute it anew: python -m tests.notebooks.execution {path.stem}"
    )
    assert mistakes(notebook) == []
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path) -> None:
    committed, notebook = read(path), read(path)
    execute(notebook)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                output.text = COMPILING.sub("", output.text)
        cell.outputs = [each for each in cell.outputs if each.get("text") != ""]
    assert mistakes(notebook) == []
    assert kinds(notebook) == kinds(committed)


def test_mistakes_are_seen() -> None:
    cell = new_code_cell("1/0", execution_count=2)
    cell.outputs = [
        new_output("error", ename="ZeroDivisionError", evalue="", traceback=[]),
        new_output("stream", name="stderr", text="UserWarning: look at /tmp/x\n"),
    ]
    notebook = new_notebook(cells=[cell])
    assert [words.split()[2] for words in mistakes(notebook)] == [
        "was", "ended", "warned:", "said:", "names",
    ]  # fmt: skip
    before = code_hash(notebook)
    cell.source = "1/1"
    assert code_hash(notebook) != before
