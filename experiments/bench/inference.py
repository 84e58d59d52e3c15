"""The forward pass alone, without gradient and with weights that stand still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from qbackend import LayerSpec, QuantumLayer
from qbackend.layers.program import Layer

from .contest import Case, Inputs, Record
from .timing import Effort, interleave

MATRIX_PRODUCT = "matrix product"
"""The yardstick: the batch (B, F) times the M quadratic forms side by side, (F, M F)."""

MAX_WIRES = 6
"""Wider layers have no matrix to keep."""


def is_measured(spec: Layer) -> bool:
    """Whether a layer amounts to a matrix product."""
    is_form = isinstance(spec, LayerSpec) and spec.encoding == "amplitude"
    return is_form and spec.n_wires <= MAX_WIRES


def measure_inference(case: Case, backends: Sequence[str], effort: Effort) -> list[Record]:
    """Time `layer(features)` on our backends, and the matrix product that it amounts to."""
    inputs = Inputs.draw(case)
    features, weights = torch.from_numpy(inputs.features), torch.from_numpy(inputs.weights[0])
    forms = torch.randn(case.spec.n_features, case.spec.n_outputs * case.spec.n_features)
    calls: dict[str, Callable[[], object]] = {
        MATRIX_PRODUCT: partial(torch.mm, features, forms.to(features.dtype))
    }
    for backend in backends:
        layer = QuantumLayer(case.spec, backend=backend, seed=0).to(features.dtype)
        with torch.no_grad():
            layer.weight.copy_(weights)
        calls[backend] = partial(layer, features)
    with torch.no_grad():
        for call in calls.values():
            call()
        timings = interleave(calls, effort)
    return [Record(case, name, timing=timing) for name, timing in timings.items()]
