"""Sums over blocks of rows, taken chunk by chunk.

The chunks follow from the number of blocks alone, whatever the number of threads, so that sums
round the same way on every machine.
"""

from __future__ import annotations

from .cache import shared

ROW_CHUNKS = 32
"""At most, of a sum over rows."""
PIXEL_CHUNKS = 16
"""At most, of a sum over pixels, whose gradients take more memory."""


@shared
def chunks(n_blocks: int, most: int, least: int = 1) -> tuple[int, int]:
    """Blocks of a chunk, `least` or more, and how many chunks there are, `most` or fewer."""
    chunk = max(least, -(-n_blocks // most))
    return chunk, -(-n_blocks // chunk)
