"""The base of a recipe's sections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from pydantic import AliasChoices, BaseModel, ConfigDict

from qbackend.errors import suggest


class Section(BaseModel):
    """A table of the recipe; unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def known(kind: str, value: str, names: Iterable[str]) -> str:
    """The value; raises `ValueError` that suggests another unless it is one of the names."""
    if value not in names:
        raise ValueError(f"unknown {kind} '{value}': {suggest(value, names)}")
    return value


def table_types(section: type) -> dict[str, object]:
    """The keys of a table of the recipe, also by the names that they had, and their types."""
    if is_dataclass(section):
        return {each.name: each.type for each in fields(section)}
    assert issubclass(section, BaseModel)
    found: dict[str, object] = {}
    for name, field in section.model_fields.items():
        former = field.validation_alias
        names = former.choices if isinstance(former, AliasChoices) else [name]
        found |= dict.fromkeys((str(each) for each in names), field.annotation)
    return found
