"""CUDA graphs on a stand-in for torch's streams and graphs: what waits for what, what is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from experiments.training.recorder import CaptureError, CudaRecorder, recorder_of

CUDA = torch.device("cuda", 0)


class Stream:
    """Told of what waits for it, and of what runs on it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        events.append((self, "waits for", other))


class Graph:
    def __init__(self) -> None:
        self.n_replays = 0

    def replay(self) -> None:
        self.n_replays += 1


events: list[tuple[object, str, object]] = []
OUTSIDE = Stream(CUDA)


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Torch's module for CUDA, as far as it is asked for."""
    state: dict[str, object] = {"mode": 0, "graph": None}

    @contextmanager
    def stream(within: Stream) -> Iterator[None]:
        events.append((within, "begins", None))
        yield
        events.append((within, "ends", None))

    @contextmanager
    def graph(made: Graph, stream: Stream, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        state["graph"], state["stream"] = made, stream
        yield

    events.clear()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: OUTSIDE)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: state["mode"])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: state.update(mode=mode))
    return state


def test_work_runs_on_a_stream_of_its_own_between_what_is_before_and_behind() -> None:
    recorder = CudaRecorder(CUDA)
    one = torch.ones(1)
    assert recorder.run(lambda: (one,))[0] is one
    own = events[0][0]
    assert own is not OUTSIDE
    assert events == [
        (own, "waits for", OUTSIDE), (own, "begins", None), (own, "ends", None),
        (OUTSIDE, "waits for", own),
    ]  # fmt: skip


def test_what_waits_for_the_device_is_said_with_its_place(cuda: dict[str, object]) -> None:
    recorder = CudaRecorder(CUDA)

    def waits() -> tuple[torch.Tensor, ...]:
        assert cuda["mode"] == "warn"
        warnings.warn("called a synchronizing CUDA operation (Triggered ...)", stacklevel=1)
        return (torch.ones(2),)

    results, reason = recorder.watch(waits)
    line = waits.__code__.co_firstlineno + 2
    assert reason == f"a step waits for the device (test_recorder.py, line {line})"
    assert results[0].shape == (2,)
    assert cuda["mode"] == 0


def test_other_warnings_stand_against_nothing(cuda: dict[str, object]) -> None:
    def warns() -> tuple[torch.Tensor, ...]:
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
        return ()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CudaRecorder(CUDA).watch(warns) == ((), None)


def test_the_mode_is_as_before_whatever_happens(cuda: dict[str, object]) -> None:
    def fails() -> tuple[torch.Tensor, ...]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        CudaRecorder(CUDA).watch(fails)
    assert cuda["mode"] == 0


def test_what_is_recorded_is_replayed_into_the_same_results(cuda: dict[str, object]) -> None:
    recorder = CudaRecorder(CUDA)
    calls = []

    def work() -> tuple[torch.Tensor, ...]:
        calls.append(1)
        return (torch.ones(1),)

    recorder.run(work)
    own = events[0][0]
    again = recorder.record(work)
    first = again()
    assert again() is first
    graph = cuda["graph"]
    assert isinstance(graph, Graph)
    assert (graph.n_replays, len(calls)) == (2, 2)
    # What it was run on before it is recorded on.
    assert cuda["stream"] is own


def test_what_cannot_be_recorded_says_why() -> None:
    def waits() -> tuple[torch.Tensor, ...]:
        raise RuntimeError("CUDA error: operation not permitted\nmore words")

    with pytest.raises(CaptureError, match=r"^CUDA error: operation not permitted$"):
        CudaRecorder(CUDA).record(waits)


def test_only_cuda_has_one() -> None:
    assert isinstance(recorder_of(CUDA), CudaRecorder)
    assert recorder_of(torch.device("cpu")) is None
