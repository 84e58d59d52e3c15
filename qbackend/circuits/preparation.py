"""Compact preparation of real states on a line of wires, where CZ gates join neighbours only.

A state of Q wires takes 0, 1, 3, 7, 19, 50 two-qubit gates for Q = 1 ... 6, where the textbook tree
of multiplexed rotations takes 2^Q - 2 between any two wires. The circuit is the same for all
states; its angles come from the singular value decomposition of a state between two parts of the
line (Plesch and Brukner, arXiv 1003.5760) and, for four and five wires, from `splitting`.

Letters: B batch, Q wires, D = 2^Q amplitudes, E angles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from ..errors import OptionError
from ..layers.canonical import (
    TIE,
    direction,
    orthonormal,
    references,
    settled,
    settling_turns,
    ties,
)
from ..layers.encodings import AmplitudeEncoding
from ..layers.inputs import Array, Numbers, constant_like, library_of
from .orthogonal import (
    isometry_angles,
    reversal,
    rotation_matrices,
    so4_angles,
    so8_angles,
    svd_2x2,
    transposed,
)
from .splitting import split_two_wires

N_ANGLES = {1: 1, 2: 3, 3: 8, 4: 15, 5: 33, 6: 72}
"""E for each number of wires that has a compact preparation."""

MOST_WIRES_IN_PLACE = 4
"""Beyond them singular value decompositions are taken, for which a device would be waited for."""

_SECOND_WIRE_FIRST = np.array([0, 2, 1, 3])

# Six wires: what copies three bits from the left half to both halves of a line, as three
# independent parities in each. A search shows that nine is the least number of CNOTs.
_SPREAD = ((2, 3), (1, 2), (0, 1), (3, 4), (2, 3), (1, 2), (4, 5), (3, 4), (2, 3))


@dataclass(frozen=True)
class CompactPreparation:
    """Features (B, F) to the angles (B, E) of the compact preparation on a line.

    Attributes:
        order: amplitude `order[k]` of the layer is amplitude k of the line.
    """

    order: tuple[int, ...]

    def __call__(self, features: Numbers) -> Numbers:
        """Angles; zero for a row that encodes nothing.

        Tensors of more than `MOST_WIRES_IN_PLACE` wires take the way through the CPU.
        """
        library = library_of(features)
        if library is not np and len(self.order) > 2**MOST_WIRES_IN_PLACE:
            there: Any = features
            return library.from_numpy(self(there.cpu().numpy())).to(there.device)
        states = AmplitudeEncoding().states(features)
        empty = ~library.any(states, axis=1)[:, None]
        order = constant_like(np.array(self.order), states)
        return library.where(empty, 0.0, compact_angles(states[:, order]))


def check_compact(n_wires: int) -> None:
    """Raise `OptionError` unless there is a compact preparation on that many wires."""
    if n_wires not in N_ANGLES:
        raise OptionError(
            f"the compact preparation takes 1 to {max(N_ANGLES)} wires, the layer has {n_wires}; "
            "choose preparation 'textbook'"
        )


def compact_angles(states: Numbers) -> Numbers:
    """Angles (B, E) of the circuit that prepares real unit vectors (B, D), up to their signs.

    Raises:
        OptionError: no compact preparation on so many wires.
    """
    n_wires = states.shape[1].bit_length() - 1
    check_compact(n_wires)
    if n_wires == 1:
        return 2 * direction(states[:, 1:], states[:, :1])
    along = states @ constant_like(references(2**n_wires)[0], states)
    states = states * library_of(states).where(along < 0, -1.0, 1.0)[:, None]
    ways: dict[int, Any] = {2: _two, 3: _three, 4: _four, 5: _five, 6: _six}
    return ways[n_wires](states)


def append_compact(circuit: QuantumCircuit, qubits: Sequence[int], angles: Sequence[Any]) -> None:
    """Append the preparation; `qubits` are those of the line's wires 0 to Q - 1, all in |0>.

    `angles` are E parameters or numbers.

    Raises:
        OptionError: no compact preparation on so many wires.
    """
    check_compact(len(qubits))
    _Writer(circuit, qubits, iter(angles)).prepare(len(qubits))


def _two(states: Numbers) -> Numbers:
    u, v, ratio = svd_2x2(states.reshape(-1, 2, 2))
    return 2 * library_of(states).stack([ratio, u, v], axis=1)


def _three(states: Numbers) -> Numbers:
    """Schmidt vectors of wire 0 by a turn, those of the other two wires by an SO(4)."""
    library = library_of(states)
    rows = states.reshape(-1, 2, 4)
    squares = library.sum(rows**2, axis=2)
    overlap = library.sum(rows[:, 0] * rows[:, 1], axis=1)
    turn = direction(2 * overlap, squares[:, 0] - squares[:, 1]) / 2
    rows = transposed(rotation_matrices(turn)) @ rows
    # Wire 2 starts in |0>: only the images of |00> and |10> matter.
    images = library.tile(constant_like(references(4), states), (len(states), 1, 1))
    images[:, :, :2] = transposed(rows)
    images = orthonormal(images)
    values = library.sum(transposed(rows) * images[:, :, :2], axis=1)
    images = images[:, :, constant_like(_SECOND_WIRE_FIRST, states)]
    images[:, :, 3] *= reversal(images)[:, None]
    head = library.stack([library.arctan2(values[:, 1], values[:, 0]), turn], axis=1)
    return library.concatenate([2 * head, so4_angles(images)], axis=1)


def _four(states: Numbers) -> Numbers:
    head, vectors = split_two_wires(states)
    return library_of(states).concatenate([head, so4_angles(vectors)], axis=1)


def _five(states: Array) -> Array:
    head, vectors = split_two_wires(states)
    return np.concatenate([head, isometry_angles(vectors)], axis=1)


def _six(states: Array) -> Array:
    """Singular values on three wires, their index spread, an SO(8) on each half."""
    left, values, right = np.linalg.svd(states.reshape(-1, 8, 8))
    settling = settling_turns(left, ties(values))
    left, right = left @ settling, settled(transposed(right) @ settling, values <= TIE)
    left_places, right_places = _spread_places()
    halves = []
    for vectors, places in ((left, left_places), (right, right_places)):
        placed = np.empty_like(vectors)
        placed[:, :, places] = vectors
        mirrored = np.linalg.det(placed) < 0
        placed[mirrored, :, places[7]] *= -1
        values[mirrored, 7] *= -1
        halves.append(placed)
    of_halves = np.split(so8_angles(np.concatenate(halves)), 2)
    return np.concatenate([_three(values), *of_halves], axis=1)


def _spread_places() -> tuple[Array, Array]:
    """Where each reading of the left half goes: readings of the left and of the right half."""
    bits = np.zeros((6, 8), dtype=int)
    bits[:3] = (np.arange(8) >> np.array([2, 1, 0])[:, None]) & 1
    for control, target in _SPREAD:
        bits[target] ^= bits[control]
    weights = np.array([4, 2, 1])
    return weights @ bits[:3], weights @ bits[3:]


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
        i, s, e, t = range(n_wires - 4, n_wires)
        self._ry(s)
        self._cx(s, e)
        self._ry(s)
        self._ry(e)
        self._cx(s, i)
        self._ry(s)
        self._cz(i, s)
        self._ry(s)
        self._ry(t)
        self._cz(e, t)
        self._ry(t)
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
        self._ry(target)
        self._cx(second, first)
        self._cz(target, first)
        self._cx(second, first)
        self._ry(target)
        self._cz(target, first)
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
