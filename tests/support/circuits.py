"""Right values for the circuits of `experiments.bench.circuits`.

They are in `circuits.npz`: outputs and Jacobians in float64 for given features and weights:
from differences of eighth order of Qiskit's `Statevector`, and by shifts of single gates, which
agree to 7e-12.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.bench.circuits import CIRCUITS

Array = NDArray[np.float64]

GOLDEN = 1e-10
"""The values' own errors, 7e-12, on gradients that sum over a few of them."""


class Values(NamedTuple):
    """Features (B, F), weights (W,), outputs (B, M), Jacobians (B, M, F) and (B, M, W)."""

    features: Array
    weights: Array
    outputs: Array
    by_features: Array
    by_weights: Array


def values(name: str) -> Values:
    """The right values of a circuit."""
    with np.load(Path(__file__).with_name("circuits.npz")) as kept:
        return Values(*(kept[f"{name}/{key}"] for key in ("x", "w", "y", "jx", "jw")))


SMALL = tuple(name for name in CIRCUITS if name not in ("zz_real_amplitudes_8", "ten_qubits"))
"""Those that a device's noise is computed for in a moment."""
