"""Image files in one folder per class, and what else lies there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from torchvision.datasets.folder import IMG_EXTENSIONS

from qbackend.errors import DataError

Samples = Sequence[tuple[Path, int]]
"""Image files and labels."""

TYPES = " ".join(IMG_EXTENSIONS)
_FOREIGN = ("__MACOSX", "@eaDir")
"""Folders that macOS' archives and Synology's servers put beside one's own."""


@dataclass(frozen=True)
class Tree:
    """The images of a folder.

    Attributes:
        classes: their names, in alphabetical order.
        samples: by class, by folder, by name.
        ignored: what is hidden, or no image of a known type.
    """

    classes: tuple[str, ...]
    samples: Samples
    ignored: tuple[Path, ...]


def read_tree(folder: Path, classes: tuple[str, ...] | None = None) -> Tree:
    """The images below each class's folder; what is hidden is no class and no image.

    With `classes` given, the folders must be among them, and labels are indices into them.

    Raises:
        DataError: `folder` cannot be read, or holds no class, an empty or an unknown one, or one
            whose name is no text.
    """
    names: list[str] = []
    beside: list[Path] = []
    try:
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and not _is_hidden(entry.name):
                names.append(entry.name)
            else:
                beside.append(entry)
        found = {name: _files(folder / name) for name in names}
    except FileNotFoundError as error:
        raise DataError(f"there is no folder {folder}, seen from {Path.cwd()}") from error
    except OSError as error:
        raise DataError(f"{_rule(folder)}: {error}") from error
    if not names:
        raise DataError(f"{_rule(folder)}: there is no folder in it")
    if odd := [name for name in names if name.encode(errors="replace") != os.fsencode(name)]:
        raise DataError(
            f"{folder} holds a folder whose name is not UTF-8, {os.fsencode(odd[0])!r}; rename it"
        )
    images = {name: [path for path in found[name] if _is_image(path)] for name in names}
    if classes is None:
        classes = tuple(names)
        if empty := [name for name in names if not images[name]]:
            raise DataError(
                f"{_rule(folder)}: there is no image of the types {TYPES} in {folder / empty[0]}"
            )
    elif unknown := [name for name in names if name not in classes]:
        raise DataError(f"{folder / unknown[0]}: the training images have no class '{unknown[0]}'")
    others = [path for name in names for path in found[name] if not _is_image(path)]
    samples = [(path, classes.index(name)) for name in names for path in images[name]]
    return Tree(classes, samples, (*beside, *others))


def _rule(folder: Path) -> str:
    return f"{folder} must hold one folder of images per class"


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _FOREIGN


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMG_EXTENSIONS and not _is_hidden(path.name)


def _files(folder: Path) -> list[Path]:
    """All files below, and hidden folders without what is in them, by folder and by name.

    A folder that links lead to again is read once: its images would be test and training images.
    """
    return [Path(parent, name) for parent, name in sorted(_walk(folder))]


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    read: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in read:
            folders.clear()
            continue
        read.add(real)
        hidden = [name for name in folders if _is_hidden(name)]
        folders[:] = sorted(name for name in folders if name not in hidden)
        yield from ((parent, name) for name in (*hidden, *files))


def _refuse(error: OSError) -> NoReturn:
    raise error
