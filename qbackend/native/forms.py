"""Layers of few wires as quadratic forms: the ansatz's unitary once per weight vector.

Letters: B batch, F features, W weights, M observables, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

import numpy as np
import torch

from ..kernels.lanes import FloatArray
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..seam import forms
from ..seam.backend import Forward
from .statevector.circuit import circuit_of
from .statevector.engine import Tables, run_forward


class LayerForms:
    """The matrices Re(U† O_i U) for one weight vector, and the way back to the weights.

    Computed in `dtype`, float32 or float64.
    """

    def __init__(self, spec: LayerSpec, weights: Array, dtype: torch.dtype) -> None:
        self._spec, self._weights, self._dtype = spec, weights.copy(), dtype
        circuit = circuit_of(spec)
        # The columns of the identity stand for the batch: what becomes of them is the unitary.
        columns = torch.eye(2**spec.n_wires, dtype=dtype).numpy()
        tables = Tables(circuit, weights, columns.dtype)
        self._pass = run_forward(columns, False, tables, keep=True)
        rows = self._pass.kept.array.transpose(0, 2, 1)
        self._unitary = rows.reshape(-1, rows.shape[2])[: len(columns)]
        self._signs = np.tile(circuit.signs().astype(columns.dtype), 2)[:, None, :]
        self._matrices = torch.from_numpy((self._unitary * self._signs) @ self._unitary.T)

    def serve(self, spec: LayerSpec, weights: Array, dtype: torch.dtype) -> bool:
        """Whether these forms are the ones for these weights."""
        return (
            spec == self._spec and dtype == self._dtype and np.array_equal(weights, self._weights)
        )

    def forward(self, features: torch.Tensor, *, differentiate: bool) -> Forward:
        """Outputs for features (B, F), in their dtype and on their device.

        Raises:
            InputError: a feature that is not finite.
        """
        self._matrices = self._matrices.to(features.device)
        return forms.forward_to_weights(
            self._spec,
            features,
            self._matrices,
            self.weight_gradient,
            differentiate=differentiate,
        )

    def weight_gradient(self, of_matrices: FloatArray) -> Array:
        """Gradient (W,) from the symmetric gradients with respect to the matrices (M, D, D)."""
        of_unitary = 2 * np.sum((of_matrices @ self._unitary) * self._signs, axis=0)
        n_blocks, width, n_lanes = self._pass.kept.array.shape
        by_row = np.zeros((n_blocks * n_lanes, width), of_unitary.dtype)
        by_row[: len(of_unitary)] = of_unitary
        adjoints = by_row.reshape(n_blocks, n_lanes, width).transpose(0, 2, 1)
        no_cotangent = np.empty((0, 0), of_unitary.dtype)
        adjoints = np.ascontiguousarray(adjoints)
        return self._pass.backward(no_cotangent, adjoints, of_features=False)[1]
