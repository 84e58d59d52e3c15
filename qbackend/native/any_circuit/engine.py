"""Any circuit on the CPU: values and gradients of a batch, rows in blocks, blocks over threads.

Letters: B batch, F features, W weights, M observables, D = 2^Q amplitudes, L lanes, C chunks.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import lanes
from ...kernels.threads import WORTH_SPLITTING, split
from ...layers.inputs import Array, check_finite
from ...layers.program import Layer
from ...seam.backend import Forward, Gradients
from ...seam.requests import angles_of
from . import sweeps
from .program import Shared, program_of
from .small_batch import small_batches

FloatArray = NDArray[np.floating]

INSTRUCTIONS_PER_NANOSECOND = 1.5
"""Of one core, on vectors: decides only whether other cores are worth waking."""


class CircuitEngine:
    """One layer in one number format."""

    def __init__(self, layer: Layer, dtype: np.dtype) -> None:
        program = layer.program()
        self._inputs = program.inputs
        self._n_outputs, self._n_weights = layer.n_outputs, layer.n_weights
        self._program, instructions = program_of(program, dtype)
        self._dtype, self._n_lanes = dtype, lanes(dtype)
        self._dimension = len(self._program.signs)
        self._height = sweeps.block_height.py_func(self._program)
        self._nanoseconds = instructions * self._dimension / INSTRUCTIONS_PER_NANOSECOND
        self._shared: tuple[bytes, Shared] | None = None
        self._small = small_batches(self._program, layer.n_weights, layer.n_features)
        self._max_rows = int(WORTH_SPLITTING / max(self._nanoseconds, 1.0)) * self._n_lanes

    def forward(
        self, features: torch.Tensor, weights: torch.Tensor, *, differentiate: bool
    ) -> Forward:
        """Outputs for features (B, F) of the engine's format and weights (W,).

        Raises:
            InputError: a feature, a weight or an angle that is not finite.
        """
        if (
            differentiate
            and features.shape[0] <= self._max_rows
            and weights.dtype == features.dtype
            and weights.is_cpu
        ):
            done, bad = self._small.forward(features, weights)
            if bad != -1:
                self._refuse(features.detach().numpy(), angles_of(weights))
            return done
        return self._forward(features, angles_of(weights), differentiate)

    def _forward(self, features: torch.Tensor, weights: Array, differentiate: bool) -> Forward:
        given = features.detach().contiguous().numpy()
        shared = self._prepared(given, weights)
        n_rows, height = len(given), self._height
        n_blocks = -(-n_rows // self._n_lanes)
        kept = np.empty((n_blocks * height if differentiate else 0, self._n_lanes), self._dtype)
        values = np.empty((n_rows, self._n_outputs), self._dtype)

        def run(first: int, last: int) -> int:
            return sweeps.forward(self._program, given, shared, kept, values, first, last)

        bad = max(split(run, n_blocks, n_blocks * self._nanoseconds)) if n_blocks else -1
        if bad >= 0:
            self._refuse(given, weights)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            factors = cotangent.detach().contiguous().numpy()
            chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS) if n_blocks else (1, 0)
            program = self._program
            by_features = np.empty((n_rows if of_features else 0, given.shape[1]), self._dtype)
            of_nodes = np.empty((n_chunks, len(shared.nodes)))
            of_angles = np.empty((n_chunks, len(shared.cosines)))
            of_tables = np.empty((n_chunks * program.n_tables, self._dimension), self._dtype)

            def run(first: int, last: int) -> None:
                sweeps.backward(
                    program, given, shared, kept, factors, by_features, of_nodes, of_angles,
                    of_tables, chunk, first, last,
                )  # fmt: skip

            split(run, n_chunks, 3 * n_blocks * self._nanoseconds)
            by_weights = np.empty(self._n_weights)
            sweeps.finish(program, shared, of_nodes, of_angles, of_tables, by_weights)
            return (
                torch.from_numpy(by_features) if of_features else None,
                torch.from_numpy(by_weights) if of_weights else None,
            )

        return Forward(torch.from_numpy(values), pull if differentiate else None)

    def _prepared(self, features: FloatArray, weights: Array) -> Shared:
        """What rows share: that of the last call while the weights stand still."""
        key = weights.tobytes()
        if self._shared is not None and self._shared[0] == key:
            return self._shared[1]
        n_angles, program = len(self._program.tape.shared_angles), self._program
        shared = Shared(
            nodes=np.empty(len(program.tape.shared)),
            cosines=np.empty(n_angles, self._dtype),
            sines=np.empty(n_angles, self._dtype),
            tables=np.empty((2 * program.n_tables, self._dimension), self._dtype),
        )
        if not sweeps.prepare(program, weights, shared):
            self._refuse(features, weights)
        self._shared = key, shared
        return shared

    def _refuse(self, features: FloatArray, weights: Array) -> None:
        """Raise `InputError` for what is not finite."""
        check_finite("weights", weights[None])
        check_finite("features", features)
        self._inputs.angles(features.astype(np.float64), weights)


@lru_cache(maxsize=64)
def engine_of(layer: Layer, dtype: torch.dtype) -> CircuitEngine:
    """The layer's engine for float32 or float64; layers of one definition share it."""
    return CircuitEngine(layer, torch.empty(0, dtype=dtype).numpy().dtype)
