"""Work on several cores: kernels let go of Python's lock, so plain threads do."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")

WORTH_SPLITTING = 200_000
"""Nanoseconds of work below which waking a thread costs more than it saves."""


def split(task: Callable[[int, int], T], count: int, nanoseconds: float) -> list[T]:
    """Call `task(first, last)` over ranges that cover 0 to `count`; results in their order.

    One range in the calling thread if the work, estimated at so many `nanoseconds`, is small;
    otherwise one per thread that torch may use.
    """
    n_threads = min(torch.get_num_threads(), count) if nanoseconds > WORTH_SPLITTING else 1
    if n_threads <= 1:
        return [task(0, count)]
    edges = [count * thread // n_threads for thread in range(n_threads + 1)]
    pool = _pool(os.getpid(), n_threads - 1)
    others = [pool.submit(task, *edges[i : i + 2]) for i in range(1, n_threads)]
    return [task(*edges[:2]), *(other.result() for other in others)]


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Kept for the process: a forked child must not use threads that it did not inherit."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"qbackend-{process}")
