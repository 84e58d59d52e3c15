"""Layers as launches of the fused kernels: outputs, and gradients by the adjoint method.

A forward pass is one launch, a backward pass one; circuits of the user's own take another for their
angles, and wide layers a few. Nothing waits for the device, so that a training step can be
captured. Equal inputs give equal bits.

Letters: B batch, F features, W weights, M observables, Q wires.
"""

from __future__ import annotations

from typing import Any

import torch

from ...errors import InputError
from ...layers.program import Layer
from ...layers.spec import LayerSpec
from ...seam.backend import Forward, Gradients
from .circuit_plan import CircuitPlan, circuit_task, row_threads
from .driver import Machine
from .spec_plan import SpecPlan, spec_task
from .tape import OF_ANGLE

MANY_AMPLITUDES = 2**18
"""Of a batch from which a thread had better hold more, and fewer threads exchange."""
NUMBERS = (torch.float32, torch.float64)

Plan = SpecPlan | CircuitPlan


class Engine:
    """Runs layers on one machine, in float32 or float64."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._fault = machine, machine.cell()
        self._plans: dict[tuple[Layer, bool, torch.dtype], Plan | None] = {}

    def takes(self, layer: Layer, dtype: torch.dtype) -> bool:
        """Whether the layer is one of those that the kernels do."""
        return dtype in NUMBERS and self._plan(layer, False, dtype) is not None

    def forward(
        self, layer: Layer, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        """Outputs for features (B, F) and weights (W,), in the features' dtype and on their device.

        What depends on a feature or a weight that is not finite is NaN, and the next call says
        which it was: to say it at once would be to wait for the device.

        Raises:
            InputError: an entry of an earlier call is not finite.
        """
        self._tell()
        features = features.detach().contiguous()
        weights = weights.detach().to(features).contiguous()
        n_rows = features.shape[0]
        if n_rows == 0:
            values = features.new_zeros(0, layer.n_outputs)
            return Forward(values, lambda *_, **__: (features, torch.zeros_like(weights)))
        is_large = n_rows << layer.n_wires >= MANY_AMPLITUDES
        # Blocks for large batches can take more room than there is.
        dtype = features.dtype
        plan = self._plan(layer, is_large, dtype) or self._plan(layer, False, dtype)
        assert plan is not None  # `takes` was asked first
        kept: Any
        values, kept = plan.forward(features, weights, keep=differentiate)
        if not differentiate:
            return Forward(values, None)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            self._tell()
            given = cotangent.detach().to(features).contiguous()
            by_features, by_weights = plan.backward(features, weights, kept, given, of_features)
            return by_features, by_weights if of_weights else None

        return Forward(values, pull)

    def _plan(self, layer: Layer, is_large: bool, dtype: torch.dtype) -> Plan | None:
        """For large batches or small ones; None for a layer that the kernels do not do."""
        key = layer, is_large, dtype
        if key not in self._plans:
            self._plans[key] = self._made(layer, is_large, dtype)
        return self._plans[key]

    def _made(self, layer: Layer, is_large: bool, dtype: torch.dtype) -> Plan | None:
        machine, fault = self._machine, self._fault
        if isinstance(layer, LayerSpec):
            task = spec_task(layer)
            shape = task.shape(machine, dtype, is_large=is_large)
            if shape is None:
                return None
            return SpecPlan(machine, fault, layer, task, shape, dtype)
        task, n_threads = circuit_task(layer), row_threads(layer, machine)
        shape = task.shape(machine, dtype, is_large=is_large)
        if shape is None or n_threads is None:
            return None
        return CircuitPlan(machine, fault, layer, task, shape, dtype, n_threads)

    def _tell(self) -> None:
        if (found := self._fault.value) == 0:
            return
        self._fault.value = 0
        index = found - 1 if found > 0 else -1 - found
        if index >= OF_ANGLE:
            whose = f"features row {index - OF_ANGLE}" if found > 0 else "the weights"
            told = f"{whose} of an earlier call made an angle that is not finite"
        else:
            whose = "features row" if found > 0 else "weight"
            told = f"{whose} {index} of an earlier call has an entry that is not finite"
        raise InputError(f"{told}: what depends on it was NaN")
