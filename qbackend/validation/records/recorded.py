"""The base of everything on record: attributes in the program, plain values in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Recorded(BaseModel):
    """Values of known names and types, as a file of the run folder has them.

    What was not given is not written, so that what is read and written again stays as it was. The
    fields of a class stand behind those of its bases, the last base's first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def to_dict(self) -> dict[str, Any]:
        """What was given, for JSON and TOML."""
        return self.model_dump(exclude_unset=True, by_alias=True)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, of today or of old; raises `ValueError`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            details = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
            mistakes = "; ".join(f"{key}: {words}" for key, words in details)
            raise ValueError(f"no {cls.__name__}: {mistakes}") from None

    def only(self, *keys: str) -> dict[str, Any]:
        """Those of the values that were given, in the order of the keys."""
        values = self.to_dict()
        return {key: values[key] for key in keys if key in values}
