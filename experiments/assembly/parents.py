"""Worker processes that end by themselves when the process that they work for has died."""

from __future__ import annotations

import os
import threading
import time
from functools import cache

import psutil

CHECK_EVERY = 1.0
"""Seconds between two looks."""


@cache
def end_with(parent: int) -> None:
    """Have this process end as soon as the process of that id, on this computer, is no more.

    A worker whose parent was killed would otherwise go on computing for nobody, or wait for ever.
    """
    threading.Thread(target=_watch, args=(parent,), name="qhc-parent", daemon=True).start()


def _watch(parent: int) -> None:
    try:
        process = psutil.Process(parent)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(CHECK_EVERY)
    except psutil.NoSuchProcess:
        pass
    # Whatever the other threads are doing: nobody is left whom it would serve.
    os._exit(1)
