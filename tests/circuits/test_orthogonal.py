"""Angles reproduce the matrices that they are angles of, degenerate ones too."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qbackend.circuits.orthogonal import (
    isometry_angles,
    multiplexed_so4_angles,
    rotation_matrices,
    so4_angles,
    so8_angles,
    svd_2x2,
    transposed,
)

Array = NDArray[np.float64]

N_MATRICES = 40
ROUNDING = 1e-13
"""Some hundred operations on numbers up to 1, each good to 2e-16."""

I2, CZ = np.eye(2), np.diag([1.0, 1.0, 1.0, -1.0])
CNOT_UP = np.eye(4)[[0, 3, 2, 1]]
"""The control is the last wire."""


def orthogonal(size: int, seed: int, determinant: int = 1) -> Array:
    matrices = np.linalg.qr(np.random.default_rng(seed).normal(size=(N_MATRICES, size, size)))[0]
    matrices[:, :, 0] *= (np.linalg.det(matrices) * determinant)[:, None]
    return matrices


def ry(angles: Array, wire: int, n_wires: int) -> Array:
    turns = rotation_matrices(angles / 2)
    before, after = np.eye(2**wire), np.eye(2 ** (n_wires - wire - 1))
    product = np.einsum("ij,bkl,mn->bikmjln", before, turns, after)
    return product.reshape(len(angles), 2**n_wires, 2**n_wires)


def so4(angles: Array) -> Array:
    layers = [ry(angles[:, k], 0, 2) @ ry(angles[:, k + 1], 1, 2) for k in (0, 2, 4)]
    return layers[2] @ CZ @ layers[1] @ CZ @ layers[0]


def on_last_wires(matrices: Array) -> Array:
    product = np.zeros((len(matrices), 8, 8))
    product[:, :4, :4] = product[:, 4:, 4:] = matrices
    return product


def multiplexed_so4(angles: Array) -> Array:
    select_first, pair = np.kron(CZ, I2), np.kron(I2, CZ)
    turns = select_first @ ry(angles[:, 7], 1, 3) @ pair @ ry(angles[:, 6], 1, 3) @ select_first
    return on_last_wires(so4(angles[:, 8:])) @ turns @ on_last_wires(so4(angles[:, :6]))


def multiplexed_ry(angles: Array) -> Array:
    first, parity = np.kron(CZ, I2), np.kron(I2, CNOT_UP) @ np.kron(CZ, I2) @ np.kron(I2, CNOT_UP)
    turns = [ry(angles[:, k], 0, 3) for k in range(4)]
    return turns[3] @ first @ turns[2] @ parity @ turns[1] @ first @ turns[0]


def special_so8() -> dict[str, Array]:
    """Matrices whose cosine-sine angles coincide, vanish, or nearly do."""
    blocks = np.zeros((N_MATRICES, 8, 8))
    blocks[:, :4, :4], blocks[:, 4:, 4:] = orthogonal(4, 1), orthogonal(4, 2)
    rng = np.random.default_rng(3)
    permutations = np.eye(8)[[rng.permutation(8) for _ in range(N_MATRICES)]]
    permutations[:, :, 0] *= np.linalg.det(permutations)[:, None]
    product = np.einsum("bij,bkl->bikjl", orthogonal(2, 4), orthogonal(4, 5))
    exact = {
        "random": orthogonal(8, 0),
        "identity": np.tile(np.eye(8), (N_MATRICES, 1, 1)),
        "blocks": blocks,
        "permutations": permutations,
        "product": product.reshape(-1, 8, 8),
    }
    nearly = {}
    for size in (1e-16, 1e-8, 1e-5):
        for name, matrices in exact.items():
            noisy = matrices + size * rng.normal(size=matrices.shape)
            u, _, v = np.linalg.svd(noisy)
            nearly[f"{name}, {size}"] = u @ v
    return exact | nearly


SPECIAL_SO8 = special_so8()


def test_svd_2x2() -> None:
    matrices = np.random.default_rng(0).normal(size=(N_MATRICES, 2, 2))
    u, v, ratio = svd_2x2(matrices)
    values = np.stack([np.cos(ratio), np.sin(ratio)], axis=1)
    rebuilt = rotation_matrices(u) * values[:, None] @ transposed(rotation_matrices(v))
    norms = np.linalg.norm(matrices, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(rebuilt * norms, matrices, atol=ROUNDING)
    assert (np.cos(ratio) >= np.abs(np.sin(ratio)) - ROUNDING).all()


def test_so4() -> None:
    special = [np.eye(4), -np.eye(4), np.kron(I2, [[0, -1], [1, 0]]), np.eye(4)[[1, 2, 0, 3]]]
    matrices = np.concatenate([orthogonal(4, 0), np.array(special, dtype=float)])
    np.testing.assert_allclose(so4(so4_angles(matrices)), matrices, atol=ROUNDING)


@pytest.mark.parametrize("same", [False, True])
def test_multiplexed_so4(same: bool) -> None:
    zero = orthogonal(4, 1, determinant=-1)
    one = zero if same else orthogonal(4, 2, determinant=-1)
    matrices = multiplexed_so4(multiplexed_so4_angles(zero, one))
    np.testing.assert_allclose(matrices[:, :4, :4], zero, atol=ROUNDING)
    np.testing.assert_allclose(matrices[:, 4:, 4:], one, atol=ROUNDING)


@pytest.mark.parametrize("kind", SPECIAL_SO8)
def test_so8(kind: str) -> None:
    matrices = SPECIAL_SO8[kind]
    angles = so8_angles(matrices)
    first, middle, last = angles[:, :14], angles[:, 14:18], angles[:, 18:]
    rebuilt = multiplexed_so4(last) @ multiplexed_ry(middle) @ multiplexed_so4(first)
    np.testing.assert_allclose(rebuilt, matrices, atol=ROUNDING)


@pytest.mark.parametrize("kind", SPECIAL_SO8)
def test_isometry(kind: str) -> None:
    columns = SPECIAL_SO8[kind][:, :, :4]
    angles = isometry_angles(columns)
    first, middle, last = angles[:, :6], angles[:, 6:10], angles[:, 10:]
    rebuilt = multiplexed_so4(last) @ multiplexed_ry(middle) @ on_last_wires(so4(first))
    np.testing.assert_allclose(rebuilt[:, :, :4], columns, atol=ROUNDING)
