"""Work on several cores: kernels let go of Python's lock, so plain threads do.

The threads are those that torch's own operations run on, where they can be reached. Between two
operations OpenMP's threads keep their cores busy for some milliseconds, waiting for more; others
would have to share the cores with them and take half as long again.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count as counter
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")

WORTH_SPLITTING = 200_000
"""Nanoseconds of work below which waking a thread costs more than it saves."""

_PROCESS = os.getpid()
_MAPS = Path("/proc/self/maps")
_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def split(task: Callable[[int, int], T], count: int, nanoseconds: float) -> list[T]:
    """Call `task(first, last)` over ranges that cover 0 to `count`; results in their order.

    One range in the calling thread if the work, estimated at so many `nanoseconds`, is small;
    otherwise one per thread that torch may use.
    """
    n_threads = min(torch.get_num_threads(), count) if nanoseconds > WORTH_SPLITTING else 1
    if n_threads <= 1:
        return [task(0, count)]
    ranges = list(pairwise(count * thread // n_threads for thread in range(n_threads + 1)))
    # A forked child must not use threads that it did not inherit.
    openmp = _openmp() if os.getpid() == _PROCESS else None
    if openmp is not None:
        return _run_in_team(openmp, task, ranges)
    pool = _pool(os.getpid(), n_threads - 1)
    others = [pool.submit(task, *each) for each in ranges[1:]]
    return [task(*ranges[0]), *(other.result() for other in others)]


def _run_in_team(
    openmp: ctypes.CDLL, task: Callable[[int, int], T], ranges: list[tuple[int, int]]
) -> list[T]:
    """The results of the task for all ranges, each in whichever thread of the team is free."""
    results: dict[int, T] = {}
    failures: list[BaseException] = []
    left = counter()

    def body(_: int | None) -> None:
        try:
            while (index := next(left)) < len(ranges):
                results[index] = task(*ranges[index])
        except BaseException as failure:  # raised in the calling thread
            failures.append(failure)

    openmp.GOMP_parallel(_BODY(body), None, len(ranges), 0)
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(ranges))]


@cache
def _openmp() -> ctypes.CDLL | None:
    """GNU's OpenMP library as torch has loaded it; None where there is no such thing."""
    if not _MAPS.exists():
        return None
    loaded = {line.split(maxsplit=5)[-1] for line in _MAPS.read_text().splitlines()}
    of_torch = [path for path in loaded if "torch" in path and "libgomp" in path]
    return ctypes.CDLL(of_torch[0]) if len(of_torch) == 1 else None


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Kept for the process: a forked child must not use threads that it did not inherit."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix=f"qbackend-{process}")
