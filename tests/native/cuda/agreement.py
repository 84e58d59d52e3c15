"""What the kernels make of a circuit, against the compiled engine of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from qbackend import CircuitLayer, QuantumLayer

from .emulator import EXACT, Emulator, Fused


def outputs_and_gradients(
    layer: QuantumLayer, rows: torch.Tensor, cotangent: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    features = rows.to(layer.weight.dtype).requires_grad_(True)
    outputs = layer(features)
    wanted = [each for each in (features, layer.weight) if each.numel()]
    if not wanted:
        return (outputs.detach(),)
    found = torch.autograd.grad(
        outputs, wanted, cotangent.to(outputs), allow_unused=True, materialize_grads=True
    )
    return (outputs.detach(), *found)


def check(
    spec: CircuitLayer,
    rows: Any,
    dtype: torch.dtype = torch.float64,
    weights: Any = None,
    emulator: Emulator | None = None,
) -> None:
    """The kernels against the compiled engine in float64, at numbers that both can hold."""
    given = torch.as_tensor(rows).to(dtype)
    shape = len(given), spec.n_outputs
    cotangent = torch.randn(shape, generator=torch.manual_seed(3)).to(dtype)
    found = []
    for backend, number in ((Fused(emulator or Emulator()), dtype), ("native", torch.float64)):
        layer = QuantumLayer(spec, backend, seed=1).float().to(number)
        if weights is not None:
            with torch.no_grad():
                layer.weight.copy_(torch.as_tensor(weights))
        found.append(outputs_and_gradients(layer, given, cotangent))
    reach = max(1.0, *(float(np.abs(each.coeffs).sum()) for each in spec.observables))
    for mine, reference in zip(*found, strict=True):
        assert mine.dtype == dtype
        scale = max(1.0, float(reference.abs().max()))
        assert (mine - reference).abs().max() <= EXACT[dtype] * scale * reach


def rows_of(spec: CircuitLayer, n_rows: int = 5) -> torch.Tensor:
    return 3 * torch.rand(n_rows, spec.n_features, generator=torch.manual_seed(n_rows))
