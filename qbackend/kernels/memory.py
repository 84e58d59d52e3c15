"""Work arrays that are used again.

A large fresh array costs more than what small kernels do in it: the system hands it out page by
page, each zeroed on first touch. Arrays from here start on a cache line, too.
"""

from __future__ import annotations

from collections import deque
from math import prod

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

WORTH_KEEPING = 2**17
"""Bytes; below, the C library's own free list is as good."""
KEPT = 16
"""Idle arrays that are kept, those idle longest make room."""

_idle: deque[NDArray[np.uint8]] = deque(maxlen=KEPT)


class Lease:
    """An uninitialised array of that shape; its memory serves again once the lease is dropped."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        size = prod(shape) * np.dtype(dtype).itemsize
        self._memory: NDArray[np.uint8] | None = None
        self.array: NDArray[np.floating]
        if size < WORTH_KEEPING:
            self.array = np.empty(shape, dtype)
            return
        self._home, self._memory = _idle, _take(size)
        self.array = self._memory.view(dtype).reshape(shape)

    def __del__(self) -> None:
        if self._memory is not None:
            self._home.append(self._memory)


def _take(size: int) -> NDArray[np.uint8]:
    """Idle memory of just this size, or else fresh."""
    for _ in range(len(_idle)):
        try:
            memory = _idle.popleft()
        except IndexError:  # another thread was faster
            break
        if len(memory) == size:
            return memory
        _idle.append(memory)
    # torch aligns to cache lines, numpy does not.
    return torch.empty(size, dtype=torch.uint8).numpy()
