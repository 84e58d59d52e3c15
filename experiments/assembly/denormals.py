"""Numbers too small for the usual form, whose arithmetic takes a CPU a hundred times as long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALLEST = 1e-310
"""A denormal number in float64."""


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Take denormal numbers for zero while it lasts; afterwards as it was before."""
    flushed = _are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def _are_flushed() -> bool:
    # torch sets this mode, and does not tell it.
    halved = torch.tensor(SMALLEST, dtype=torch.float64) / 2
    return not halved.item() > 0
