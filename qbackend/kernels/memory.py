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
KEPT_BYTES = 2**28
"""Of all idle arrays together; those idle longest make room."""


class _Store:
    """Idle memory, shared by all threads; every step on the deque is atomic."""

    def __init__(self) -> None:
        self._idle: deque[NDArray[np.uint8]] = deque()

    def take(self, size: int) -> NDArray[np.uint8]:
        """Idle memory of just this size, or else fresh."""
        for _ in range(len(self._idle)):
            try:
                memory = self._idle.popleft()
            except IndexError:  # another thread was faster
                break
            if len(memory) == size:
                return memory
            self._idle.append(memory)
        # torch aligns to cache lines, numpy does not.
        return torch.empty(size, dtype=torch.uint8).numpy()

    def take_back(self, memory: NDArray[np.uint8]) -> None:
        """Keep the memory for the next who asks, as far as there is room."""
        self._idle.append(memory)
        while self.idle_bytes() > KEPT_BYTES:
            self._idle.popleft()

    def idle_bytes(self) -> int:
        """What is kept."""
        return sum(len(memory) for memory in tuple(self._idle))


_store = _Store()


class Lease:
    """An uninitialised array of that shape; its memory serves again once the lease is dropped."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        size = prod(shape) * np.dtype(dtype).itemsize
        self._memory: NDArray[np.uint8] | None = None
        self.array: NDArray[np.floating]
        if size < WORTH_KEEPING:
            self.array = np.empty(shape, dtype)
            return
        self._memory = _store.take(size)
        self.array = self._memory.view(dtype).reshape(shape)

    def __del__(self) -> None:
        # A module's names are gone when the interpreter shuts down.
        if self._memory is not None and _store is not None:
            _store.take_back(self._memory)
