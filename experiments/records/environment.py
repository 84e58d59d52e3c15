"""What a run's record says of the software and the computer."""

from qbackend.validation.records.environment import (
    computer,
    peak_memory_mib,
    versions,
    without_home,
)

__all__ = [
    "computer",
    "peak_memory_mib",
    "versions",
    "without_home",
]
