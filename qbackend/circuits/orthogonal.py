"""Angles of circuits for real orthogonal operations, a batch of matrices at once.

The circuits are made of RY and CZ, which are real. RY(t) is exp(t J/2) with J = [[0, -1], [1, 0]].
The most significant bit of a matrix's index is the first of its wires. Angles are in radians, in
the order in which the circuits of `preparation` take them. Angles may jump where singular values
or angles coincide; the operation does not, and `canonical` says which angles are taken there.

Sources: SO(4) as a pair of unit quaternions on two CNOTs, Vatan and Williams, quant-ph/0308006;
cosine-sine decomposition and demultiplexing, Shende, Bullock and Markov, quant-ph/0406176, in the
real form of Wei and Di, arXiv 1203.0722.

Letters: B batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.canonical import TIE, direction, references, settled, settling_turns, ties
from ..layers.inputs import Array, Numbers, constant_like, library_of, row_numbers

_I = np.eye(2)
_J = np.array([[0.0, -1.0], [1.0, 0.0]])
_Z = np.diag([1.0, -1.0])
_CZ = np.diag([1.0, 1.0, 1.0, -1.0])

# so(4) is two commuting copies of the quaternions, "left" and "right": e1 is RY on one wire, e2 is
# RY on the other wire between two CZ gates, and e3 = e1 e2.
_LEFT = (np.eye(4), np.kron(_J, _I), np.kron(_Z, _J), np.kron(_J @ _Z, _J))
_RIGHT = (np.eye(4), np.kron(_I, _J), np.kron(_J, _Z), np.kron(_J, _J @ _Z))
QUATERNION_PRODUCTS = np.array([[left @ right for right in _RIGHT] for left in _LEFT])
"""(4, 4, 4, 4): a basis of the matrices of four rows, orthogonal, each with a norm of 2."""
_E1, _E2 = np.eye(4)[1], np.eye(4)[2]

# Row j: how angle j of a multiplexed RY enters the turn where the two controls read 0, 1, 2, 3.
_SIGNS = np.array([[1, -1, -1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, 1, 1, 1]])
# Cosine of the angle past a right one at which an axis is reversed.
_LEAN = 0.0431
_ODD_PARITY = np.array([1.0, -1.0, -1.0, 1.0])


def transposed(matrices: Numbers) -> Numbers:
    """Every matrix of a batch transposed."""
    return library_of(matrices).swapaxes(matrices, -1, -2)


def determinant_2x2(matrices: Numbers) -> Numbers:
    """Determinants (...) of matrices (..., 2, 2)."""
    straight = matrices[..., 0, 0] * matrices[..., 1, 1]
    return straight - matrices[..., 0, 1] * matrices[..., 1, 0]


def reversal(matrices: Numbers) -> Numbers:
    """-1 for orthogonal matrices (B, 4, 4) with determinant -1, else 1: (B,)."""
    upper, lower = matrices[:, :2], matrices[:, 2:]

    def minors(first: int, second: int, third: int, fourth: int) -> Any:
        straight = upper[:, 0, first] * upper[:, 1, second]
        above = straight - upper[:, 0, second] * upper[:, 1, first]
        straight = lower[:, 0, third] * lower[:, 1, fourth]
        return above * (straight - lower[:, 0, fourth] * lower[:, 1, third])

    pairs = minors(0, 1, 2, 3) - minors(0, 2, 1, 3) + minors(0, 3, 1, 2)
    determinant = pairs + minors(1, 2, 0, 3) - minors(1, 3, 0, 2) + minors(2, 3, 0, 1)
    return library_of(matrices).where(determinant < 0, -1.0, 1.0 + 0 * determinant)


def rotation_matrices(angles: Numbers) -> Numbers:
    """[[cos, -sin], [sin, cos]] of angles (B,), which is RY of twice the angle: (B, 2, 2)."""
    library = library_of(angles)
    cosine, sine = library.cos(angles), library.sin(angles)
    return library.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)


def svd_2x2(matrices: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Singular value decomposition with rotations on both sides: (B, 2, 2) -> u, v, t of (B,).

    Up to its norm a matrix is R(u) diag(cos t, sin t) R(v)^T, where R are `rotation_matrices`,
    cos t >= |sin t|, and t has the sign of the determinant.
    """
    a, b, c, d = matrices.reshape(-1, 4).T
    difference, total = direction(c - b, a + d), direction(c + b, a - d)
    library = library_of(matrices)
    twice_mean, twice_half_gap = library.hypot(a + d, c - b), library.hypot(a - d, c + b)
    ratio = library.arctan2(twice_mean - twice_half_gap, twice_mean + twice_half_gap)
    return (total + difference) / 2, (total - difference) / 2, ratio


def so4_angles(matrices: Numbers) -> Numbers:
    """Angles (B, 6) of matrices (B, 4, 4) with determinant 1, on two CZ gates.

    The circuit: RY on both wires, CZ, RY on both wires, CZ, RY on both wires.
    """
    library = library_of(matrices)
    first: Any
    last: Any
    first, middle, last = _euler_angles(library.stack(_quaternions(matrices)))
    # e2 of the left copy is RY on the second wire, e2 of the right copy is RY on the first.
    return 2 * library.stack([*first, middle[1], middle[0], *last], axis=1)


def multiplexed_so4_angles(zero: Array, one: Array) -> Array:
    """Angles (B, 14) of `zero` (B, 4, 4) where a select wire reads 0 and `one` where it reads 1.

    Both have determinant -1. The circuit: SO(4) on the pair; CZ(select, first), RY(first),
    CZ(pair), RY(first), CZ(select, first); SO(4) on the pair. The select wire reverses the two
    turns of a CZ-conjugated rotation T, and zero = X T CZ Y, one = X T^-1 CZ Y.
    """
    left, right = _quaternions(zero @ transposed(one))
    left_frame, left_angle = _axis_form(left, _E1)
    right_frame, right_angle = _axis_form(right, _E2)
    last = _from_quaternions(left_frame, right_frame)
    turn_back = _from_quaternions(
        _exponential(-left_angle / 2, _E1), _exponential(-right_angle / 2, _E2)
    )
    first = _CZ @ turn_back @ transposed(last) @ zero
    turns = np.stack([right_angle, left_angle], axis=1)
    before, after = np.split(so4_angles(np.concatenate([first, last])), 2)
    return np.concatenate([before, turns, after], axis=1)


def isometry_angles(columns: Array) -> Array:
    """Angles (B, 24) of orthonormal columns (B, 8, 4), from two wires to three.

    The circuit, with the first of three wires in |0>: SO(4) on the others, multiplexed RY on the
    first wire, SO(4) on the others multiplexed by the first.
    """
    zero, one, turns, right = _cosine_sine(columns, right_determinant=1)
    last = multiplexed_so4_angles(zero, one)
    return np.concatenate([so4_angles(right), multiplexed_ry_angles(2 * turns), last], axis=1)


def so8_angles(matrices: Array) -> Array:
    """Angles (B, 32) of matrices (B, 8, 8) with determinant 1.

    The circuit: SO(4) on the last two wires multiplexed by the first, multiplexed RY on the first
    wire, SO(4) on the others multiplexed by the first.
    """
    zero, one, turns, right = _cosine_sine(matrices[:, :, :4], right_determinant=-1)
    cosine, sine = np.cos(turns)[:, :, None], np.sin(turns)[:, :, None]
    upper, lower = matrices[:, :4, 4:], matrices[:, 4:, 4:]
    right_one = cosine * (transposed(one) @ lower) - sine * (transposed(zero) @ upper)
    # The multiplexed RY begins with a CZ between its target and the parity of its controls.
    first = multiplexed_so4_angles(right, _ODD_PARITY[:, None] * right_one)
    last = multiplexed_so4_angles(zero, one)
    return np.concatenate([first, multiplexed_ry_angles(2 * turns), last], axis=1)


def multiplexed_ry_angles(turns: Array) -> Array:
    """Angles (B, 4) of RY by turns (B, 4), one for each reading of two control wires.

    The circuit: four RY on the target, and between them a CZ with the first control, with the
    parity of both, and with the first again; in all it is a CZ of the target with that parity,
    followed by the multiplexed RY.
    """
    return turns @ _SIGNS.T / 4


def _quaternions(matrices: Numbers) -> tuple[Numbers, Numbers]:
    """The left and right unit quaternions (B, 4) of matrices in SO(4)."""
    library = library_of(matrices)
    pairs = constant_like(QUATERNION_PRODUCTS.reshape(16, 16).T, matrices)
    products = (matrices.reshape(-1, 16) @ pairs).reshape(-1, 4, 4) / 4
    # The products of components have rank one; the largest one's row and column are exact.
    rows = row_numbers(matrices)
    largest = library.abs(products).reshape(len(matrices), 16).argmax(axis=1)
    m, n = largest // 4, largest % 4
    left, right = products[rows, :, n], products[rows, m, :]
    left = left / library.linalg.norm(left, axis=1, keepdims=True)
    right = right / library.linalg.norm(right, axis=1, keepdims=True)
    right = right * library.sign(products[rows, m, n] * left[rows, m] * right[rows, n])[:, None]
    along = left @ constant_like(references(4)[0], left)
    sign = library.where(along < 0, -1.0, 1.0)[:, None]
    return left * sign, right * sign


def _from_quaternions(left: Array, right: Array) -> Array:
    return np.einsum("bm,bn,mnij->bij", left, right, QUATERNION_PRODUCTS)


def _euler_angles(q: Numbers) -> tuple[Numbers, Any, Numbers]:
    """(first, middle, last), each (...): q (..., 4) = exp(last e1) exp(middle e2) exp(first e1)."""
    library = library_of(q)
    w, x, y, z = library.moveaxis(q, -1, 0)
    total, difference = direction(x, w), direction(z, y)
    middle = library.arctan2(library.hypot(y, z), library.hypot(w, x))
    return (total - difference) / 2, middle, (total + difference) / 2


def _exponential(angles: Array, axis: Array) -> Array:
    """exp(angle * axis) as quaternions (B, 4), for a unit e1, e2 or e3."""
    return np.cos(angles)[:, None] * np.eye(4)[0] + np.sin(angles)[:, None] * axis


def _axis_form(q: Array, axis: Array) -> tuple[Array, Array]:
    """(frames (B, 4), angles (B,)) such that q = frame exp(angle axis) frame^-1."""
    vector = q[:, 1:]
    length = np.linalg.norm(vector, axis=1)
    along = np.where(vector @ axis[1:] < -_LEAN * length, -1.0, 1.0)
    unit = np.where(length[:, None] > TIE, along[:, None] * vector, axis[1:])
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    # 1 - unit * axis turns `axis` to `unit`; it is long because the two are not opposite.
    frame = np.concatenate([1 + unit @ axis[1:, None], -np.cross(unit, axis[1:])], axis=1)
    frame = frame / np.linalg.norm(frame, axis=1, keepdims=True)
    return frame, direction(along * length, q[:, 0])


def _cosine_sine(columns: Array, right_determinant: int) -> tuple[Array, Array, Array, Array]:
    """Cosine-sine decomposition of orthonormal columns (B, 8, 4).

    Returns (zero, one, turns, right): the upper half of a matrix is zero diag(cos turns) right,
    the lower one diag(sin turns) right. `zero` and `one` have determinant -1.
    """
    lower = columns[:, 4:]
    zero, cosine, right = np.linalg.svd(columns[:, :4])
    one, sine = np.empty_like(zero), np.empty_like(cosine)
    # A cosine near 1 does not determine its sine: where sines are small, they decide the vectors.
    n_small = np.sum(cosine > np.sqrt(0.5), axis=1)
    for small in np.unique(n_small):
        rows = np.flatnonzero(n_small == small)
        images = lower[rows] @ transposed(right[rows])
        sine[rows, small:] = np.linalg.norm(images[:, :, small:], axis=1)
        one[rows, :, small:] = images[:, :, small:] / sine[rows, None, small:]
        if small == 0:
            continue
        basis = np.linalg.svd(one[rows, :, small:])[0][:, :, 4 - small :]
        left, falling, turn = np.linalg.svd(transposed(basis) @ images[:, :, :small])
        left, sine[rows, :small], turn = left[:, :, ::-1], falling[:, ::-1], turn[:, ::-1]
        one[rows, :, :small] = basis @ left
        right[rows, :small] = turn @ right[rows, :small]
        mixed = zero[rows, :, :small] @ (cosine[rows, :small, None] * transposed(turn))
        cosine[rows, :small] = np.linalg.norm(mixed, axis=1)
        zero[rows, :, :small] = mixed / cosine[rows, None, :small]
    settling = settling_turns(transposed(right), ties(np.arctan2(sine, cosine)))
    zero, one, right = zero @ settling, one @ settling, transposed(settling) @ right
    zero, one = settled(zero, cosine <= TIE), settled(one, sine <= TIE)
    wrong = np.linalg.det(right) * right_determinant < 0
    for vectors in (transposed(right), zero, one):
        vectors[wrong, :, 3] *= -1
    # Cosines fall and sines rise: the smallest one takes the sign, as it may vanish.
    for vectors, factor, smallest in ((zero, cosine, 3), (one, sine, 0)):
        mirrored = np.linalg.det(vectors) > 0
        vectors[mirrored, :, smallest] *= -1
        factor[mirrored, smallest] *= -1
    return zero, one, np.arctan2(sine, cosine), right
