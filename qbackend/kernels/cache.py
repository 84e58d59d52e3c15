"""Numba kernels that are compiled once per machine."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])

COMPILE_SECONDS = 35
"""What compiling every kernel for one number format takes on one core, about."""

_LOGGER = logging.getLogger("qbackend")


class _KernelCache(FunctionCache):
    """Numba's cache on disk, valid for exactly the present sources of all kernels.

    Numba's own stamp covers the file of the kernel alone, not the files of its helpers.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            self._cache_path, self._impl.filename_base, _package_digest()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None:
            _announce()
        return found


def helper(function: Callable[..., Any]) -> Any:
    """Compile `function` into the kernels that call it."""
    return njit(nogil=True)(function)


def shared(function: F) -> F:
    """Leave `function` as it is in Python, and compile it into the kernels that call it."""
    plain: F = register_jitable(function)
    return plain


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` at its first call per number format, or take it from the disk."""
    dispatcher: Any = njit(nogil=True)(function)
    try:
        dispatcher._cache = _KernelCache(function)
    except RuntimeError:
        # Neither the package nor the user's cache folder can be written: compile every time.
        return dispatcher
    return dispatcher


@cache
def _announce() -> None:
    _LOGGER.warning("compiling the CPU kernels, once per machine: about %d s", COMPILE_SECONDS)


@cache
def _package_digest() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for source in sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()


def sources() -> list[Path]:
    """The files that kernels and what they read as constants are in."""
    package = Path(__file__).parent.parent
    folders = ("kernels", "native", "pixels")
    return sorted(path for folder in folders for path in (package / folder).rglob("*.py"))
