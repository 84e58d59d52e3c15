"""What `MODULE:OBJECT` names, and what a class or a factory makes."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import OptionError, UnknownNameError

OBJECT = re.compile(r"(?P<name>\w+)(?:\((?P<arguments>.*)\))?", re.DOTALL)


def find(path: str) -> Any:
    """The object at `MODULE:OBJECT`, or what it makes if it is a class or a factory.

    MODULE is looked for in the working folder too, behind all others. `MODULE:OBJECT(5, seed=1)`
    calls it with these arguments, plain values of Python.

    Raises:
        UnknownNameError: no such module or object.
        OptionError: it needs arguments, or fails.
    """
    module_name, _, called = path.partition(":")
    parts = OBJECT.fullmatch(called)
    if parts is None:
        raise OptionError(f"'qiskit:{path}' names no object; write qiskit:MODULE:OBJECT")
    with importable_from(Path.cwd()):
        module = _imported(module_name)
        try:
            found = getattr(module, parts["name"])
        except AttributeError:
            raise UnknownNameError(f"module '{module_name}' has no '{parts['name']}'") from None
        if parts["arguments"] is not None:
            positional, named = _arguments(path, parts["arguments"])
            return _called(path, lambda: found(*positional, **named))
        return made(found, path, "write 'qiskit:{}', in quotes on a command line")


@contextmanager
def importable_from(*folders: Path) -> Iterator[None]:
    """Modules in the folders are found, behind all that are found anyway."""
    added = [str(folder.absolute()) for folder in folders]
    sys.path += added
    try:
        yield
    finally:
        for each in added:
            with suppress(ValueError):
                sys.path.remove(each)


def executed(path: Path) -> ModuleType:
    """The file as a module, under its own name; raises whatever its lines raise."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(found: Any, name: str, advice: str = "pass {}") -> Any:
    """What a class or a factory makes when it is called; anything else is given back.

    Args:
        found: what may be one.
        name: how the caller wrote it.
        advice: for one that needs arguments; `{}` stands for the call with them.

    Raises:
        OptionError: it needs arguments, or fails.
    """
    if not callable(found):
        return found
    needed = _needed(found)
    if needed:
        is_size = needed == ["num_qubits"]
        what = "its number of qubits" if is_size else f"arguments ({', '.join(needed)})"
        values = "5" if is_size else ", ".join(f"{each}=..." for each in needed)
        raise OptionError(
            f"{name.rpartition(':')[2]} needs {what}: {advice.format(f'{name}({values})')}"
        )
    return _called(name, found)


def _needed(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call has to give."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # compiled code may not say
        return []
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def _called(name: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # whatever the user's own code raises
        raise OptionError(f"{name} failed: {type(error).__name__}: {error}") from error


def _arguments(path: str, text: str) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as Python writes them, positional and by name; nothing is evaluated."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or any(each.arg is None for each in call.keywords):
            raise ValueError(text)
        positional = [ast.literal_eval(each) for each in call.args]
        return positional, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        raise OptionError(
            f"'qiskit:{path}' takes numbers, strings, lists and the like as arguments, as in "
            "GenericBackendV2(5, seed=1); for anything else write a function without arguments "
            "that returns the backend, in a file here, and name that"
        ) from None


def _imported(name: str) -> Any:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnknownNameError(
            f"cannot import '{name}': {error} (modules that are installed, and those in "
            f"{os.getcwd()}, can be)"
        ) from None
    except Exception as error:  # whatever the user's own code raises
        raise OptionError(f"importing '{name}' failed: {type(error).__name__}: {error}") from error
