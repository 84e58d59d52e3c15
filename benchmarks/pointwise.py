"""The quantum pointwise convolution beside the classical one and beside PennyLane.

    python benchmarks/pointwise.py --out pointwise.json

A step is forward and backward, with the gradients of features and weights, in float32; weights
move before every step. The classical layer is a 1x1 convolution with BatchNorm. PennyLane's
`TorchLayer` runs on a share of the batch and its time is scaled up: the whole batch's states
would not fit the memory of most machines. Ours and PennyLane's agree before anything is timed.

Memory is what the resident set grows by at most over three steps, in a process of its own where
the layer and its inputs stand ready and a step on two images has been made.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from experiments.bench.results import Grid
from experiments.bench.timing import Effort, Timing, conditions, installed, interleave
from models import QuantumPointwiseConv2d

CLASSICAL, PEER = "conv2d + batchnorm", "pennylane-torch"
OURS = {"ours, aer": "aer", "ours, native": "native"}
AGREEMENT = 1e-4
"""Of values in float32 after some tens of gates."""
MIB = 2**20
TITLE = "# A pointwise convolution\n"


@dataclass(frozen=True)
class Case:
    """A layer and its batch of square images."""

    in_channels: int
    out_channels: int
    depth: int = 2
    batch: int = 64
    side: int = 28

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.in_channels} → {self.out_channels}"

    def layer(self, contestant: str) -> nn.Module:
        """A contestant's layer."""
        if contestant == CLASSICAL:
            return nn.Sequential(
                nn.Conv2d(self.in_channels, self.out_channels, 1),
                nn.BatchNorm2d(self.out_channels),
            )
        if contestant == PEER:
            from peers.pointwise import PennyLanePointwise

            return PennyLanePointwise(self.in_channels, self.out_channels, self.depth)
        return QuantumPointwiseConv2d(
            self.in_channels, self.out_channels, self.depth, backend=OURS[contestant], seed=0
        )

    def inputs(self, batch: int) -> tuple[Tensor, Tensor]:
        """So many images, and the gradient by their maps."""
        generator = torch.Generator().manual_seed(0)
        size = (self.side, self.side)
        images = torch.randn(batch, self.in_channels, *size, generator=generator)
        return images, torch.randn(batch, self.out_channels, *size, generator=generator)

    def step(
        self, layer: nn.Module, batch: int, device: torch.device | None = None
    ) -> Callable[[], Tensor]:
        """Forward and backward on so many images there; returns the maps."""
        images, cotangent = (given.to(device) for given in self.inputs(batch))
        return partial(_step, layer, images.requires_grad_(), cotangent)


CASES = (Case(16, 32), Case(64, 66))


def _step(layer: nn.Module, images: Tensor, cotangent: Tensor) -> Tensor:
    images.grad = None
    parameters = list(layer.parameters())
    for parameter in parameters:
        parameter.grad = None
    torch._foreach_add_([parameter.data for parameter in parameters], 1e-4)
    maps = layer(images)
    maps.backward(cotangent)
    return maps


def check(case: Case) -> None:
    """Raise `AssertionError` unless ours and PennyLane's have the same maps and gradients."""
    peer = case.layer(PEER)
    layers = [case.layer(name) for name in OURS]
    for own, other in zip(layers[0].parameters(), peer.parameters(), strict=True):
        other.data.copy_(own.data.reshape(other.shape))
    expected = case.step(peer, 1)()
    for layer in layers:
        torch.testing.assert_close(case.step(layer, 1)(), expected, atol=AGREEMENT, rtol=0)
        for own, other in zip(layer.parameters(), peer.parameters(), strict=True):
            scale = other.grad.abs().max()
            torch.testing.assert_close(
                own.grad.reshape(other.shape) / scale, other.grad / scale, atol=AGREEMENT, rtol=0
            )


def time_case(case: Case, contestants: list[str], share: int, effort: Effort) -> dict[str, Timing]:
    """Seconds a step of the whole batch, in turn; PennyLane's scaled up from its share."""
    calls = {
        name: case.step(case.layer(name), share if name == PEER else case.batch)
        for name in contestants
    }
    timings = interleave(calls, effort)
    if PEER in timings:
        of_share = timings[PEER]
        scale = case.batch / share
        timings[PEER] = Timing(
            median=scale * of_share.median,
            lower=scale * of_share.lower,
            upper=scale * of_share.upper,
            calls=of_share.calls,
        )
    return timings


def peak_memory(case: Case, contestant: str) -> int:
    """Bytes by which this process grows at most over three steps."""
    layer = case.layer(contestant)
    case.step(layer, 2)()
    step = case.step(layer, case.batch)
    before = _status("VmRSS")
    # Lets the kernel forget how large the process has ever been (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(3):
        step()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


def memory_of(case: Case, contestant: str) -> int:
    """`peak_memory` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(peak_memory, case, contestant).result()


def grid(results: dict[str, dict[str, Any]], share: int) -> Grid:
    """What was measured, as a table."""
    names = dict.fromkeys(name for case in results.values() for name in case["step"])
    rows = []
    for name in names:
        cells: list[str] = [name]
        for case in results.values():
            step, base = case["step"][name], case["step"][CLASSICAL]["median"]
            quartiles = f"[{1e3 * step['lower']:.1f}, {1e3 * step['upper']:.1f}]"
            cells += [f"{1e3 * step['median']:.1f} {quartiles}", f"{step['median'] / base:.2f}"]
            memory = case["memory"].get(name)
            cells += (
                ["–", "–"]
                if memory is None
                else [f"{memory / MIB:.1f}", f"{memory / case['memory'][CLASSICAL]:.2f}"]
            )
        rows.append(tuple(cells))
    heads = [f"{case}: {what}" for case in results for what in ("ms", "ratio", "MiB", "ratio")]
    first = CASES[0]
    title = (
        f"A step on ({first.batch}, C, {first.side}, {first.side}), depth {first.depth}, float32: "
        f"milliseconds [quartiles], peak memory, ratios to {CLASSICAL}; "
        f"{PEER} scaled up from {share} of {first.batch} images"
    )
    return Grid(title, ("", *heads), tuple(rows))


@click.command(help=__doc__)
@click.option("--seconds", default=4.0, show_default=True, help="For each contestant and case.")
@click.option("--share", default=4, show_default=True, help="Images of a step of PennyLane's.")
@click.option("--threads", default=2, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON; the table goes beside it.")
def main(seconds: float, share: int, threads: int, out: Path | None) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    facts = conditions(["pennylane", "numba"])
    contestants = [CLASSICAL, *OURS]
    if installed("pennylane"):
        contestants.append(PEER)
        for case in CASES:
            check(case)
    results: dict[str, dict[str, Any]] = {}
    for case in CASES:
        timings = time_case(case, contestants, share, Effort(seconds=seconds, rounds=20))
        measured = [name for name in contestants if name != PEER]
        results[case.name] = {
            "step": {name: asdict(timing) for name, timing in timings.items()},
            "memory": {name: memory_of(case, name) for name in measured},
        }
    table = grid(results, share)
    print(table.markdown())
    if out is not None:
        out.write_text(json.dumps({"conditions": facts, "cases": results}, indent=1) + "\n")
        out.with_suffix(".md").write_text(f"{TITLE}\n{table.markdown()}")


if __name__ == "__main__":
    main()
