"""The catalogue's layers on the kernels: their features encoded where a row begins.

Letters: B batch, F features, W weights, M observables, Q wires.
"""

from __future__ import annotations

import ctypes

import torch

from ...layers.spec import LayerSpec
from ...seam.backend import Gradients
from ...seam.forms import inverse_norms, pull_states
from .coordinates import Shape
from .driver import Machine
from .launches import Given, Launches, Task, address
from .turned import turned_layer


def spec_task(spec: LayerSpec) -> Task:
    """What launches compute of it."""
    n_angles = spec.n_wires if spec.encoding_rule.is_product else 0
    return Task(turned_layer(spec), spec.n_weights, n_angles, spec.n_outputs)


class SpecPlan:
    """One of them for batches of one shape and number format."""

    def __init__(
        self,
        machine: Machine,
        fault: ctypes.c_int,
        spec: LayerSpec,
        task: Task,
        shape: Shape,
        dtype: torch.dtype,
    ) -> None:
        self._spec, self._by_angle = spec, task.circuit.is_product
        self._launches = Launches(machine, fault, task, shape, dtype)

    def forward(
        self, features: torch.Tensor, weights: torch.Tensor, *, keep: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Values (B, M), and the states that a backward pass begins with where they are kept."""
        norms = self._norms(features)
        given = self._given(features, weights, norms)
        return self._launches.forward(features.shape[0], given, keep=keep)

    def backward(
        self,
        features: torch.Tensor,
        weights: torch.Tensor,
        states: torch.Tensor,
        cotangent: torch.Tensor,
        wants_features: bool,
    ) -> Gradients:
        """Gradients by features (B, F), if wanted, and weights (W,)."""
        norms = self._norms(features)
        by_state = wants_features and not self._by_angle
        of_features = torch.empty_like(features) if by_state and norms is None else None
        of_angles, of_weights, adjoint = self._launches.backward(
            features.shape[0],
            {**self._given(features, weights, norms), "cotangent": cotangent.data_ptr()},
            states,
            of_moving=wants_features and self._by_angle,
            of_features=of_features,
        )
        if of_angles is not None:
            return of_angles, of_weights
        if by_state and norms is not None and adjoint is not None:
            of_states = 2 * adjoint[..., 0]
            of_features = pull_states(self._spec, features, features * norms, of_states)
        return of_features, of_weights

    def _norms(self, features: torch.Tensor) -> torch.Tensor | None:
        """Reciprocal norms (B, 1) of rows that no block holds whole."""
        whole = self._by_angle or self._launches.n_outer == 0
        return None if whole else inverse_norms(features)

    def _given(
        self, features: torch.Tensor, weights: torch.Tensor, norms: torch.Tensor | None
    ) -> Given:
        by_angle = self._by_angle
        return {
            "weights": weights.data_ptr(),
            "features": None if by_angle else features.data_ptr(),
            "angles": features.data_ptr() if by_angle else None,
            "norms": address(norms),
        }
