"""Layers of few wires as quadratic forms: the ansatz's unitary once per weight vector.

Letters: B batch, F features, W weights, M observables, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

import numpy as np
import torch

from .. import quadratic
from ..base import Array, Forward
from ..spec import LayerSpec
from .circuit import circuit_of
from .engine import Tables, run_forward


class Forms:
    """The matrices Re(U† O_i U) for one weight vector, and the way back to the weights."""

    def __init__(self, spec: LayerSpec, weights: Array) -> None:
        self._spec = spec
        self._weights = weights.copy()
        circuit = circuit_of(spec)
        # The columns of the identity stand for the batch: what becomes of them is the unitary.
        identity = np.eye(2**spec.n_wires)
        self._pass = run_forward(identity, False, Tables(circuit, weights, float), keep=True)
        rows = self._pass.kept.array.transpose(0, 2, 1)
        self._unitary = rows.reshape(-1, rows.shape[2])[: len(identity)]
        self._signs = np.tile(circuit.signs(), 2)[:, None, :]
        self._matrices = (self._unitary * self._signs) @ self._unitary.T
        self._cast: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}

    def serve(self, spec: LayerSpec, weights: Array) -> bool:
        """Whether these forms are the ones for these weights."""
        return spec == self._spec and np.array_equal(weights, self._weights)

    def forward(self, features: torch.Tensor, *, differentiate: bool) -> Forward:
        """Outputs for features (B, F), in their dtype and on their device.

        Raises:
            InputError: a feature that is not finite.
        """
        matrices = self._matrices_like(features)
        done = quadratic.forward(self._spec, features, matrices, differentiate=differentiate)
        pullback = done.pullback
        if pullback is None:
            return Forward(done.values, None)

        def pull(cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            of_features, of_matrices = pullback(cotangent)
            gradient = self._pull(of_matrices.cpu().double().numpy())
            return of_features, torch.from_numpy(gradient)

        return Forward(done.values, pull)

    def _matrices_like(self, features: torch.Tensor) -> torch.Tensor:
        key = (features.dtype, features.device)
        if key not in self._cast:
            self._cast[key] = torch.from_numpy(self._matrices).to(features)
        return self._cast[key]

    def _pull(self, of_matrices: Array) -> Array:
        """Gradient (W,) from the symmetric gradients with respect to the matrices (M, D, D)."""
        of_unitary = 2 * np.sum((of_matrices @ self._unitary) * self._signs, axis=0)
        adjoints = np.zeros_like(self._pass.kept.array)
        n_blocks, width, n_lanes = adjoints.shape
        by_row = np.zeros((n_blocks * n_lanes, width))
        by_row[: len(of_unitary)] = of_unitary
        adjoints[:] = by_row.reshape(n_blocks, n_lanes, width).transpose(0, 2, 1)
        return self._pass.backward(np.empty((0, 0)), adjoints)[1]
