"""What a run was begun with, and what happened to it since."""

from qbackend.validation.records.state import (
    Chosen,
    Computer,
    Provenance,
    State,
    Status,
)

__all__ = [
    "Chosen",
    "Computer",
    "Provenance",
    "State",
    "Status",
]
