"""CUDA as the engine needs it: kernels compiled where they run, launched on torch's stream.

NVRTC compiles them for the device and its number format when they are first wanted, a few seconds
each, and the result is kept in the user's cache. Both come with torch's own packages for CUDA, as
`cuda.bindings`.

https://nvidia.github.io/cuda-python/cuda-bindings/
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Protocol

import platformdirs
import torch

from ...errors import BackendError
from .coordinates import Shape
from .parameters import CAPACITIES, Variant

HEADER = "device.cuh"
DOUBLE = "-DDOUBLE"
"""The definition for float64."""
FIRST_WITH_LONG_LAUNCHES = (12, 1)
"""CUDA whose launches take 32 kilobytes; before it was 4."""
OLDEST = (7, 0)
"""Compute capability from which a launch's words can be read as any memory."""

_LOGGER = logging.getLogger("qbackend")


class Compiled(Protocol):
    """What a kernel is compiled for: `parameters.Variant`, or another source's; hashable."""

    @property
    def source(self) -> str:
        """The file beside this one."""

    @property
    def threads(self) -> int:
        """Of a block."""

    @property
    def definitions(self) -> list[str]:
        """As a compiler's options."""

    def __hash__(self) -> int: ...


class Kernel(Protocol):
    """A kernel with the shared memory that its launches take."""

    @property
    def most_blocks(self) -> int:
        """As many as run at once."""

    def launch(self, given: ctypes.Structure, n_blocks: int) -> None:
        """Start it on the present stream; what it is given may change right after."""


class Machine(Protocol):
    """What runs kernels.

    Attributes:
        device: torch's name of it.
        shared_bytes: most of a block.
        has_long_launches: whether words can come with a launch.
    """

    device: torch.device
    shared_bytes: int
    has_long_launches: bool

    def kernel(self, name: str, variant: Compiled, shared_bytes: int) -> Kernel:
        """The kernel of that name, compiled for the variant."""

    def counter(self) -> torch.Tensor:
        """A zero that kernels of the present stream count with, and leave as zero."""

    def cell(self) -> ctypes.c_int:
        """A zero in the host's memory that kernels can write to, for good."""

    def keep(self, *tensors: torch.Tensor) -> None:
        """What launches read for good."""


@cache
def machine_of(device: torch.device) -> Machine | None:
    """The CUDA device's, None where kernels cannot be had; then it is said once why."""
    try:
        return Cuda(device)
    except ImportError:
        reason = "the package cuda-bindings is not installed (pip install cuda-bindings)"
    except (BackendError, RuntimeError) as error:
        # The packages raise RuntimeErrors for libraries that are missing or too old.
        reason = str(error)
    _LOGGER.warning("native runs without its fused kernels on %s: %s", device, reason)
    return None


class Cuda:
    """One CUDA device."""

    def __init__(self, device: torch.device) -> None:
        from cuda.bindings import driver

        self._driver, self.device = driver, device
        found = torch.cuda.get_device_properties(device)
        if (found.major, found.minor) < OLDEST:
            raise BackendError(
                f"{found.name} has compute capability {found.major}.{found.minor}, below 7.0"
            )
        self._architecture = f"sm_{found.major}{found.minor}"
        self.n_multiprocessors = found.multi_processor_count
        with torch.cuda.device(device):
            # What torch does first makes the device's context the current one.
            torch.cuda.current_stream().synchronize()
            number = checked(driver.cuDeviceGet(torch.cuda.current_device()))
        self._context = checked(driver.cuDevicePrimaryCtxRetain(number))
        attribute = driver.CUdevice_attribute
        self.shared_bytes = checked(
            driver.cuDeviceGetAttribute(
                attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, number
            )
        )
        version = checked(driver.cuDriverGetVersion())
        oldest = min(nvrtc_version(), (version // 1000, version % 1000 // 10))
        self.has_long_launches = oldest >= FIRST_WITH_LONG_LAUNCHES
        self._lock = Lock()
        self._kept: list[torch.Tensor] = []
        self._modules: dict[Compiled, Any] = {}
        self.seconds: dict[Compiled, float | None] = {}
        """That compiling took in this process, None for what was in the cache."""
        self._most_shared: dict[tuple[str, Compiled], int] = {}
        self._counters: dict[int, torch.Tensor] = {}
        # What this device or its driver cannot take shows with the smallest.
        self.kernel("forward", Variant(Shape(1, 1, 32), CAPACITIES[0], is_double=False), 0)

    def kernel(self, name: str, variant: Compiled, shared_bytes: int) -> Kernel:
        driver = self._driver
        with self._lock, torch.cuda.device(self.device):
            self._enter()
            if variant not in self._modules:
                code, self.seconds[variant] = machine_code(self._architecture, variant)
                self._modules[variant] = checked(driver.cuModuleLoadData(code))
            function = checked(driver.cuModuleGetFunction(self._modules[variant], name.encode()))
            # A function has one limit, whatever its launches take.
            most = max(shared_bytes, self._most_shared.get((name, variant), 0))
            self._most_shared[name, variant] = most
            attribute = driver.CUfunction_attribute
            limit = attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            checked(driver.cuFuncSetAttribute(function, limit, most))
            at_once = checked(
                driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
                    function, variant.threads, shared_bytes
                )
            )
        most_blocks = self.n_multiprocessors * max(1, at_once)
        return _CudaKernel(self, function, variant.threads, shared_bytes, most_blocks)

    def launch(self, function: Any, n_blocks: int, n_threads: int, shared: int, at: int) -> None:
        """Start a kernel on torch's stream; `at` is where the address of its parameters stands."""
        with torch.cuda.device(self.device):
            self._enter()
            stream = torch.cuda.current_stream().cuda_stream
            checked(
                self._driver.cuLaunchKernel(
                    function, n_blocks, 1, 1, n_threads, 1, 1, shared, stream, at, 0
                )
            )

    def counter(self) -> torch.Tensor:
        with torch.cuda.device(self.device):
            if torch.cuda.is_current_stream_capturing():
                # One that is kept would be zero only once this graph has been replayed.
                return torch.zeros(1, dtype=torch.int32, device=self.device)
            stream = torch.cuda.current_stream().cuda_stream
            if stream not in self._counters:
                self._counters[stream] = torch.zeros(1, dtype=torch.int32, device=self.device)
            return self._counters[stream]

    def cell(self) -> ctypes.c_int:
        pinned = torch.zeros(1, dtype=torch.int32).pin_memory()
        self.keep(pinned)
        return ctypes.c_int.from_address(pinned.data_ptr())

    def keep(self, *tensors: torch.Tensor) -> None:
        self._kept += tensors

    def _enter(self) -> None:
        """Make the device's context the current one; in a new thread there is none yet."""
        if int(checked(self._driver.cuCtxGetCurrent())) == 0:
            checked(self._driver.cuCtxSetCurrent(self._context))


@dataclass(frozen=True)
class _CudaKernel:
    cuda: Cuda
    function: Any
    n_threads: int
    shared_bytes: int
    most_blocks: int

    def launch(self, given: ctypes.Structure, n_blocks: int) -> None:
        places = (ctypes.c_void_p * 1)(ctypes.addressof(given))
        at = ctypes.addressof(places)
        self.cuda.launch(self.function, n_blocks, self.n_threads, self.shared_bytes, at)


def checked(answer: tuple[Any, ...]) -> Any:
    """The values of an answer of the driver's or of NVRTC's; raises `BackendError`."""
    error, *values = answer
    if int(error) != 0:
        raise BackendError(f"CUDA refuses: {error.name}")
    return values[0] if len(values) == 1 else values


def nvrtc_version() -> tuple[int, ...]:
    """Of the compiler."""
    from cuda.bindings import nvrtc

    return tuple(checked(nvrtc.nvrtcVersion()))


def source_text(name: str) -> str:
    """A file beside this one with what it includes in place: NVRTC looks for no files."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return re.sub(r'^#include "(.+)"$', lambda found: source_text(found[1]), text, flags=re.M)


def machine_code(architecture: str, variant: Compiled) -> tuple[bytes, float | None]:
    """The kernels for a device like "sm_90", and the seconds that compiling them took.

    None where they were compiled before, and are in the user's cache.

    Raises:
        BackendError: they do not compile.
    """
    source = "\n".join(map(source_text, (HEADER, variant.source)))
    options = [f"--gpu-architecture={architecture}", "--std=c++17", *variant.definitions]
    key = hashlib.sha256(repr((source, options, nvrtc_version())).encode()).hexdigest()
    kept = kept_in() / f"{key[:32]}.cubin"
    with suppress(OSError):
        return kept.read_bytes(), None
    begun = time.perf_counter()
    compiled = _compiled(source, options, variant.source)
    seconds = time.perf_counter() - begun
    is_kept = _keep(kept, compiled)
    place = f"kept in {kept.parent}" if is_kept else "kept nowhere"
    _LOGGER.warning("compiled %s in %.1f s, %s", called(variant), seconds, place)
    return compiled, seconds


def kept_in() -> Path:
    """The folder of compiled kernels."""
    return platformdirs.user_cache_path("qhc") / "cuda"


def called(variant: Compiled) -> str:
    """A variant's name, for people."""
    chosen = (each.removeprefix("-D") for each in variant.definitions if each != DOUBLE)
    return " ".join((f"native.cuda.{Path(variant.source).stem}", *chosen))


def _compiled(source: str, options: list[str], name: str) -> bytes:
    from cuda.bindings import nvrtc

    program = checked(nvrtc.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], []))
    given = [option.encode() for option in options]
    try:
        (error,) = nvrtc.nvrtcCompileProgram(program, len(given), given)
        if int(error) != 0:
            log = _filled(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
            raise BackendError(f"the kernels do not compile: {log.decode().strip()[:2000]}")
        return _filled(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _filled(size: Callable[..., Any], fill: Callable[..., Any], program: Any) -> bytes:
    content = b" " * checked(size(program))
    checked(fill(program, content))
    return content


def _keep(path: Path, content: bytes) -> bool:
    """Write at once or not at all; without a cache it is compiled again. Whether it is kept."""
    begun = path.with_suffix(f".{os.getpid()}-{get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        begun.write_bytes(content)
        begun.replace(path)
    except OSError:
        _LOGGER.debug("compiled kernels are not kept", exc_info=True)
        return False
    return True
