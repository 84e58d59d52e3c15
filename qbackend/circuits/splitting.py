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

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers.canonical import TIE, direction, orthonormal
from ..layers.inputs import Numbers, constant_like, library_of, patched
from .orthogonal import determinant_2x2, reversal, rotation_matrices, svd_2x2, transposed

_POLISHING_STEPS = 2
_LONGEST_POLISHING_STEP = 0.1
_BY_PAIRS = np.array([0, 3, 1, 2])
_SECOND_PAIR_SWAPPED = np.array([0, 1, 3, 2])


def split_two_wires(states: Numbers) -> tuple[Numbers, Numbers]:
    """Angles (B, 9) of the last two wires, and the vectors (B, D/4, 4) that remain to be made.

    The vectors are f_0, f'_0, f_1, f'_1 of the module's text, of determinant 1 if square.
    """
    library = library_of(states)
    blocks = states.reshape(-1, states.shape[1] // 4, 2, 2)
    first_turn = _balancing_turn(blocks)
    blocks = library.einsum("brfg,bfe->breg", blocks, rotation_matrices(first_turn))
    slices, phi, vectors = _bisect(blocks[:, :, 0], blocks[:, :, 1])
    second_turn, slices = _split_ranks(slices)

    x, y = slices[..., 0], slices[..., 1]
    angle = direction(2 * _dot(x, y), _dot(x, x) - _dot(y, y), TIE**2) / 2
    columns = library.cos(angle)[..., None] * x + library.sin(angle)[..., None] * y
    u, v, ratio = svd_2x2(transposed(columns))
    angles = [
        ratio,
        u,
        v,
        # A turn on both sides of a CZ: their sum where its other wire reads 0, else the
        # difference. Wire s starts at a quarter turn where i is 1.
        (phi[:, 0] - phi[:, 1]) / 2 - np.pi / 4,
        (phi[:, 0] + phi[:, 1]) / 2 + np.pi / 4,
        (angle[:, 0] - angle[:, 1]) / 2,
        (angle[:, 0] + angle[:, 1]) / 2,
        second_turn,
        first_turn,
    ]
    return 2 * library.stack(angles, axis=1), vectors


def _balancing_turn(blocks: Numbers) -> Numbers:
    """The turn of wire e after which psi_0 and psi_1 span areas of equal size: (B,).

    Areas are wedge products of two columns. Their sum over e does not change with the turn, their
    difference does as (psi_0 - psi_1) cos + (mixed) sin of twice the angle.
    """
    library = library_of(blocks)
    first, second = (constant_like(each, blocks) for each in _pairs(blocks.shape[1]))
    x, y = blocks[..., 0, None], blocks[:, :, None, :, 1]
    wedges = x[:, first] * y[:, second] - x[:, second] * y[:, first]
    zero, one = wedges[..., 0, 0], wedges[..., 1, 1]
    areas = library.stack([zero + one, zero - one, wedges[..., 0, 1] + wedges[..., 1, 0]])
    total, straight, crossed = areas
    length, *others = library.linalg.norm(areas, axis=2)
    # What rounding leaves of a wedge product is in proportion to its factors.
    rounded = TIE * library.prod(library.linalg.norm(blocks, axis=(1, 2)), axis=1)
    cosine, sine = (
        library.where(library.abs(part) <= rounded * library.maximum(length, other), 0.0, part)
        for part, other in zip((_dot(total, straight), _dot(total, crossed)), others, strict=True)
    )
    return library.where(length <= rounded, 0.0, direction(-cosine, sine, 0.0) / 2)


@cache
def _pairs(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(size, 1)


def _bisect(psi_0: Numbers, psi_1: Numbers) -> tuple[Numbers, Any, Any]:
    """(g and h (B, 2, 2, 2), phi (B, 2), vectors (B, D/4, 4)) with det g = -det h >= 0."""
    library = library_of(psi_0)
    plane_0, plane_1 = orthonormal(psi_0), orthonormal(psi_1)
    # Bases of opposite orientation give determinants of opposite sign.
    plane_1[:, :, 1] *= -1
    u, v, ratio = svd_2x2(transposed(plane_0) @ plane_1)
    p, q = plane_0 @ rotation_matrices(u), plane_1 @ rotation_matrices(v)
    # An angle beyond a right one is that to -q_1, whose bisectors change places.
    obtuse = ratio < 0
    towards = library.where(obtuse, -1.0, 1.0)[:, None]
    q[:, :, 1] *= towards
    # Sines tell small angles apart, where cosines do not.
    d_0, d_1 = library.moveaxis(p - q, 2, 0)
    square_0, square_1 = _dot(d_0, d_0), _dot(d_1, d_1)
    floor = TIE * library.sqrt(square_0 + square_1)
    turn = direction(-2 * _dot(d_0, d_1), square_1 - square_0, floor) / 2
    p, q = p @ rotation_matrices(turn), q @ rotation_matrices(turn)
    near, far = p + q, p - q
    norm = library.linalg.norm
    phi = library.arctan2(norm(far, axis=1), norm(near, axis=1))
    # The longer a bisector, the better it is known.
    in_order = library.stack([near[:, :, 0], near[:, :, 1], far[:, :, 1], far[:, :, 0]], axis=2)
    vectors = orthonormal(in_order)[:, :, constant_like(_BY_PAIRS, psi_0)]
    g, h = transposed(p) @ psi_0, transposed(q) @ psi_1
    h[:, 1] *= towards
    phi[:, 1] = library.where(obtuse, np.pi / 2 - phi[:, 1], phi[:, 1])
    swapped = constant_like(_SECOND_PAIR_SWAPPED, psi_0)
    (vectors,) = patched(obtuse, (vectors,), lambda some: (some[:, :, swapped],), vectors)
    if vectors.shape[1] == 4:
        # The nearest pair of principal vectors may pass each other: a sign that follows them.
        sign = reversal(vectors)
        vectors[:, :, 1] *= sign[:, None]
        phi[:, 0] *= sign
    return library.stack([g, h], axis=1), phi, vectors


def _split_ranks(slices: Numbers) -> tuple[Numbers, Numbers]:
    """The turn of wire e (B,) that leaves two slices of rank one, and these slices (B, 2, 2, 2)."""
    library = library_of(slices)
    g, h = slices[:, 0], slices[:, 1]
    of_g, of_h = library.linalg.norm(slices, axis=(2, 3)).T
    # The smaller slice knows its determinant better; that of the other is its negative.
    apart = 2 * library.where(of_g < of_h, -determinant_2x2(g), determinant_2x2(h))
    mixed, smaller = _mixed_determinant(g, h), library.minimum(of_g, of_h)
    floor = TIE * library.where(smaller <= TIE, 1.0, smaller)
    turn = direction(apart, mixed, floor) / 2
    # Rounding leaves determinants near 1e-16, which is much for a slice that is itself small:
    # Newton's method for the smaller slice.
    open_ = library.hypot(apart, mixed) <= floor
    for _ in range(_POLISHING_STEPS):
        g, h = _turned(slices, turn)
        g_is_smaller = library.sum(g**2, axis=(1, 2)) < library.sum(h**2, axis=(1, 2))
        slope = _mixed_determinant(g, h)
        step = library.where(g_is_smaller, -determinant_2x2(g), determinant_2x2(h))
        step = step / library.where(open_ | (slope == 0), np.inf, slope)
        turn = turn + library.where(library.abs(step) < _LONGEST_POLISHING_STEP, step, 0.0)
    return turn, library.stack(_turned(slices, turn), axis=1)


def _turned(slices: Numbers, turn: Numbers) -> tuple[Numbers, Numbers]:
    library = library_of(turn)
    cosine, sine = library.cos(turn)[:, None, None], library.sin(turn)[:, None, None]
    g, h = slices[:, 0], slices[:, 1]
    return cosine * g + sine * h, cosine * h - sine * g


def _dot(x: Numbers, y: Numbers) -> Numbers:
    return library_of(x).sum(x * y, axis=-1)


def _mixed_determinant(g: Numbers, h: Numbers) -> Numbers:
    """det(g + h) - det g - det h, without cancellation."""
    straight = g[:, 0, 0] * h[:, 1, 1] + h[:, 0, 0] * g[:, 1, 1]
    return straight - g[:, 0, 1] * h[:, 1, 0] - h[:, 0, 1] * g[:, 1, 0]
