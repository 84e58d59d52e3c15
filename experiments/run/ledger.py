"""The ledger of a run on a machine."""

from qbackend.validation.records.ledger import (
    ROWS_WORDS,
    Rebuilt,
    check_ledger,
    has_jobs_under_way,
    rebuild_ledger,
    run_tag,
)

__all__ = [
    "ROWS_WORDS",
    "Rebuilt",
    "check_ledger",
    "has_jobs_under_way",
    "rebuild_ledger",
    "run_tag",
]
