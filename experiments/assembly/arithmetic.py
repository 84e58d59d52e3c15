"""How a device multiplies and adds while a model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..config.run import FabricSection


@contextmanager
def arithmetic(section: FabricSection, device: torch.device) -> Iterator[None]:
    """On CUDA as [fabric] has it while it lasts; afterwards as it was before."""
    if device.type != "cuda":
        yield
        return
    precision, is_fixed = torch.get_float32_matmul_precision(), torch.backends.cudnn.deterministic
    torch.set_float32_matmul_precision(section.matmul_precision)
    torch.backends.cudnn.deterministic = section.deterministic
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.deterministic = is_fixed
