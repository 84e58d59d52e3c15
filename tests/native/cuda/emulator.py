"""A machine for the engine whose kernels are compiled for, and run on, the CPU."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest
import torch

from qbackend.native.cuda import driver

COMPILER = shutil.which("g++") or shutil.which("clang++")

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


EMULATION = Path(__file__).with_name("emulation.cpp")


@cache
def compiled(variant: driver.Compiled) -> ctypes.CDLL:
    """Once for all processes of these tests."""
    source = Path(driver.__file__).with_name(variant.source)
    options = ["-O1", "-std=c++17", "-w", "-shared", "-fPIC", f'-DSOURCE="{source}"']
    digest = hashlib.sha256(repr(options + variant.definitions).encode())
    for text in (EMULATION.read_text(), driver.source_text(variant.source)):
        digest.update(text.encode())
    library = Path(gettempdir(), f"qhc-kernels-{digest.hexdigest()[:32]}.so")
    if not library.exists():
        begun = library.with_suffix(f".{os.getpid()}")
        command = [COMPILER, *options, *variant.definitions, str(EMULATION), "-o", str(begun)]
        subprocess.run(command, check=True)
        begun.replace(library)
    return ctypes.CDLL(str(library))


class EmulatedKernel:
    most_blocks = 3

    def __init__(self, library: ctypes.CDLL, name: str, shared_bytes: int) -> None:
        self._library, self._back, self._shared = library, name == "backward", shared_bytes

    def launch(self, given: ctypes.Structure, n_blocks: int) -> None:
        self._library.launch(self._back, ctypes.byref(given), n_blocks, self._shared)


class Emulator:
    """See `qbackend.native.cuda.driver.Machine`."""

    def __init__(self, shared_bytes: int = 227 * 1024, *, has_long_launches: bool = True) -> None:
        self.shared_bytes, self.has_long_launches = shared_bytes, has_long_launches
        self.device = torch.device("cpu")
        self.kept: list[torch.Tensor] = []

    def kernel(self, name: str, variant: driver.Compiled, shared_bytes: int) -> driver.Kernel:
        assert shared_bytes <= self.shared_bytes
        return EmulatedKernel(compiled(variant), name, shared_bytes)

    def cell(self) -> ctypes.c_int:
        return ctypes.c_int(0)

    def keep(self, *tensors: torch.Tensor) -> None:
        self.kept += tensors

    def counter(self) -> torch.Tensor:
        return torch.zeros(1, dtype=torch.int32)
