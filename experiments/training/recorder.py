"""What runs some work, watches it, and starts it again as one call: a CUDA graph, or a rehearsal.

https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from ..assembly.construct import quantum_layers
from ..config.sections import Config


class CaptureError(Exception):
    """Work could not be recorded, for the reason that it says; the device may not go on."""


Results = tuple[Tensor, ...]
Work = Callable[[], Results]

_WAITING = "called a synchronizing CUDA operation"
"""How torch's warning of an operation that waits for the device begins."""


class Recorder(Protocol):
    """Runs work whose tensors keep their places in memory."""

    def run(self, work: Work) -> Results:
        """Do it once, as it would be recorded."""

    def watch(self, work: Work) -> tuple[Results, str | None]:
        """The same, and what stands against recording it; None if nothing does."""

    def record(self, work: Work) -> Work:
        """What does it again, one time each call, with what is in its tensors by then.

        Results are overwritten by the next call. Raises `CaptureError`.
        """


class CudaRecorder:
    """CUDA graphs on one device."""

    def __init__(self, device: torch.device) -> None:
        # What has been run on the stream that it is recorded on has no initialising left to do.
        self._stream = torch.cuda.Stream(device)

    def run(self, work: Work) -> Results:
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            results = work()
        outside.wait_stream(self._stream)
        return results

    def watch(self, work: Work) -> tuple[Results, str | None]:
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                results = self.run(work)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for one in caught:
            if _WAITING in str(one.message):
                place = f"{os.path.basename(one.filename)}, line {one.lineno}"
                return results, f"a step waits for the device ({place})"
        return results, None

    def record(self, work: Work) -> Work:
        # What is freed while it is recorded would belong to it.
        gc.collect()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                results = work()
        except RuntimeError as error:
            raise CaptureError(
                (str(error).strip() or type(error).__name__).splitlines()[0]
            ) from error

        def again() -> Results:
            graph.replay()
            return results

        return again


def recorder_of(device: torch.device) -> Recorder | None:
    """The device's, None for one that records nothing."""
    return CudaRecorder(device) if device.type == "cuda" else None


def obstacle(config: Config, model: nn.Module, fabric: Fabric) -> str | None:
    """Why a step of this training cannot be recorded, as far as that is known beforehand."""
    if not isinstance(fabric.strategy, SingleDeviceStrategy):
        return f"the strategy {type(fabric.strategy).__name__} has a part in every step"
    if threading.current_thread() is not threading.main_thread():
        return "other threads of this process may work on the device too"
    if config.fabric.precision == "16-mixed":
        return "16-mixed looks at every gradient; bf16-mixed does not"
    for layer in quantum_layers(model):
        if layer.neural_network.gradient != "vjp" or not layer.backend.capabilities.on_device:
            return f"the circuit on '{layer.backend.name}' is computed on the host"
    return None
