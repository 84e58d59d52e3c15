"""Numba kernels that are compiled once per machine."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.dispatcher import Dispatcher
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])

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


class TellingCache(NullCache):
    """A cache in front of another one, which says what had to be compiled.

    Attributes:
        name: of the kernel, by its module.
        place: the folder that compiled code is kept in, None where none can be written.
        seconds: that compiling took in this process, by signature.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = f"{function.__module__.removeprefix('qbackend.')}.{function.__name__}"
        self._kept: _KernelCache | NullCache
        try:
            self._kept = _KernelCache(function)
        except RuntimeError:
            # Neither the package nor the user's cache folder can be written: compile every time.
            self._kept = NullCache()
        self.place: str | None = self._kept.cache_path
        self.seconds: dict[Any, float] = {}
        self._begun = 0.0

    @property
    def cache_path(self) -> str | None:
        return self.place

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = self._kept.load_overload(sig, target_context)
        if found is None:
            _announce()
            self._begun = time.perf_counter()
        return found

    def save_overload(self, sig: Any, cres: Any) -> None:
        self.seconds[sig] = seconds = time.perf_counter() - self._begun
        self._kept.save_overload(sig, cres)
        kept = "kept nowhere" if self.place is None else f"kept in {self.place}"
        _LOGGER.warning(
            "compiled %s for %s in %.1f s, %s", self.name, number_format(sig), seconds, kept
        )

    def flush(self) -> None:
        self._kept.flush()


def number_format(signature: Any) -> str:
    """Of the numbers that a kernel computes with."""
    return "float32" if "float32" in str(signature) else "float64"


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
    dispatcher._cache = TellingCache(function)
    return dispatcher


def kernels(module: ModuleType) -> list[Any]:
    """Of a module, in the order of their definitions."""
    found: list[Any] = [each for each in vars(module).values() if isinstance(each, Dispatcher)]
    own = (each for each in found if each.py_func.__module__ == module.__name__)
    return [each for each in own if isinstance(each._cache, TellingCache)]


@cache
def _announce() -> None:
    _LOGGER.warning(
        "compiling CPU kernels, each once per machine and some seconds long; all of them "
        "beforehand: qhc warmup"
    )


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
