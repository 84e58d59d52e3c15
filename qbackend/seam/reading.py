"""From probabilities of what is read to expectation values, over all readouts of a layer.

Letters: N rows, M observables, R readouts, n qubits of the circuit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers.inputs import Array
from .requests import CompiledLayer
from .uncertainty import averaged


def expected(compiled: CompiledLayer, probabilities: Sequence[Array]) -> Array:
    """Values (N, M) from the probabilities (N, 2^n) in each of R readouts."""
    pairs = zip(probabilities, compiled.eigenvalues, strict=True)
    values: Array = sum(read @ worth.T for read, worth in pairs)  # type: ignore[assignment]
    return values


def drawn(
    compiled: CompiledLayer, probabilities: Sequence[Array], shots: int, seed: int | None
) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) of so many shots in each of R readouts."""
    generator = np.random.default_rng(seed)
    values: Array = np.zeros(())
    variance: Array = np.zeros(())
    for read, worth in zip(probabilities, compiled.eigenvalues, strict=True):
        counts = generator.multinomial(shots, read)
        some, errors = averaged(counts, worth)
        values, variance = values + some, variance + errors**2
    return values, np.sqrt(variance)
