"""Steps on one accelerator: waited for one by one, and replayed as a captured graph.

Without an accelerator the CPU stands in, which has no graphs and is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ..training.recorder import CudaRecorder
from .contest import Array, Case, Contestant, Inputs, compare, disagreement
from .timing import Effort, Timing, interleave, summary

WARM_UP = 3
"""Calls before a graph is captured: what is made once must be there."""
GPU_AMPLITUDES = 2**22
"""Over all rows, for backpropagation on a GPU: 16 wires at B=64 take 8 GiB in complex64."""


@dataclass(frozen=True)
class Place:
    """Where steps run."""

    device: torch.device

    @classmethod
    def best(cls) -> Place:
        """The GPU, or the CPU where there is none."""
        return cls(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def is_gpu(self) -> bool:
        """Whether it is one."""
        return self.device.type == "cuda"

    @property
    def name(self) -> str:
        """As its maker calls it."""
        return torch.cuda.get_device_name(self.device) if self.is_gpu else "CPU"

    def wait(self) -> None:
        """Until all is done."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def array(self, array: Array) -> torch.Tensor:
        """Numbers there."""
        return torch.from_numpy(array).to(self.device)


@dataclass(frozen=True)
class Speed:
    """How long a step takes.

    Attributes:
        waited: with a wait after every step.
        graph: of a captured one, None where it cannot be captured.
        refusal: why not.
    """

    waited: Timing
    graph: Timing | None
    refusal: str | None


def speed(call: Callable[[], Any], place: Place, effort: Effort, *, in_torch: bool) -> Speed:
    """Time a step that has been made before.

    Args:
        call: the step.
        place: where it runs.
        effort: for either way.
        in_torch: whether it is torch's work, which alone can be captured here.
    """

    def waiting() -> None:
        call()
        place.wait()

    waited = interleave({"": waiting}, effort)[""]
    if not place.is_gpu or not in_torch:
        return Speed(waited, None, "a CPU has no graphs" if in_torch else "not torch's work")
    try:
        replay = _captured(call, place.device)
    except Exception as error:
        # Whatever a peer's own code makes of what a capture does not allow.
        return Speed(waited, None, (str(error).strip() or type(error).__name__).splitlines()[0])
    return Speed(waited, _replayed(replay, effort), None)


def _captured(call: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    recorder = CudaRecorder(device)
    for _ in range(WARM_UP):
        recorder.run(call)
    return recorder.record(call)


def _replayed(replay: Callable[[], Any], effort: Effort) -> Timing:
    """By the device's own clock, which leaves out the way to it."""
    samples: list[float] = []
    while sum(samples) < effort.seconds and len(samples) < 1000:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        replay()
        end.record()
        end.synchronize()
        samples.append(start.elapsed_time(end) / 1e3)
    return summary(samples[WARM_UP:] or samples)


def there(contestant: Contestant, place: Place) -> Contestant:
    """The contestant with what it is given on the device; what is not torch's finds its own way."""
    if not contestant.torch:
        return contestant

    def prepare(spec: Any, dtype: str) -> Any:
        # Peers make their constants where torch makes tensors; ours follow the features.
        with torch.device(place.device) if contestant.needs else nullcontext():
            return contestant.prepare(spec, dtype)

    most = max(contestant.max_amplitudes, GPU_AMPLITUDES if place.is_gpu else 0)
    return replace(contestant, prepare=prepare, array=place.array, max_amplitudes=most)


def measure_there(
    case: Case, contestant: Contestant, reference: Contestant, place: Place, effort: Effort
) -> dict[str, Any]:
    """One contestant's step, checked against the reference on the CPU and timed: plain values.

    Raises:
        BackendError: it differs by more than rounding explains.
    """
    placed = there(contestant, place)
    if refusal := placed.refusal(case):
        return {"skipped": refusal}
    found = compare(placed, case, Inputs.draw(case), reference)
    if not found.deviation <= 1:
        raise disagreement(contestant.name, case, reference, found)
    measured = speed(found.call, place, effort, in_torch=contestant.torch)
    return {**to_plain(measured), "error_of_float64": found.error, "first": found.first}


def to_plain(measured: Speed) -> dict[str, Any]:
    """For JSON, in seconds."""
    graph = measured.graph
    return {
        "waited": asdict(measured.waited),
        "graph": None if graph is None else asdict(graph),
        "not_captured": measured.refusal,
    }
