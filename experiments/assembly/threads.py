"""How many threads this process may use, and having it use so many."""

from __future__ import annotations

import os

import torch
from joblib import cpu_count
from threadpoolctl import threadpool_limits

_ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GIVEN = os.environ.get("OMP_NUM_THREADS", "")
"""Before this process, or Fabric in it, sets it for others."""


def use_threads(threads: int) -> None:
    """Have this process compute with so many threads, and those that it starts.

    torch and our kernels and Aer, which ask torch; BLAS and OpenMP of every other library that is
    loaded, and by the environment of those that are not yet.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    os.environ.update(dict.fromkeys(_ENVIRONMENT, str(threads)))


def available_cores(given: str = _GIVEN, *, processes: int = 1) -> int:
    """The cores for each of so many processes, by affinity, container and OMP_NUM_THREADS."""
    cores = max(1, cpu_count() // processes)
    limit = given.partition(",")[0]
    return min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores
