"""The last two wires of a line split off a real state, for five two-qubit gates.

Let the last two wires be e and t, s the wire before them, and let the state be a matrix whose rows
are the readings of the other wires: psi_0 and psi_1 (a column per reading of t) where e reads 0 and
1. The two column spaces are planes. Two planes have two pairs of principal vectors, p_i in one and
q_i in the other; f_i and f'_i, the bisectors of p_i and q_i, are orthonormal. Hence

    p_i = cos(phi_i) f_i + sin(phi_i) f'_i,     psi_0 = sum of p_i g_i^T,
    q_i = cos(phi_i) f_i - sin(phi_i) f'_i,     psi_1 = sum of q_i h_i^T,

and the minus sign is a CZ between s and e: before it and before the operation that makes f_i of
|i>|0> and f'_i of |i>|1>, the state is the sum over i of |i>, (cos phi_i, sin phi_i) on s, and on t
g_i or h_i as e reads 0 or 1. It takes four gates if det g = -det h, because then a turn of wire e
leaves slices of rank one. To get there wire e is turned beforehand: the area that psi_0 spans
squared, minus that of psi_1, is a cosine of twice that turn, so it has a zero, whatever the state.

Letters: B batch, D amplitudes.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .base import Array
from .orthogonal import determinant_2x2, rotation_matrices, svd_2x2, transposed

_POLISHING_STEPS = 2
_LONGEST_POLISHING_STEP = 0.1


def split_two_wires(states: Array) -> tuple[Array, Array]:
    """Angles (B, 9) of the last two wires, and the vectors (B, D/4, 4) that remain to be made.

    The vectors are f_0, f'_0, f_1, f'_1 of the module's text, of determinant 1 if square.
    """
    blocks = states.reshape(len(states), -1, 2, 2)
    first_turn = _balancing_turn(blocks)
    blocks = np.einsum("brfg,bfe->breg", blocks, rotation_matrices(first_turn))
    slices, phi, vectors = _bisect(blocks[:, :, 0], blocks[:, :, 1])
    second_turn, slices = _split_ranks(slices)

    made = []
    for piece in (slices[:, 0], slices[:, 1]):
        _, direction, _ = svd_2x2(piece)
        unit = np.stack([np.cos(direction), np.sin(direction)], axis=1)
        made.append((np.einsum("big,bg->bi", piece, unit), direction))
    (column_0, direction_0), (column_1, direction_1) = made
    u, v, ratio = svd_2x2(np.stack([column_0, column_1], axis=2))
    angles = [
        ratio,
        u,
        v,
        # A turn on both sides of a CZ: their sum where its other wire reads 0, else the
        # difference. Wire s starts at a quarter turn where i is 1.
        (phi[:, 0] - phi[:, 1]) / 2 - np.pi / 4,
        (phi[:, 0] + phi[:, 1]) / 2 + np.pi / 4,
        (direction_0 - direction_1) / 2,
        (direction_0 + direction_1) / 2,
        second_turn,
        first_turn,
    ]
    return 2 * np.stack(angles, axis=1), vectors


def _balancing_turn(blocks: Array) -> Array:
    """The turn of wire e after which psi_0 and psi_1 span areas of equal size: (B,).

    Areas are wedge products of two columns. Their sum over e does not change with the turn, their
    difference does as (psi_0 - psi_1) cos + (mixed) sin of twice the angle.
    """
    pairs = np.array(list(combinations(range(blocks.shape[1]), 2)))

    def wedge(e: int, f: int) -> Array:
        x, y = blocks[:, :, e, 0], blocks[:, :, f, 1]
        return x[:, pairs[:, 0]] * y[:, pairs[:, 1]] - x[:, pairs[:, 1]] * y[:, pairs[:, 0]]

    zero, one = wedge(0, 0), wedge(1, 1)
    cosine = np.sum((zero + one) * (zero - one), axis=1)
    sine = np.sum((zero + one) * (wedge(0, 1) + wedge(1, 0)), axis=1)
    return np.arctan2(-cosine, sine) / 2


def _bisect(psi_0: Array, psi_1: Array) -> tuple[Array, Array, Array]:
    """(g and h (B, 2, 2, 2), phi (B, 2), vectors (B, D/4, 4)) with det g = -det h."""
    plane_0 = np.linalg.qr(psi_0)[0]
    plane_1 = np.linalg.qr(psi_1)[0]
    u, _, v = np.linalg.svd(transposed(plane_0) @ plane_1)
    plane_1 = plane_1 @ transposed(u @ v)
    # The planes are now as near to each other as turns within them allow: their sum is at least
    # sqrt 2 long, and orthogonal to their difference, which may vanish and so decides the basis.
    total, difference = plane_0 + plane_1, plane_0 - plane_1
    rest = np.linalg.qr(total, mode="complete")[0][:, :, 2:]
    inner, twice_sine, turn = np.linalg.svd(transposed(rest) @ difference, full_matrices=False)
    turn = transposed(turn)
    far, near = rest @ inner, total @ turn
    twice_cosine = np.linalg.norm(near, axis=1)
    near = near / twice_cosine[:, None]
    phi = np.arctan2(twice_sine, twice_cosine)
    g = transposed(plane_0 @ turn) @ psi_0
    h = transposed(plane_1 @ turn) @ psi_1

    # Where the signs are wrong, -q_1 serves as q_1: its bisectors change places.
    exchange = determinant_2x2(g) * determinant_2x2(h) > 0
    h[exchange, 1] *= -1
    phi[exchange, 1] = np.pi / 2 - phi[exchange, 1]
    vectors = np.stack([near[:, :, 0], far[:, :, 0], near[:, :, 1], far[:, :, 1]], axis=2)
    vectors[exchange] = vectors[exchange][:, :, [0, 1, 3, 2]]
    if vectors.shape[1] == 4:
        mirrored = np.linalg.det(vectors) < 0
        vectors[mirrored, :, 3] *= -1
        phi[mirrored, 1] *= -1
    return np.stack([g, h], axis=1), phi, vectors


def _split_ranks(slices: Array) -> tuple[Array, Array]:
    """The turn of wire e (B,) that leaves two slices of rank one, and these slices (B, 2, 2, 2)."""
    g, h = slices[:, 0], slices[:, 1]
    turn = np.arctan2(determinant_2x2(h) - determinant_2x2(g), _mixed_determinant(g, h)) / 2
    # Rounding leaves determinants near 1e-16, which is much for a slice that is itself small:
    # Newton's method for the smaller slice.
    for _ in range(_POLISHING_STEPS):
        g, h = _turned(slices, turn)
        g_is_smaller = np.sum(g**2, axis=(1, 2)) < np.sum(h**2, axis=(1, 2))
        slope = _mixed_determinant(g, h)
        step = np.where(g_is_smaller, -determinant_2x2(g), determinant_2x2(h))
        step = step / np.where(slope == 0, np.inf, slope)
        turn = turn + np.where(np.abs(step) < _LONGEST_POLISHING_STEP, step, 0.0)
    return turn, np.stack(_turned(slices, turn), axis=1)


def _turned(slices: Array, turn: Array) -> tuple[Array, Array]:
    cosine, sine = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    g, h = slices[:, 0], slices[:, 1]
    return cosine * g + sine * h, cosine * h - sine * g


def _mixed_determinant(g: Array, h: Array) -> Array:
    """det(g + h) - det g - det h, without cancellation."""
    straight = g[:, 0, 0] * h[:, 1, 1] + h[:, 0, 0] * g[:, 1, 1]
    return straight - g[:, 0, 1] * h[:, 1, 0] - h[:, 0, 1] * g[:, 1, 0]
