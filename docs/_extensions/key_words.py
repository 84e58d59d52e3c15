"""What is to be said of every key of a recipe: its type, its limits, its default and its meaning.

Types, limits and defaults are those of the sections; the meaning is the string below each key. A
key without one is an error: it would be a key that nobody can look up.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from experiments.config.sections import Config
from qbackend.machines.options import ABOVE_ZERO

MUST_BE_GIVEN, NOT_GIVEN = "must be given", "not given"
LIMITS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
NAMES = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true` or `false`",
    Any: "any value",
}


class NoWordsError(Exception):
    """A key, or a section, that says nothing of itself."""


@dataclass(frozen=True)
class Key:
    """One key; its default as TOML has it, or in words where there is none."""

    name: str
    type: str
    default: str
    words: str


@dataclass(frozen=True)
class SectionKeys:
    """The keys of one table of a recipe, and the class that defines it."""

    of: type
    keys: tuple[Key, ...]


def sections(root: type[BaseModel] = Config) -> dict[str, SectionKeys]:
    """By the tables' dotted names, in the order of the file; the first is what stands above them.

    Raises:
        NoWordsError: all keys that have no string below them.
    """
    silent: list[str] = []
    found = dict(_walk(root, "", silent))
    if silent:
        raise NoWordsError(f"write a string below each of these keys: {', '.join(silent)}")
    return found


def section_words(section: type) -> str:
    """What a table is, by its class."""
    words = inspect.getdoc(section)
    if not words:
        raise NoWordsError(f"{section.__name__} has no docstring")
    return words


def _walk(section: type, prefix: str, silent: list[str]) -> list[tuple[str, SectionKeys]]:
    words, keys, tables = _strings(section), [], []
    for name, annotation, default, limits in _fields(section):
        dotted = f"{prefix}{name}"
        if (table := _table_of(annotation)) is not None:
            tables += _walk(table, f"{dotted}.", silent)
            continue
        if name not in words:
            silent.append(dotted)
        shown = MUST_BE_GIVEN if default is PydanticUndefined else _toml(default)
        keys.append(Key(dotted, _type(annotation, limits), shown, words.get(name, "")))
    return [(prefix.removesuffix("."), SectionKeys(section, tuple(keys))), *tables]


def _fields(section: type) -> list[tuple[str, Any, Any, list[Any]]]:
    """Name, type, default and limits of each key."""
    if issubclass(section, BaseModel):
        return [
            (name, field.annotation, field.get_default(call_default_factory=True), field.metadata)
            for name, field in section.model_fields.items()
        ]
    types = get_type_hints(section)
    return [
        (field.name, types[field.name], field.default, _least(field.metadata.get("least")))
        for field in dataclasses.fields(section)
    ]


def _least(bound: float | None) -> list[Any]:
    """The limit of a machine's option, in pydantic's words."""
    if bound is None:
        return []
    return [Gt(0) if bound == ABOVE_ZERO else Ge(bound)]


def _is_table(annotation: type) -> bool:
    return dataclasses.is_dataclass(annotation) or issubclass(annotation, BaseModel)


def _table_of(annotation: Any) -> type | None:
    """The table that a key stands for, also where it may be left out; None for a value."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else [annotation]
    found = [each for each in parts if get_origin(each) is None and isinstance(each, type)]
    return next(filter(_is_table, found), None)


def _strings(section: type) -> dict[str, str]:
    """The strings below a class's annotated names, those of its bases too."""
    found: dict[str, str] = {}
    for each in reversed(section.__mro__):
        if each is object or each is BaseModel or not _is_table(each):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                found[ast.unparse(field.target)] = inspect.cleandoc(text)
    return found


def _type(annotation: Any, limits: list[Any]) -> str:
    """In words: `"a"` or `"b"`, whole number of at least 1, list of …."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0], [limit for each in parts[1:] for limit in each.metadata])
    if origin is dict:
        return "table"
    if origin is Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in parts)
    if origin in (Union, UnionType):
        return " or ".join(_type(part, limits) for part in parts if part is not NoneType)
    if origin is tuple:
        if parts[-1] is Ellipsis:
            of = _type(parts[0], [])
            return f"list of ({of})" if " " in of else f"list of {of}"
        return f"list of {len(parts)}: {', '.join(_type(part, []) for part in parts)}"
    bounds = [
        words.format("2^64 - 1" if bound == 2**64 - 1 else f"{bound:,}")
        for limit in limits
        for name, words in LIMITS.items()
        if (bound := getattr(limit, name, None)) is not None
    ]
    return ", ".join([NAMES[annotation], *(bounds if annotation in (int, float) else [])])


def _toml(value: Any) -> str:
    """A default as the file would have it."""
    if value is None:
        return NOT_GIVEN
    return json.dumps(value)
