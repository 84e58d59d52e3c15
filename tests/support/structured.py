"""Rows of features at which a preparation has a choice, or nearly: as data have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TINY = 1e-8


def structured_rows(n_wires: int, n_rows: int = 16) -> dict[str, Array]:
    """Kinds of rows (n_rows, D), none of them zero. Rounding keeps what is special about them."""
    rng, size = np.random.default_rng(n_wires), 2**n_wires
    shape, half = (n_rows, size), size // 2
    random, present = rng.normal(size=shape), rng.random(shape) < 0.3
    present[np.arange(n_rows), rng.integers(size, size=n_rows)] = True
    places = rng.integers(size, size=n_rows)
    return {
        "random": random,
        "positive": rng.random(shape),
        "relu": np.where(random > 0, random, 0.0) + np.eye(size)[places],
        "sparse": random * present,
        "one-hot": np.eye(size)[places] * random[:, :1],
        "signs": rng.choice([-1.0, 1.0], size=shape),
        "few values": rng.choice([0.0, 0.0, 1.0, 2.0], size=shape) + np.eye(size)[places],
        "equal": np.repeat(random[:, :1], size, axis=1),
        "repeated halves": np.tile(random[:, :half], 2),
        "negated halves": np.concatenate([random[:, :half], -random[:, :half]], axis=1),
        "repeated entries": np.repeat(random[:, :half], 2, axis=1),
        "zero half": np.concatenate([random[:, :half], np.zeros((n_rows, half))], axis=1),
        "two entries": np.eye(size)[places] + random[:, :1] * np.eye(size)[places[::-1]] + 0.0,
        "mirrored": np.concatenate([random[:, :half], random[:, :half][:, ::-1]], axis=1),
        "constant rows": np.repeat(random[:, : size // 4], 4, axis=1),
        "constant columns": np.tile(random[:, :4], size // 4),
        "tiny": np.where(present, random, TINY * random),
    }


def products(n_wires: int, n_rows: int = 16) -> Array:
    """Rows (n_rows, D) of rank one by their values alone: rounding leaves them near to that."""
    rng, left = np.random.default_rng(n_wires), 2 ** (n_wires // 2)
    factors = rng.normal(size=(n_rows, left)), rng.normal(size=(n_rows, 2**n_wires // left))
    return np.einsum("bi,bj->bij", *factors).reshape(n_rows, -1)
