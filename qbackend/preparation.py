"""Compact preparation of real states on a line of wires, where CZ gates join neighbours only.

A state of Q wires takes 0, 1, 3, 7, 19, 50 two-qubit gates for Q = 1 ... 6, where the textbook tree
of multiplexed rotations takes 2^Q - 2 between any two wires. The circuit is the same for all
states; its angles come from singular value decompositions (the halves of a state, Plesch and
Brukner, arXiv 1003.5760) and, from four wires, from this:

Let the last two wires be e and g, s the wire before them, and let the state be a matrix whose rows
are the readings of the other wires: psi_0 and psi_1 (two columns each) where e reads 0 and 1. The
two column spaces are planes. Two planes have two pairs of principal vectors, p_i in one and q_i in
the other; f_i and f'_i, the bisectors of p_i and q_i, are orthonormal. Hence

    p_i = cos(phi_i) f_i + sin(phi_i) f'_i,     psi_0 = sum of p_i g_i^T,
    q_i = cos(phi_i) f_i - sin(phi_i) f'_i,     psi_1 = sum of q_i h_i^T,

and the minus sign is a CZ between s and e: before it and before the operation that makes f_i of
|i>|0> and f'_i of |i>|1>, the state is the sum of |i> (cos(phi_i), sin(phi_i))_s (g_i, h_i)_eg. It
takes four gates if det g = -det h, because then a turn of wire e leaves slices of rank one. To get
there wire e is turned beforehand: det psi_0^T psi_0 - det psi_1^T psi_1 is a cosine of twice that
turn, so it has a zero, whatever the state.

Letters: B batch, Q wires, D = 2^Q amplitudes, E angles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from .base import Array
from .encodings import AmplitudeEncoding
from .errors import OptionError
from .orthogonal import (
    determinant_2x2,
    isometry_angles,
    rotation_matrices,
    so4_angles,
    so8_angles,
    svd_2x2,
    transposed,
)

N_ANGLES = {1: 1, 2: 3, 3: 8, 4: 15, 5: 33, 6: 72}
"""E for each number of wires that has a compact preparation."""

# Six wires: what copies three bits from the left half to both halves of a line, as three
# independent parities in each. A search shows that nine is the least number of CNOTs.
_SPREAD = ((2, 3), (1, 2), (0, 1), (3, 4), (2, 3), (1, 2), (4, 5), (3, 4), (2, 3))

_POLISHING_STEPS = 2
_LONGEST_POLISHING_STEP = 0.1


@dataclass(frozen=True)
class CompactEncoder:
    """Features (B, F) to the angles (B, E) of the compact preparation on a line.

    Attributes:
        order: amplitude `order[k]` of the layer is amplitude k of the line.
    """

    order: tuple[int, ...]

    def __call__(self, features: Array) -> Array:
        """Angles; zero for a row that encodes nothing."""
        states = AmplitudeEncoding().states(np.asarray(features, dtype=np.float64))
        empty = AmplitudeEncoding().is_zero(features)
        return np.where(empty[:, None], 0.0, compact_angles(states[:, self.order]))


def check_compact(n_wires: int) -> None:
    """Raise `OptionError` unless there is a compact preparation on that many wires."""
    if n_wires not in N_ANGLES:
        raise OptionError(
            f"the compact encoder takes 1 to {max(N_ANGLES)} wires, the layer has {n_wires}; "
            "choose encoder 'textbook'"
        )


def compact_angles(states: Array) -> Array:
    """Angles (B, E) of the circuit that prepares real unit vectors (B, D), up to their signs.

    Raises:
        OptionError: no compact preparation on so many wires.
    """
    n_wires = states.shape[1].bit_length() - 1
    check_compact(n_wires)
    if n_wires == 1:
        return 2 * np.arctan2(states[:, 1:], states[:, :1])
    return {2: _two, 3: _three, 4: _four, 5: _five, 6: _six}[n_wires](states)


def append_compact(circuit: QuantumCircuit, qubits: Sequence[int], angles: Sequence[Any]) -> None:
    """Append the preparation; `qubits` are those of the line's wires 0 to Q - 1, all in |0>.

    `angles` are E parameters or numbers.

    Raises:
        OptionError: no compact preparation on so many wires.
    """
    check_compact(len(qubits))
    _Writer(circuit, qubits, iter(angles)).prepare(len(qubits))


def _two(states: Array) -> Array:
    u, v, ratio = svd_2x2(states.reshape(-1, 2, 2))
    return 2 * np.stack([ratio, u, v], axis=1)


def _three(states: Array) -> Array:
    """Schmidt vectors of wire 0 by a turn, those of the other two wires by an SO(4)."""
    left, values, right = np.linalg.svd(states.reshape(-1, 2, 4))
    mirrored = determinant_2x2(left) < 0
    left[mirrored, :, 1] *= -1
    right[mirrored, 1] *= -1
    # Wire 2 starts in |0>: only the images of |00> and |10> matter.
    images = transposed(right)[:, :, [0, 2, 1, 3]]
    images[np.linalg.det(images) < 0, :, 3] *= -1
    head = np.stack(
        [np.arctan2(values[:, 1], values[:, 0]), np.arctan2(left[:, 1, 0], left[:, 0, 0])], axis=1
    )
    return np.concatenate([2 * head, so4_angles(images)], axis=1)


def _four(states: Array) -> Array:
    head, vectors = _split_two_wires(states)
    return np.concatenate([head, so4_angles(vectors)], axis=1)


def _five(states: Array) -> Array:
    head, vectors = _split_two_wires(states)
    return np.concatenate([head, isometry_angles(vectors)], axis=1)


def _six(states: Array) -> Array:
    """Singular values on three wires, their index spread, an SO(8) on each half."""
    left, values, right = np.linalg.svd(states.reshape(-1, 8, 8))
    left_places, right_places = _spread_places()
    halves = []
    for vectors, places in ((left, left_places), (transposed(right), right_places)):
        placed = np.empty_like(vectors)
        placed[:, :, places] = vectors
        mirrored = np.linalg.det(placed) < 0
        placed[mirrored, :, places[7]] *= -1
        values[mirrored, 7] *= -1
        halves.append(so8_angles(placed))
    return np.concatenate([_three(values), *halves], axis=1)


def _spread_places() -> tuple[Array, Array]:
    """Where each reading of the left half goes: readings of the left and of the right half."""
    bits = np.zeros((6, 8), dtype=int)
    bits[:3] = (np.arange(8) >> np.array([2, 1, 0])[:, None]) & 1
    for control, target in _SPREAD:
        bits[target] ^= bits[control]
    weights = np.array([4, 2, 1])
    return weights @ bits[:3], weights @ bits[3:]


def _split_two_wires(states: Array) -> tuple[Array, Array]:
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
    plane_0 = np.linalg.svd(psi_0, full_matrices=False)[0]
    plane_1 = np.linalg.svd(psi_1, full_matrices=False)[0]
    u, _, v = np.linalg.svd(transposed(plane_0) @ plane_1)
    plane_1 = plane_1 @ transposed(u @ v)
    # The planes are now as near to each other as turns within them allow: their sum is at least
    # sqrt 2 long, and orthogonal to their difference, which may vanish and so decides the basis.
    total, difference = plane_0 + plane_1, plane_0 - plane_1
    rest = np.linalg.svd(total)[0][:, :, 2:]
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


@dataclass(frozen=True)
class _Writer:
    """Appends gates on a line's wires and takes the angles one after the other."""

    circuit: QuantumCircuit
    qubits: Sequence[int]
    angles: Iterator[Any]

    def prepare(self, n_wires: int) -> None:
        if n_wires <= 3:
            self._few(n_wires)
        elif n_wires == 6:
            self._few(3)
            for control, target in _SPREAD:
                self._cx(control, target)
            self._so8(0, 1, 2)
            self._so8(3, 4, 5)
        else:
            self._last_two_wires(n_wires)
            if n_wires == 4:
                self._so4(0, 1)
            else:
                self._so4(1, 2)
                self._multiplexed_ry(0, 1, 2)
                self._multiplexed_so4(0, 1, 2)

    def _few(self, n_wires: int) -> None:
        self._ry(0)
        if n_wires == 1:
            return
        self._cx(0, 1)
        self._ry(0)
        if n_wires == 2:
            self._ry(1)
        else:
            self._so4(1, 2)

    def _last_two_wires(self, n_wires: int) -> None:
        i, s, e, g = range(n_wires - 4, n_wires)
        self._ry(s)
        self._cx(s, e)
        self._ry(s)
        self._ry(e)
        self._cx(s, i)
        self._ry(s)
        self._cz(i, s)
        self._ry(s)
        self._ry(g)
        self._cz(e, g)
        self._ry(g)
        self._ry(e)
        self._cz(s, e)
        self._ry(e)

    def _so4(self, first: int, second: int) -> None:
        for layer in range(3):
            self._ry(first)
            self._ry(second)
            if layer < 2:
                self._cz(first, second)

    def _multiplexed_ry(self, target: int, first: int, second: int) -> None:
        self._ry(target)
        self._cz(target, first)
        self._ry_after_parity(target, first, second)
        self._cz(target, first)
        self._ry(target)

    def _ry_after_parity(self, target: int, first: int, second: int) -> None:
        self._ry(target)
        self._cx(second, first)
        self._cz(target, first)
        self._cx(second, first)
        self._ry(target)

    def _multiplexed_so4(self, select: int, first: int, second: int) -> None:
        self._so4(first, second)
        self._cz(select, first)
        self._ry(first)
        self._cz(first, second)
        self._ry(first)
        self._cz(select, first)
        self._so4(first, second)

    def _so8(self, first: int, second: int, third: int) -> None:
        self._multiplexed_so4(first, second, third)
        self._multiplexed_ry(first, second, third)
        self._multiplexed_so4(first, second, third)

    def _ry(self, wire: int) -> None:
        self.circuit.ry(next(self.angles), self.qubits[wire])

    def _cz(self, one: int, other: int) -> None:
        self.circuit.cz(self.qubits[one], self.qubits[other])

    def _cx(self, control: int, target: int) -> None:
        self.circuit.cx(self.qubits[control], self.qubits[target])
