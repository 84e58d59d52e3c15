"""Layers by dense matrices over the whole space, from the definitions alone."""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray

from qbackend import LayerSpec
from qbackend.layers.ansatze import Cnots
from qbackend.seam.backend import Forward

Array = NDArray[np.float64]

PAULIS = {
    "x": np.array([[0, 1], [1, 0]]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "z": np.array([[1, 0], [0, -1]]),
}


def dense_values(spec: LayerSpec, rows: Array, angles: Array) -> Array:
    """Expectations by dense matrices over the whole space, from the definitions alone."""
    states = spec.encoding_rule.states(rows).T.astype(complex)
    index = np.arange(2**spec.n_wires)
    for operation in spec.operations:
        if isinstance(operation, Cnots):
            for control, target in operation.pairs:
                read = (index >> (spec.n_wires - 1 - control)) & 1
                states = states[index ^ (read << (spec.n_wires - 1 - target))]
            continue
        half = angles[list(operation.weights)] / 2
        turns = [np.cos(a) * np.eye(2) - 1j * np.sin(a) * PAULIS[operation.axis] for a in half]
        states = reduce(np.kron, turns) @ states
    diagonals = [
        reduce(np.kron, [np.array([1, -1 if letter == "Z" else 1]) for letter in name])
        for name in spec.observables
    ]
    return (np.array(diagonals) @ np.abs(states) ** 2).T


def dense_gradients(
    spec: LayerSpec, rows: Array, angles: Array, cotangent: Array
) -> tuple[Array, Array]:
    """Gradients of sum(values * cotangent) by the shift rules, which are exact."""
    shifted, directions = spec.encoding_rule.shifted(rows)
    moved = dense_values(spec, shifted.reshape(-1, spec.n_features), angles)
    moved = moved.reshape(*shifted.shape[:3], spec.n_outputs)
    slopes = np.einsum("btm,bm->bt", moved[:, :, 0] - moved[:, :, 1], cotangent)
    of_weights = [
        np.sum(cotangent * (dense_values(spec, rows, angles + turn) -
                            dense_values(spec, rows, angles - turn))) / 2
        for turn in np.pi / 2 * np.eye(spec.n_weights)
    ]  # fmt: skip
    return np.einsum("bt,btf->bf", slopes, directions), np.array(of_weights)


def tolerance(spec: LayerSpec, dtype: torch.dtype) -> float:
    """A few roundings per rotation, and those of a norm's squares as they add up at random."""
    return 16 * torch.finfo(dtype).eps * (spec.n_weights + 2 ** (spec.n_wires / 2))


def gradients(done: Forward, cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    assert done.pullback is not None
    return done.pullback(cotangent)
