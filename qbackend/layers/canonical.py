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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inputs import Array, Numbers, constant_like, library_of, patched

Mask = NDArray[np.bool_]

TIE = 1e-12

_CUT = -2.8
"""Radians. Angles lie between it and a full turn more."""


@cache
def references(size: int) -> Array:
    """Columns (size, size) that no structure of data favours."""
    return np.sin(np.arange(1.0, size**2 + 1) ** 2).reshape(size, size)


def direction(sine: Numbers, cosine: Numbers, floor: float | Numbers = TIE) -> Numbers:
    """Angles in radians of vectors (cosine, sine); zero where they are no longer than `floor`."""
    library = library_of(sine)
    angles = library.arctan2(sine, cosine)
    angles = library.where(angles < _CUT, angles + 2 * np.pi, angles)
    return library.where(library.hypot(sine, cosine) <= floor, 0.0, angles)


def orthonormal(vectors: Numbers) -> Numbers:
    """The columns of (B, N, K) made orthonormal one after the other, N >= K.

    A column that depends on those before it gives way to a reference.
    """
    library = library_of(vectors)
    basis = library.empty_like(vectors)
    for column in range(vectors.shape[2]):
        before = basis[:, :, :column]
        reference: Any = constant_like(references(vectors.shape[1])[:, column], vectors)

        def by_reference(before: Any, reference: Any = reference) -> tuple[Any, Any]:
            return _without(before, library.broadcast_to(reference, before.shape[:2]))

        rest, lengths = _without(before, vectors[:, :, column])
        rest, lengths = patched(lengths <= TIE, (rest, lengths), by_reference, before)
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


def _without(basis: Numbers, vectors: Numbers) -> tuple[Numbers, Any]:
    """Vectors (B, N) less their projections on orthonormal columns (B, N, K), and their lengths."""
    library = library_of(vectors)
    lengths = library.linalg.norm(vectors, axis=1)
    if basis.shape[2] == 0:
        return 1 * vectors, lengths

    def less(basis: Numbers, vectors: Numbers) -> tuple[Numbers, Any]:
        projections = library.einsum(
            "bnk,bk->bn", basis, library.einsum("bnk,bn->bk", basis, vectors)
        )
        rest = vectors - projections
        return rest, library.linalg.norm(rest, axis=1)

    rest, shorter = less(basis, vectors)
    # What cancelled has left its rounding behind.
    return patched(shorter < lengths / 2, (rest, shorter), less, basis, rest)
