"""CUDA's side, as far as it goes without a device."""

from __future__ import annotations

import logging
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch

from qbackend.errors import BackendError
from qbackend.native.cuda import driver, tape
from qbackend.native.cuda.coordinates import Shape
from qbackend.native.cuda.launches import block_shape
from qbackend.native.cuda.parameters import Variant
from qbackend.native.pauli import compact, words


@pytest.fixture
def nvrtc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler for CUDA, which needs no device, and a cache of its own."""
    pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")
    try:
        driver.nvrtc_version()
    except Exception as error:  # whatever a library that is not there makes of it
        pytest.skip(f"needs NVRTC: {error}")
    monkeypatch.setattr(driver.platformdirs, "user_cache_path", lambda _: tmp_path)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("is_double", [False, True])
def test_the_kernels_compile(architecture: str, is_double: bool, nvrtc: None) -> None:
    code = driver.machine_code(architecture, Variant(block_shape(4, False), 64, is_double))[0]
    assert code.startswith(b"\x7fELF")
    assert b"forward" in code
    assert b"backward" in code


def test_wide_ones_and_words_from_memory(nvrtc: None) -> None:
    assert driver.machine_code("sm_90", Variant(block_shape(12, True), 0, False))[0]


@pytest.mark.parametrize("is_double", [False, True])
def test_those_of_circuits_of_ones_own(is_double: bool, nvrtc: None) -> None:
    states = Variant(block_shape(4, False), 64, is_double, is_own=True)
    for variant in (states, tape.TapeVariant(is_double)):
        code = driver.machine_code("sm_90", variant)[0]
        assert b"forward" in code
        assert b"backward" in code


def test_what_is_compiled_is_kept(
    nvrtc: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    variant = Variant(Shape(1, 1, 32), 64, False)
    with caplog.at_level(logging.WARNING, "qbackend"):
        first, seconds = driver.machine_code("sm_90", variant)
    assert seconds is not None
    said = f"compiled native.cuda.states TILE=1 HELD=1 ROWS=32 WORDS=64 OWN=0 in {seconds:.1f} s"
    assert f"{said}, kept in {tmp_path / 'cuda'}" in caplog.text
    monkeypatch.setattr(driver, "_compiled", lambda *_: pytest.fail("compiled again"))
    assert driver.machine_code("sm_90", variant) == (first, None)
    assert [path.suffix for path in (tmp_path / "cuda").iterdir()] == [".cubin"]


def test_a_mistake_in_the_source_is_shown(nvrtc: None) -> None:
    with pytest.raises(BackendError, match=r"do not compile: .*no_such_thing"):
        driver._compiled("no_such_thing x;", ["--gpu-architecture=sm_90"], "it.cu")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError(), r"cuda-bindings is not installed"),
        (BackendError("too old"), "too old"),
        (RuntimeError("no libnvrtc"), "no libnvrtc"),
    ],
)
def test_without_kernels_it_is_said_once(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_: torch.device) -> None:
        raise error

    monkeypatch.setattr(driver, "Cuda", refuse)
    driver.machine_of.cache_clear()
    with caplog.at_level(logging.WARNING, "qbackend"):
        assert driver.machine_of(torch.device("cuda:7")) is None
        assert driver.machine_of(torch.device("cuda:7")) is None
    driver.machine_of.cache_clear()
    assert len(caplog.records) == 1
    assert words in caplog.text


def test_what_is_called_is_there() -> None:
    """No device answers here, but the packages know their own names."""
    bindings = pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")
    source = Path(driver.__file__).read_text()
    for module in ("driver", "nvrtc"):
        there = import_module(f"{bindings.__name__}.{module}")
        names = set(re.findall(rf"\b{module}\.(\w+)", source))
        assert names
        assert not [name for name in names if not hasattr(there, name)]
    there = import_module("cuda.bindings.driver")
    attributes = {*dir(there.CUdevice_attribute), *dir(there.CUfunction_attribute)}
    assert set(re.findall(r"CU_\w+_ATTRIBUTE_\w+", source)) <= attributes


@pytest.mark.parametrize("is_double", [False, True])
@pytest.mark.parametrize("n_qubits", [1, 4, 7])
def test_the_kernels_for_noise_compile(n_qubits: int, is_double: bool, nvrtc: None) -> None:
    code = driver.machine_code("sm_90", words.Variant(n_qubits, is_double))[0]
    assert b"forward" in code
    assert b"backward" in code


def test_the_kernel_for_preparations_compiles(nvrtc: None) -> None:
    assert b"forward" in driver.machine_code("sm_90", compact.Variant())[0]
