"""The backend as it runs on CUDA, and what it makes of circuits, against the engine of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from qbackend import CircuitLayer, QuantumLayer
from qbackend.layers.spec import LayerSpec
from qbackend.native.cuda.engine import Engine
from qbackend.native.exact import NativeBackend
from qbackend.seam.backend import Forward
from qbackend.seam.requests import CompiledLayer

from .emulator import Emulator

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}


class Fused(NativeBackend):
    """`native` as it runs on CUDA, its kernels on an emulator."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__()
        self.engine = Engine(emulator)

    def forward_loaded(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        return self.engine.forward(spec, features, weights, differentiate)

    def forward_circuit(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        differentiate: bool,
    ) -> Forward:
        assert self.engine.takes(compiled.spec, features.dtype)
        return self.engine.forward(compiled.spec, features, weights, differentiate)


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
