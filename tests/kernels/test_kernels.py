"""What the compiled kernels stand on: vectors, memory, threads, the cache of compiled code."""

from __future__ import annotations

import logging
import multiprocessing
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qbackend.kernels import cache, memory, threads
from qbackend.kernels.chunks import chunks
from qbackend.kernels.lanes import inverse_root, lanes, load, ones, store, total, transpose, zeros

DTYPES = [np.float32, np.float64]


@numba.njit
def arithmetic(x: Any, y: Any, factor: Any, result: Any) -> None:
    store(result, 0, load(x, 0) + load(y, 0))
    store(result, 1, load(x, 0) - load(y, 0))
    store(result, 2, load(x, 0) * load(y, 0))
    store(result, 3, factor * load(x, 0) + load(y, 0) * factor)
    store(result, 4, zeros(x))
    store(result, 5, ones(x))
    store(result, 6, inverse_root(load(y, 0), factor))


@numba.njit
def transposed(source: Any, target: Any) -> None:
    transpose(source, 1, 3, target, 2, 1)


@numba.njit
def summed(x: Any) -> Any:
    return total(load(x, 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_arithmetic_works_lane_by_lane(dtype: type) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, lanes(dtype))).astype(dtype)
    y = rng.uniform(0.1, 2, size=x.shape).astype(dtype)
    factor = dtype(0.5)
    result = np.full((7, lanes(dtype)), np.nan, dtype)
    arithmetic(x, y, factor, result)
    inverse = np.where(y < factor, 0, 1 / np.sqrt(y))
    expected = [x + y, x - y, x * y, factor * (x + y), 0 * x, 0 * x + 1, inverse]
    limit = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(result, np.concatenate(expected), rtol=limit, atol=limit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose(dtype: type) -> None:
    n = lanes(dtype)
    source = np.arange(3 * n * n, dtype=dtype).reshape(3 * n, n)
    target = np.zeros((n + 2, n), dtype)
    transposed(source, target)
    np.testing.assert_array_equal(target[2:], source[1::3].T)
    np.testing.assert_array_equal(target[:2], 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_total(dtype: type) -> None:
    # Whole numbers add up exactly in any order.
    assert summed(np.arange(lanes(dtype), dtype=dtype)[None]) == sum(range(lanes(dtype)))


def test_not_finite_stays_so() -> None:
    x = np.ones((1, lanes(float)))
    x[0, 3] = np.nan
    assert np.isnan(summed(x))


def test_memory_serves_again_once_it_is_dropped() -> None:
    size = memory.WORTH_KEEPING // 8 + 24
    first = memory.Lease((size,), float)
    address = first.array.ctypes.data
    second = memory.Lease((size,), float)
    assert second.array.ctypes.data != address
    assert address % 64 == second.array.ctypes.data % 64 == 0
    del first
    third = memory.Lease((2, size), np.float32)
    assert third.array.ctypes.data == address
    assert third.array.shape == (2, size)


def test_idle_memory_is_not_hoarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT_BYTES", 10 * memory.WORTH_KEEPING)
    leases = [memory.Lease((memory.WORTH_KEEPING + 64 * k,), np.uint8) for k in range(30)]
    del leases
    assert memory._store.idle_bytes() <= memory.KEPT_BYTES


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 17])
def test_split_covers_every_item_once(n_threads: int, count: int) -> None:
    torch.set_num_threads(n_threads)
    parts = threads.split(lambda first, last: list(range(first, last)), count, float("inf"))
    assert [item for part in parts for item in part] == list(range(count))


@pytest.fixture(params=["torch's threads", "threads of our own"])
def two_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    if request.param == "threads of our own":
        monkeypatch.setattr(threads, "_openmp", lambda: None)


@pytest.mark.usefixtures("two_threads")
def test_only_large_work_leaves_its_thread() -> None:
    together = threading.Barrier(2)

    def meet(first: int, last: int) -> int:
        together.wait(timeout=60)
        return threading.get_ident()

    here = threading.get_ident()
    assert threads.split(lambda first, last: threading.get_ident(), 4, 1.0) == [here]
    large = threads.split(meet, 4, float("inf"))
    assert here in large
    assert len(set(large)) == 2


@pytest.mark.usefixtures("two_threads")
def test_what_fails_in_another_thread_is_raised_in_this_one() -> None:
    def fail(first: int, last: int) -> None:
        raise ValueError(f"items {first} to {last}")

    with pytest.raises(ValueError, match=r"items \d to \d"):
        threads.split(fail, 4, float("inf"))


def _split_in_child() -> None:
    torch.set_num_threads(2)
    assert threads.split(lambda first, last: last - first, 4, float("inf")) == [2, 2]


def test_a_forked_process_has_threads_of_its_own() -> None:
    _split_in_child()
    child = multiprocessing.get_context("fork").Process(target=_split_in_child)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0


def square(x: float) -> float:
    return x * x


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What calling a new kernel says."""

    def messages() -> list[str]:
        caplog.clear()
        cache._announce.cache_clear()
        with caplog.at_level(logging.WARNING, logger="qbackend"):
            assert cache.kernel(square)(3.0) == 9.0
        return caplog.messages

    return messages


def test_what_is_compiled_is_told_once_per_machine(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    announced, told = said()
    assert "once per machine" in announced
    told_of = r"compiled tests\.\S+\.square for float64 in \d+\.\d s, kept in "
    assert re.match(told_of + re.escape(str(tmp_path)), told)
    assert said() == []
    # Another version of any kernel source invalidates what was compiled before.
    monkeypatch.setattr(cache, "_package_digest", lambda: "other")
    assert len(said()) == 2


def test_kernels_work_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    def nowhere(function: Any) -> Any:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(cache, "_KernelCache", nowhere)
    assert said()[1].endswith(" s, kept nowhere")


def test_a_change_in_any_kernels_file_compiles_it_anew() -> None:
    package = Path(cache.__file__).parent.parent
    marked = re.compile(r"^@(kernel|helper|shared|intrinsic)\b", re.MULTILINE)
    kernels = {path for path in package.rglob("*.py") if marked.search(path.read_text())}
    assert len(kernels) > 10
    assert kernels <= set(cache.sources())


@given(n_blocks=st.integers(0, 10_000), most=st.integers(1, 40), least=st.integers(1, 60))
def test_chunks_cover_all_blocks(n_blocks: int, most: int, least: int) -> None:
    chunk, n_chunks = chunks(n_blocks, most, least)
    assert chunk >= least
    assert n_chunks <= most
    assert (n_chunks - 1) * chunk < n_blocks <= n_chunks * chunk or n_blocks == n_chunks == 0
