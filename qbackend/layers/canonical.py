"""Choices among equal decompositions that depend on the numbers alone, never on their rounding.

Where a decomposition leaves something open, rounding would decide it, and with it the noise of the
circuit. Two rules settle it:

- What is shorter than `TIE` has no direction, and values nearer than `TIE` are equal. The vectors
  that this leaves open are the projections of fixed references. `TIE` is far above the rounding of
  some hundred operations, so what is zero or equal in the data is zero or equal here; and a state
  moves by no more than some `TIE`.
- Signs and branches change where an expression that means nothing in data vanishes: not at zeros,
  equal numbers or right angles.

Letters: B batch, N rows of a matrix, K columns.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .inputs import Array

Mask = NDArray[np.bool_]

TIE = 1e-12

_CUT = -2.8
"""Radians. Angles lie between it and a full turn more."""


@cache
def references(size: int) -> Array:
    """Columns (size, size) that no structure of data favours."""
    return np.sin(np.arange(1.0, size**2 + 1) ** 2).reshape(size, size)


def direction(sine: Array, cosine: Array, floor: float | Array = TIE) -> Array:
    """Angles in radians of vectors (cosine, sine); zero where they are no longer than `floor`."""
    angles = np.arctan2(sine, cosine)
    angles[angles < _CUT] += 2 * np.pi
    angles[np.hypot(sine, cosine) <= floor] = 0.0
    return angles


def orthonormal(vectors: Array) -> Array:
    """The columns of (B, N, K) made orthonormal one after the other, N >= K.

    A column that depends on those before it gives way to a reference.
    """
    basis = np.empty_like(vectors)
    for column in range(vectors.shape[2]):
        before = basis[:, :, :column]
        rest, lengths = _without(before, vectors[:, :, column])
        lost = lengths <= TIE
        if lost.any():
            reference = references(vectors.shape[1])[:, column]
            spread = np.broadcast_to(reference, (int(lost.sum()), len(reference)))
            rest[lost], lengths[lost] = _without(before[lost], spread)
        basis[:, :, column] = rest / lengths[:, None]
    return basis


def ties(values: Array) -> Mask:
    """Which of the values (B, K), in order, are equal: (B, K, K)."""
    steps = np.abs(np.diff(values, axis=1, prepend=values[:, :1])) > TIE
    group = np.cumsum(steps, axis=1)
    return np.asarray(group[:, :, None] == group[:, None, :])


def settling_turns(vectors: Array, open_: Mask) -> Array:
    """Orthogonal matrices (B, K, K) that turn orthonormal columns (B, N, K) to canonical ones.

    `open_` (B, K, K) pairs the columns of every subspace in which the basis is open, a single
    column with itself. The new basis is that to which the references project.
    """
    size, n_columns = vectors.shape[1:]
    parts = np.swapaxes(vectors, 1, 2) @ references(size)[:, :n_columns]
    unit = np.eye(n_columns)
    parts = np.where(open_, parts, unit)
    turns = _signs(parts) * unit
    rows = (open_ & (unit == 0)).any(axis=(1, 2))
    if rows.any():
        bases, triangles = np.linalg.qr(parts[rows])
        turns[rows] = bases * _signs(triangles)
    return turns


def settled(vectors: Array, lost: Mask) -> Array:
    """Orthonormal columns (B, N, K) with those that are `lost` (B, K) chosen by the references."""
    if not lost.any():
        return vectors
    return vectors @ settling_turns(vectors, lost[:, :, None] & lost[:, None, :])


def _signs(matrices: Array) -> Array:
    """Of the diagonals, (B, 1, K)."""
    return np.where(np.einsum("bkk->bk", matrices) < 0, -1.0, 1.0)[:, None]


def _without(basis: Array, vectors: Array) -> tuple[Array, Array]:
    """Vectors (B, N) less their projections on orthonormal columns (B, N, K), and their lengths."""
    lengths = np.linalg.norm(vectors, axis=1)
    if basis.shape[2] == 0:
        return vectors.copy(), lengths
    rest = vectors - _projections(basis, vectors)
    lengths, before = np.linalg.norm(rest, axis=1), lengths
    # What cancelled has left its rounding behind.
    again = lengths < before / 2
    if again.any():
        rest[again] -= _projections(basis[again], rest[again])
        lengths[again] = np.linalg.norm(rest[again], axis=1)
    return rest, lengths


def _projections(basis: Array, vectors: Array) -> Array:
    return np.einsum("bnk,bk->bn", basis, np.einsum("bnk,bn->bk", basis, vectors))
