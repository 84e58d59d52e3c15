"""The base of everything on record."""

from qbackend.validation.records.recorded import (
    Recorded,
)

__all__ = [
    "Recorded",
]
