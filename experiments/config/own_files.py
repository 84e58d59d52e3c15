"""Files of the user's own that a recipe names: where they are, and by what they are known.

A reference is FILE.py:NAME or MODULE:NAME, below the recipe's folder or the working folder. What
is found there belongs to the run: its text is known by its SHA-256, and the run folder has a copy.
Modules that are installed are no part of it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pydantic import Field

from qbackend.errors import ConfigError

from .section import Section

COPIES = "code"
"""The folder of a run with its copies."""
OURS = ("qbackend", "models", "experiments")
REFERENCE = re.compile(r"(?P<place>[^:]+(?::[\\/][^:]+)?):(?P<name>[A-Za-z_]\w*)")
FORMS = "my_file.py:NAME (below the recipe's folder or the working folder) or package.module:NAME"


class CodeSection(Section):
    """The user's own code that a run depends on; qhc writes it."""

    folders: tuple[str, ...] = ()
    """Where the files were found."""
    sha256: dict[str, str] = Field(default_factory=dict)
    """Of every file, by its place below one of the folders."""


def check_reference(value: str) -> str:
    """The value; raises `ValueError` unless it is a reference."""
    if REFERENCE.fullmatch(value) is None:
        raise ValueError(f"'{value}' names nothing to import: write {FORMS}")
    return value


def code_files(code: CodeSection) -> dict[str, bytes]:
    """The content of every file, by its place; raises `ConfigError` for one that has changed."""
    return {name: unchanged_file(name, code, "code").read_bytes() for name in code.sha256}


def changed_notes(code: CodeSection | None) -> list[str]:
    """On files that are not what they were where they were found."""
    notes = []
    for name, sha256 in code.sha256.items() if code else ():
        for folder in code.folders if code else ():
            path = folder_of(folder) / name
            if path.is_file() and sha256_of(path) != sha256:
                notes.append(
                    f"{name} in {folder} has changed since: the run's own copy is used (its "
                    f"SHA-256 begins with {sha256[:12]}); for the new one, train again: qhc run"
                )
    return notes


def parts_of(reference: str) -> tuple[str, str]:
    """Where the object of a reference is, and its name."""
    match = REFERENCE.fullmatch(reference)
    assert match is not None  # checked when the recipe was read
    return match["place"], match["name"]


def file_of(place: str, folders: Sequence[Path], key: str) -> tuple[Path, str] | None:
    """The folder and the place below it of a file, or of a module that is not installed."""
    if place.endswith(".py"):
        given = Path(place).expanduser()
        if given.is_absolute() or ".." in given.parts:
            candidates = [folder / given for folder in folders]
            pairs = [(each.resolve().parent, each.name) for each in candidates]
        else:
            pairs = [(folder.absolute(), given.as_posix()) for folder in folders]
        for root, relative in pairs:
            if (root / relative).is_file():
                return root, relative
        looked = " or ".join(dict.fromkeys(str(folder.absolute()) for folder in folders))
        raise ConfigError(
            f"{key} names a file that is not there:", [f"no {place} in {looked}; write {FORMS}"]
        )
    if place.partition(".")[0] in OURS:
        top = place.partition(".")[0]
        raise ConfigError(
            f"{key} names a part of qhc:",
            [
                f"{place}: '{top}' is a package of qhc's own; write {top}.py:NAME for a file of "
                "yours, or give yours another name"
            ],
        )
    parts = PurePosixPath(*place.split("."))
    for folder in folders:
        for relative in (f"{parts}.py", f"{parts}/__init__.py"):
            if (folder / relative).is_file():
                return folder.absolute(), relative
    return None


def known_file(place: str, code: CodeSection) -> str | None:
    """Under which place the code has the file of a reference."""
    parts = PurePosixPath(*place.split("."))
    names = [place] if place.endswith(".py") else [f"{parts}.py", f"{parts}/__init__.py"]
    return next((name for name in names if name in code.sha256), None)


def unchanged_file(name: str, code: CodeSection, key: str) -> Path:
    """Where a file is that the code knows; raises `ConfigError` where that is as it was nowhere."""
    paths = [folder_of(folder) / name for folder in code.folders]
    there = [path for path in dict.fromkeys(paths) if path.is_file()]
    for path in there:
        if sha256_of(path) == code.sha256[name]:
            return path
    state = "has changed since" if there else "is not there any more"
    looked = ", ".join(map(str, there or dict.fromkeys(paths)))
    raise ConfigError(
        f"{key}: {name} {state}:",
        [
            f"{looked}: the model was made by a file whose SHA-256 begins with "
            f"{code.sha256[name][:12]}; put it back (a run's own copy is in RUN/{COPIES}/{name}), "
            "or train again: qhc run"
        ],
    )


def with_neighbours(root: Path, relative: str) -> list[str]:
    """A file, and those below the same folder that it imports, and so on."""
    found: set[str] = set()
    pending = [relative]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        with suppress(SyntaxError, ValueError):  # told when it is imported
            tree = ast.parse((root / name).read_bytes())
            pending += [each for each in _imports(tree, name) if (root / each).is_file()]
    return sorted(found)


def _imports(tree: ast.AST, name: str) -> Iterator[str]:
    """Where the modules that a file imports would be, below the folder that it is found in."""
    for node in ast.walk(tree):
        dotted: list[str] = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = PurePosixPath(name).parts[: -node.level] if node.level else ()
            base = [*package, *((node.module or "").split(".") if node.module else ())]
            dotted = [".".join([*base, alias.name]) for alias in node.names]
        for parts in (each.split(".") for each in dotted):
            if parts[0] not in OURS:
                for end in range(1, len(parts) + 1):
                    place = "/".join(parts[:end])
                    yield from (f"{place}.py", f"{place}/__init__.py")


def root_of(path: Path, name: str) -> Path:
    """The folder that a place below it belongs to."""
    return path.parents[len(PurePosixPath(name).parts) - 1]


def sha256_of(path: Path) -> str:
    """Of a file, whose lines may end otherwise in a checkout on Windows."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def folder_of(folder: str) -> Path:
    """As a record has it."""
    return Path(folder).expanduser()


def folder_texts(folders: Sequence[Path]) -> tuple[str, ...]:
    """Without the user's home folder."""
    home = Path.home()
    texts = [
        f"~/{each.relative_to(home).as_posix()}" if each.is_relative_to(home) else str(each)
        for each in (folder.absolute() for folder in folders)
    ]
    return tuple(dict.fromkeys(texts))
