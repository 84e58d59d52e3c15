"""Python of the user's own that a recipe names: networks, data, losses, metrics.

A reference is FILE.py:NAME or MODULE:NAME, below the recipe's folder or the working folder. What
is found there belongs to the run: its text is known by its SHA-256, the run folder has a copy, and
nothing else is ever executed in its place. Modules that are installed are no part of it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from pydantic import Field

from qbackend.errors import ConfigError, suggest
from qbackend.generic.finding import importable_from

from .section import Section

COPIES = "code"
"""The folder of a run with its copies."""
OURS = ("qbackend", "models", "experiments")
REFERENCE = re.compile(r"(?P<place>[^:]+(?::[\\/][^:]+)?):(?P<name>[A-Za-z_]\w*)")
FORMS = "my_file.py:NAME (below the recipe's folder or the working folder) or package.module:NAME"

_loaded: dict[tuple[str, str], ModuleType] = {}
"""Modules by their file and its SHA-256: a file is executed once."""


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


def object_of(reference: str, code: CodeSection | None, key: str) -> Any:
    """What a reference of a resolved recipe names.

    Raises:
        ConfigError: the file is not there as it was, or cannot be imported, or has no such name;
            `key` is the reference's in the recipe.
    """
    return _named(reference, module_of(reference, code, key), key)


def module_of(reference: str, code: CodeSection | None, key: str) -> ModuleType:
    """The module of a reference; raises `ConfigError` as `object_of`."""
    place = _parts(reference)[0]
    name = _known_file(place, code) if code is not None else None
    if code is None or name is None:
        return _importing(key, place, lambda: importlib.import_module(place))
    path = _unchanged(name, code, key)
    with importable_from(_root(path, name), *map(_path, code.folders)):
        _forget_others(code)
        if place.endswith(".py"):
            return _executed(path, code.sha256[name], key)
        module = _importing(key, place, lambda: importlib.import_module(place))
    if module.__file__ is None or _sha256(Path(module.__file__)) != code.sha256[name]:
        raise ConfigError(
            f"{key} names another module:",
            [f"{place} is {module.__file__}, not {path}; give yours another name"],
        )
    return module


@contextmanager
def importing_from(code: CodeSection | None) -> Iterator[None]:
    """What the user's own functions import while they run is found, as when they were read."""
    with importable_from(*(_path(folder) for folder in (code.folders if code else ()))):
        yield


def read_code(
    references: dict[str, str], recorded: CodeSection | None, folders: Sequence[Path]
) -> tuple[CodeSection | None, dict[str, str]]:
    """The files of references by their keys, and the references as a record has them.

    Args:
        references: by their keys in the recipe.
        recorded: of the run that the recipe was taken from, where it was: what is known there is
            not looked for, and not executed either.
        folders: where files are looked for; copies of a run are below the last of them.

    Raises:
        ConfigError: as `object_of`.
    """
    found, written = dict(recorded.sha256 if recorded else {}), dict(references)
    homes = [folders[-1] / COPIES] if recorded else []
    homes += [*map(_path, recorded.folders), *folders] if recorded else []
    for key, reference in references.items():
        place, name = _parts(reference)
        if recorded is not None and _known_file(place, recorded) is not None:
            continue
        file = _file(place, folders, key)
        if file is None:
            object_of(reference, None, key)
            continue
        root, relative = file
        homes.append(root)
        if place.endswith(".py"):
            written[key] = f"{relative}:{name}"
        found |= {each: _sha256(root / each) for each in _with_neighbours(root, relative)}
        code = CodeSection(folders=_texts(homes), sha256=found)
        object_of(written[key], code, key)
    if not found:
        return None, written
    return CodeSection(folders=_texts(homes), sha256=found), written


def code_files(code: CodeSection) -> dict[str, bytes]:
    """The content of every file, by its place; raises `ConfigError` for one that has changed."""
    return {name: _unchanged(name, code, "code").read_bytes() for name in code.sha256}


def changed_notes(code: CodeSection | None) -> list[str]:
    """On files that are not what they were where they were found."""
    notes = []
    for name, sha256 in code.sha256.items() if code else ():
        for folder in code.folders if code else ():
            path = _path(folder) / name
            if path.is_file() and _sha256(path) != sha256:
                notes.append(
                    f"{name} in {folder} has changed since: the run's own copy is used (its "
                    f"SHA-256 begins with {sha256[:12]}); for the new one, train again: qhc run"
                )
    return notes


def _parts(reference: str) -> tuple[str, str]:
    match = REFERENCE.fullmatch(reference)
    assert match is not None  # checked when the recipe was read
    return match["place"], match["name"]


def _file(place: str, folders: Sequence[Path], key: str) -> tuple[Path, str] | None:
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


def _known_file(place: str, code: CodeSection) -> str | None:
    """Under which place the code has the file of a reference."""
    parts = PurePosixPath(*place.split("."))
    names = [place] if place.endswith(".py") else [f"{parts}.py", f"{parts}/__init__.py"]
    return next((name for name in names if name in code.sha256), None)


def _unchanged(name: str, code: CodeSection, key: str) -> Path:
    paths = [_path(folder) / name for folder in code.folders]
    there = [path for path in dict.fromkeys(paths) if path.is_file()]
    for path in there:
        if _sha256(path) == code.sha256[name]:
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


def _with_neighbours(root: Path, relative: str) -> list[str]:
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


def _forget_others(code: CodeSection) -> None:
    """Have Python import the code's own modules anew, where it has others of their names."""
    for name, sha256 in code.sha256.items():
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        file = getattr(sys.modules.get(dotted), "__file__", None)
        if file is not None and not (Path(file).is_file() and _sha256(Path(file)) == sha256):
            del sys.modules[dotted]


def _executed(path: Path, sha256: str, key: str) -> ModuleType:
    """The file as a module, executed as it was hashed."""
    place = str(path), sha256
    if place in _loaded:
        return _loaded[place]
    name = f"_own_{path.stem}_{sha256[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)

    def execute() -> ModuleType:
        # Dataclasses look their module up.
        sys.modules[name] = module
        try:
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    _loaded[place] = _importing(key, path.name, execute)
    return module


def _importing(key: str, what: str, work: Callable[[], ModuleType]) -> ModuleType:
    try:
        return work()
    # Whatever the user's own lines raise.
    except Exception as error:
        words = f"{what}: {type(error).__name__}: {error}"
        lines = list(_trace(error))
        if isinstance(error, ImportError) and any(f"'{each}'" in str(error) for each in OURS):
            words += (
                "; 'models' and 'experiments' are packages of qhc's own: give yours another name"
            )
        where = f" ({lines[-1]})" if lines else ""
        raise ConfigError(f"{key} cannot be imported:", [f"{words}{where}"]) from error


def _trace(error: BaseException) -> Iterator[str]:
    """The lines of the user's own file that an error passed."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if str(module).startswith("_own_"):
            yield f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
        trace = trace.tb_next


def _named(reference: str, module: ModuleType, key: str) -> Any:
    place, name = _parts(reference)
    try:
        return getattr(module, name)
    except AttributeError:
        known = [each for each in vars(module) if not each.startswith("_")]
        raise ConfigError(
            f"{key} names nothing:", [f"{place} has no '{name}'; {suggest(name, known)}"]
        ) from None


def _root(path: Path, name: str) -> Path:
    return path.parents[len(PurePosixPath(name).parts) - 1]


def _sha256(path: Path) -> str:
    # As it is on every system: a checkout on Windows may end lines otherwise.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _path(folder: str) -> Path:
    return Path(folder).expanduser()


def _texts(folders: Sequence[Path]) -> tuple[str, ...]:
    """Without the user's home folder."""
    home = Path.home()
    texts = [
        f"~/{each.relative_to(home).as_posix()}" if each.is_relative_to(home) else str(each)
        for each in (folder.absolute() for folder in folders)
    ]
    return tuple(dict.fromkeys(texts))
