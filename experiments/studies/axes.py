"""What the axes of the ablations share: dataclasses of settings and of the values of each axis."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any

from qbackend.errors import OptionError, UnknownNameError, suggest


def typed_values(lists: dict[str, str | None]) -> dict[str, Any]:
    """The entries of comma-separated lists, by axis; an axis with None is left out."""
    return {
        axis: tuple(entry.strip() for entry in text.split(",") if entry.strip())
        for axis, text in lists.items()
        if text is not None
    }


def check_not_empty(axes: Any) -> None:
    """Raise `OptionError` for an axis without values."""
    for axis in fields(axes):
        if not getattr(axes, axis.name):
            raise OptionError(f"{axis.name} needs at least one value")


def check_known(axis: str, values: Iterable[str], known: Collection[str]) -> None:
    """Raise `UnknownNameError`, with a suggestion, for a value that is not `known`."""
    for value in values:
        if value not in known:
            raise UnknownNameError(f"unknown {axis} '{value}': {suggest(value, known)}")


def centre_values(axes: Any, wanted: Any) -> dict[str, Any]:
    """The setting's value on each axis that has it, else the axis's first value."""
    return {
        axis.name: value if value in values else values[0]
        for axis in fields(axes)
        for value, values in [(getattr(wanted, axis.name), getattr(axes, axis.name))]
    }
