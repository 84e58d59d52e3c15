"""Writing files so that a failure leaves what was there before."""

from qbackend.validation.records.files import (
    append_line,
    csv_content,
    is_writable,
    write_arrays,
    write_atomically,
)

__all__ = [
    "append_line",
    "csv_content",
    "is_writable",
    "write_arrays",
    "write_atomically",
]
