"""Layers and inputs that several test files share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qbackend.layers.spec import LayerSpec

ENCODINGS = ("amplitude", "angle")
ANSATZE = ("basic_entangler", "strongly_entangling", "rotation_only", "unentangled")

MACHINE = 1e-10
"""What rounding may add up to in float64: the convention of the whole project."""


def features(spec: LayerSpec, n_rows: int, seed: int) -> NDArray[np.float64]:
    """Signed random features, (n_rows, F); the second row has zeros, the third is sparse."""
    rows = np.random.default_rng(seed).normal(size=(n_rows, spec.n_features))
    if n_rows > 1:
        rows[1, ::2] = 0.0
    if n_rows > 2:
        rows[2, 1:] = 0.0
    if spec.n_features > 1 and n_rows > 1:
        rows[1, 1] = -1.5
    if n_rows > 2:
        rows[2, 0] = -0.7
    return rows


def weights(spec: LayerSpec, seed: int) -> NDArray[np.float64]:
    """Random weights, (W,), uniform in [0, 2 pi)."""
    return np.random.default_rng(seed).uniform(0, 2 * np.pi, spec.n_weights)
