"""Several circuits of one kind on all pixels of feature maps.

Letters: K circuits, W weights of each, S stages, Q wires, D = 2^Q amplitudes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..kernels.chunks import PIXEL_CHUNKS, chunks
from ..kernels.lanes import lanes
from ..kernels.maps import Maps
from ..kernels.threads import split
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from .statevector import pixels
from .statevector.circuit import circuit_of
from .statevector.engine import Tables, nanoseconds


class PixelCircuits:
    """Layers of one spec, with amplitude encoding, for weights (K, W).

    Computed in `dtype`, float32 or float64.

    Raises:
        InputError: a weight that is not finite.
    """

    def __init__(self, spec: LayerSpec, weights: Array, dtype: DTypeLike) -> None:
        self._circuit = circuit_of(spec)
        self._tables = [Tables(self._circuit, vector, dtype) for vector in weights]
        self._turns = np.stack([tables.turns for tables in self._tables])
        self._phases = np.stack([tables.phases for tables in self._tables])

    def forward(self, features: Maps, values: Maps, *, length: bool) -> bool:
        """Fill `values` with the circuits' outputs, cut where it has fewer maps.

        With `length` its last map gets the channel vectors' norms. Returns whether all features
        are finite.
        """
        circuit = self._circuit

        def run(first: int, last: int) -> int:
            return pixels.forward(
                *features, circuit.orders, self._turns, self._phases, circuit.observables,
                length, *values, first, last,
            )  # fmt: skip

        n_blocks = _n_blocks(features)
        return max(split(run, n_blocks, self._nanoseconds(n_blocks))) < 0

    def backward(
        self, features: Maps, cotangent: Maps, of_features: Maps | None, *, length: bool
    ) -> Array:
        """Gradient of sum(values * cotangent) with respect to the weights, (K, W).

        `of_features`, if it is given, is filled with the gradient with respect to the features.
        """
        circuit, n_blocks = self._circuit, _n_blocks(features)
        chunk, n_chunks = chunks(n_blocks, PIXEL_CHUNKS)
        of_turns = np.empty((len(self._tables), n_chunks, *circuit.rotations.shape))
        of_phases = np.empty((len(self._tables), n_chunks, *circuit.orders.shape))
        memory, layout = (features[0][:0], features[1]) if of_features is None else of_features

        def run(first: int, last: int) -> None:
            pixels.backward(
                *features, circuit.orders, self._turns, self._phases, circuit.trainable,
                circuit.observables, length, *cotangent, chunk, memory, layout, of_turns,
                of_phases, first, last,
            )  # fmt: skip

        split(run, n_chunks, 3 * self._nanoseconds(n_blocks))
        pulled = [
            tables.pull(*parts)
            for tables, *parts in zip(self._tables, of_turns, of_phases, strict=True)
        ]
        return np.stack(pulled)

    def _nanoseconds(self, n_blocks: int) -> float:
        """Estimated time of a forward pass on one core."""
        return len(self._tables) * nanoseconds(self._circuit, n_blocks)


def _n_blocks(features: Maps) -> int:
    memory, (n_images, _, n_pixels, _, _, _) = features
    return -(-n_images * n_pixels // lanes(memory.dtype))
