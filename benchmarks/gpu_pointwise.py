"""Stages of `gpu.py`: the pointwise convolution beside the classical one, on an accelerator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pointwise
import torch
from pointwise import CLASSICAL, Case

from experiments.bench.accelerator import Place, speed, to_plain
from experiments.bench.timing import Effort
from qbackend.errors import BackendError

NATIVE = "ours, native"
WHO = (NATIVE, CLASSICAL)
SHAPES = {case.name: case for case in (*pointwise.CASES, Case(128, 256))}
AGREEMENT = 1e-5
"""Of float32 without tf32, in units of a result's largest number."""


def pointwise_step(
    shape: str, who: str, tf32: bool, place: Place, effort: Effort
) -> dict[str, Any]:
    """A step of ours or of the classical layer; torch lets convolutions use tf32 in any case.

    Raises:
        BackendError: ours differs from itself in float64 on the CPU.
    """
    case = SHAPES[shape] if place.is_gpu else replace(SHAPES[shape], batch=1, side=2)
    layer = case.layer(who).to(place.device)
    error = None
    if who == NATIVE:
        error = _error(case, place, tf32=False)
        if not error <= AGREEMENT:
            raise BackendError(f"'{who}' is {error:.2g} off what float64 gives", backend=who)
        error = _error(case, place, tf32=True) if tf32 else error
    with _tf32(tf32):
        step = case.step(layer, case.batch, place.device)
        step()
        measured = speed(step, place, effort, in_torch=True)
    return {**to_plain(measured), "error_of_float64": error}


def _error(case: Case, place: Place, *, tf32: bool) -> float:
    """The largest difference of maps and gradients, in units of their largest numbers."""
    results = []
    for device, dtype in ((place.device, torch.float32), (torch.device("cpu"), torch.float64)):
        layer = case.layer(NATIVE).to(device, dtype)
        images, cotangent = (given.to(device, dtype) for given in case.inputs(1))
        with _tf32(tf32):
            maps = layer(images.requires_grad_())
            of_images, *of_weights = torch.autograd.grad(
                maps, (images, *layer.parameters()), cotangent
            )
        parts = (maps, of_images, torch.cat(of_weights))
        results.append([part.detach().cpu().double() for part in parts])
    return max(
        float((mine - exact).abs().max()) / max(1.0, float(exact.abs().max()))
        for mine, exact in zip(*results, strict=True)
    )


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether torch's products may round to tf32, for the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
