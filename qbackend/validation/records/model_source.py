"""What a model computes beside its tensors: the source of the user's own classes in it."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from torch import nn

OTHERS = ("torch", "qbackend", "models", "experiments", "builtins", "typing", "abc")
"""Packages whose classes are known by their names."""
LIBRARIES = ("site-packages", "dist-packages")
UNKNOWN = "no source"
"""Of a class that was typed into an interpreter that forgets."""


def model_code(model: nn.Module) -> dict[str, str]:
    """By which a model of the same tensors is known to compute the same, as far as can be seen.

    SHA-256 of the kinds of all its modules, and of the source of each class of the user's own among
    them and their bases; comments and spaces are no part of it. Functions that these call are not
    looked at.
    """
    kinds = [(name, type(each).__qualname__) for name, each in model.named_modules()]
    found = {"modules": _sha256(repr(kinds))}
    for each in model.modules():
        for kind in type(each).__mro__:
            if kind.__module__.partition(".")[0] not in OTHERS and not _is_of_library(kind):
                found[kind.__qualname__.replace(".", " ")] = _source_sha256(kind)
    return found


def _source_sha256(kind: type) -> str:
    try:
        return _sha256(_plain(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        pass
    # A notebook's cell has the source of functions alone, before Python 3.13.
    try:
        parts = [_plain(inspect.getsource(each)) for each in _functions(kind)]
    except (OSError, TypeError, SyntaxError):
        parts = []
    return _sha256("\n".join(parts)) if parts else UNKNOWN


def _functions(kind: type) -> Iterator[Any]:
    for each in vars(kind).values():
        if inspect.isfunction(each):
            yield each


def _plain(source: str) -> str:
    return ast.unparse(ast.parse(dedent(source)))


def _is_of_library(kind: type) -> bool:
    try:
        file = inspect.getfile(kind)
    except (OSError, TypeError):
        return False
    return any(each in file for each in LIBRARIES)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
