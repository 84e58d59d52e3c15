"""Execute the notebooks of `docs/notebooks`: `python -m tests.notebooks.execution` renews them.

A notebook that was written so carries a hash of its code cells: outputs that are committed are
those of the code that is committed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 300
"""A busy machine that compiles the kernels first takes its time."""


def read(path: Path) -> NotebookNode:
    """The notebook in that file."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Its cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_hash(notebook: NotebookNode) -> str:
    """Of what its cells say, whatever they gave."""
    code = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(code.encode()).hexdigest()


def execute(notebook: NotebookNode) -> None:
    """Fill in the outputs; raises `CellExecutionError` where a cell does."""
    with _importable():
        NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3").execute(
            cwd=str(NOTEBOOKS[0].parent)
        )
    for cell in code_cells(notebook):
        cell.metadata.pop("execution", None)  # times of the day, which differ every time
    notebook.metadata["code_sha256"] = code_hash(notebook)


@contextmanager
def _importable() -> Iterator[None]:
    """The kernel imports this checkout, and finds the programs beside its interpreter."""
    search = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    with mock.patch.dict(os.environ, search):
        yield


def main() -> None:
    names = sys.argv[1:]
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            notebook = read(path)
            execute(notebook)
            nbformat.write(notebook, path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
