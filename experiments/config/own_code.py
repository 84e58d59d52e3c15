"""Python of the user's own, executed: networks, data, losses, metrics.

Of what belongs to a run, only what has the SHA-256 that the run knows is ever executed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from qbackend.errors import ConfigError, suggest
from qbackend.generic.finding import importable_from

from .own_files import (
    COPIES,
    OURS,
    CodeSection,
    file_of,
    folder_of,
    folder_texts,
    known_file,
    parts_of,
    root_of,
    sha256_of,
    unchanged_file,
    with_neighbours,
)

_loaded: dict[tuple[str, str], ModuleType] = {}
"""Modules by their file and its SHA-256: a file is executed once."""


def object_of(reference: str, code: CodeSection | None, key: str) -> Any:
    """What a reference of a resolved recipe names.

    Raises:
        ConfigError: the file is not there as it was, or cannot be imported, or has no such name;
            `key` is the reference's in the recipe.
    """
    return _named(reference, module_of(reference, code, key), key)


def module_of(reference: str, code: CodeSection | None, key: str) -> ModuleType:
    """The module of a reference; raises `ConfigError` as `object_of`."""
    place = parts_of(reference)[0]
    name = known_file(place, code) if code is not None else None
    if code is None or name is None:
        return _importing(key, place, lambda: importlib.import_module(place))
    path = unchanged_file(name, code, key)
    with _own_first(code, root_of(path, name)):
        _forget_others(code)
        if place.endswith(".py"):
            return _executed(path, code.sha256[name], key)
        module = _importing(key, place, lambda: importlib.import_module(place))
    if module.__file__ is None or sha256_of(Path(module.__file__)) != code.sha256[name]:
        raise ConfigError(
            f"{key} names another module:",
            [f"{place} is {module.__file__}, not {path}; give yours another name"],
        )
    return module


@contextmanager
def importing_from(code: CodeSection | None) -> Iterator[None]:
    """What the user's own functions import while they run is found, as when they were read."""
    with _own_first(code or CodeSection()):
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
    homes += [*map(folder_of, recorded.folders), *folders] if recorded else []
    for key, reference in references.items():
        place, name = parts_of(reference)
        if recorded is not None and known_file(place, recorded) is not None:
            continue
        file = file_of(place, folders, key)
        if file is None:
            object_of(reference, None, key)
            continue
        root, relative = file
        homes.append(root)
        if place.endswith(".py"):
            written[key] = f"{relative}:{name}"
        found |= {each: sha256_of(root / each) for each in with_neighbours(root, relative)}
        code = CodeSection(folders=folder_texts(homes), sha256=found)
        object_of(written[key], code, key)
    if not found:
        return None, written
    return CodeSection(folders=folder_texts(homes), sha256=found), written


@contextmanager
def _own_first(code: CodeSection, *roots: Path) -> Iterator[None]:
    """Modules of the code are found as it knows them, whatever stands before on Python's path.

    The working folder does, for `python -m qhc`, and with it files that have changed since.
    """
    finder = _Known(code)
    sys.meta_path.insert(0, finder)
    try:
        with importable_from(*roots, *map(folder_of, code.folders)):
            yield
    finally:
        sys.meta_path.remove(finder)


class _Known(MetaPathFinder):
    """Finds the modules that a run knows, by the SHA-256 of their files."""

    def __init__(self, code: CodeSection) -> None:
        self.code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        place = known_file(name, self.code)
        if place is None or name.partition(".")[0] in sys.stdlib_module_names:
            return None
        return spec_from_file_location(name, unchanged_file(place, self.code, name))


def _forget_others(code: CodeSection) -> None:
    """Have Python import the code's own modules anew, where it has others of their names."""
    for name, sha256 in code.sha256.items():
        dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        file = getattr(sys.modules.get(dotted), "__file__", None)
        if file is not None and not (Path(file).is_file() and sha256_of(Path(file)) == sha256):
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
    place, name = parts_of(reference)
    try:
        return getattr(module, name)
    except AttributeError:
        known = [each for each in vars(module) if not each.startswith("_")]
        raise ConfigError(
            f"{key} names nothing:", [f"{place} has no '{name}'; {suggest(name, known)}"]
        ) from None
