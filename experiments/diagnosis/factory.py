"""A model of one's own: from `my_net.py:build` or `package.module:build` to what that makes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.optim import Optimizer

from qbackend.errors import OptionError, UnknownNameError, suggest
from qbackend.generic.finding import executed, importable_from


def built(target: str, offered: Mapping[str, Any]) -> tuple[nn.Module, Optimizer | None]:
    """What FILE.py:NAME or MODULE:NAME is, or makes when it is called.

    A module, or a pair of a module and its optimiser.

    Args:
        target: where it is.
        offered: what a function is given, where it asks for it by the name of a parameter.

    Raises:
        UnknownNameError: there is no such file, module or name.
        OptionError: it cannot be imported or called, or makes something else.
    """
    place, _, name = target.rpartition(":")
    module = _imported(place)
    found = getattr(module, name, None)
    if found is None:
        known = [each for each in vars(module) if not each.startswith("_")]
        raise UnknownNameError(f"there is no '{name}' in {place}: {suggest(name, known)}")
    if callable(found) and not isinstance(found, nn.Module):
        found = _called(target, found, offered)
    model, optimiser = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(model, nn.Module) or not isinstance(optimiser, Optimizer | None):
        raise OptionError(
            f"{target} is a {type(found).__name__}; it must be a torch.nn.Module, or a function "
            "that returns one, alone or as (model, optimiser)"
        )
    return model, optimiser


def _called(target: str, function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    taken = inspect.signature(function).parameters
    missing = [
        name
        for name, each in taken.items()
        if each.default is each.empty
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        and name not in offered
    ]
    if missing:
        raise OptionError(
            f"{target} needs arguments ({', '.join(missing)}); it may ask by name for "
            f"{', '.join(offered)}, and give others a default"
            + ("; n_classes are known with --data" if "n_classes" in missing else "")
        )
    try:
        return function(**{name: value for name, value in offered.items() if name in taken})
    except Exception as error:  # whatever the user's own lines raise
        raise OptionError(f"{target} failed: {type(error).__name__}: {error}") from error


def _imported(place: str) -> ModuleType:
    path = Path(place).expanduser()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise UnknownNameError(f"there is no file {place}")
    try:
        with importable_from(path.parent if is_file else Path.cwd()):
            return executed(path) if is_file else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and place.startswith(error.name):
            raise UnknownNameError(
                f"there is no module '{place}', neither installed nor in this folder; "
                "FILE.py:NAME names a file"
            ) from None
        raise OptionError(f"{place} cannot be imported: {error}") from error
    except Exception as error:  # whatever the user's own lines raise
        raise OptionError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
