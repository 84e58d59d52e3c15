"""Writing files so that a failure leaves what was there before."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`, wholly or not at all.

    Raises:
        RecordError: it could not be written (a full disk, say); the old file is untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise _unwritable(path, error) from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Replace the `.npz` file at `path`; raises as `write_atomically`."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder."""
    return os.access(folder, os.W_OK)


def csv_content(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows as a CSV file under the first one's keys; nothing for no rows."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file, wholly or not at all; raises `RecordError`."""
    try:
        size = path.stat().st_size if path.exists() else 0
        with open(path, "ab") as file:
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, size)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RecordError:
    runs = [parent for parent in path.parents if (parent / "config.toml").exists()]
    return RecordError(
        f"{path} could not be written: {error.strerror or error}; what was there before is "
        f"untouched. Make room, then {f'type: qhc resume {runs[0]}' if runs else 'try again'}"
    )
