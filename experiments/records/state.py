"""What a run was begun with, and what happened to it since."""

from qbackend.validation.records.state import (
    Beside,
    Chosen,
    Computer,
    Provenance,
    State,
    Status,
)

__all__ = [
    "Beside",
    "Chosen",
    "Computer",
    "Provenance",
    "State",
    "Status",
]
