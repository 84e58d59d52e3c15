"""The base of a recipe's sections."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from qbackend.errors import suggest


class Section(BaseModel):
    """A table of the recipe; unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def known(kind: str, value: str, names: Iterable[str]) -> str:
    """The value; raises `ValueError` that suggests another unless it is one of the names."""
    if value not in names:
        raise ValueError(f"unknown {kind} '{value}': {suggest(value, names)}")
    return value
