"""Pauli strings as masks, and what Clifford gates make of them.

Masks have a bit for each qubit, qubit 0 the least significant, as the index of an amplitude has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]

_LETTERS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]]], dtype=complex)


@dataclass(frozen=True)
class PauliString:
    """The operator i^phase X(x) Z(z): Z on the qubits of z first, then X on those of x.

    It is Hermitian if the phase is even exactly where an even number of qubits have both.

    Attributes:
        phase: 0 to 3.
        x, z: masks of qubits.
    """

    phase: int
    x: int
    z: int

    def times(self, other: PauliString) -> PauliString:
        """The product, `other` acting first."""
        swaps = 2 * (self.z & other.x).bit_count()
        phase = (self.phase + other.phase + swaps) % 4
        return PauliString(phase, self.x ^ other.x, self.z ^ other.z)

    def commutes(self, other: PauliString) -> bool:
        """Whether the two operators commute."""
        return ((self.x & other.z).bit_count() + (self.z & other.x).bit_count()) % 2 == 0

    @property
    def sign(self) -> int:
        """1 or -1 in front of the product of letters X, Y and Z that it is."""
        return 1 - ((self.phase - (self.x & self.z).bit_count()) % 4)


IDENTITY = PauliString(0, 0, 0)


def letters(names: str, qubits: tuple[int, ...]) -> PauliString:
    """The product of X, Y and Z on these qubits."""
    x = sum(1 << q for name, q in zip(names, qubits, strict=True) if name in "XY")
    z = sum(1 << q for name, q in zip(names, qubits, strict=True) if name in "YZ")
    return PauliString((x & z).bit_count() % 4, x, z)


class Frame:
    """What Pauli strings behind the Clifford gates so far are in front of them: C† P C."""

    def __init__(self, n_qubits: int) -> None:
        self._x = [PauliString(0, 1 << qubit, 0) for qubit in range(n_qubits)]
        self._z = [PauliString(0, 0, 1 << qubit) for qubit in range(n_qubits)]

    def before(self, string: PauliString) -> PauliString:
        """The string in front of all gates."""
        found = PauliString(string.phase, 0, 0)
        for masks, images in ((string.x, self._x), (string.z, self._z)):
            for qubit, image in enumerate(images):
                if masks >> qubit & 1:
                    found = found.times(image)
        return found

    def append(self, images: tuple[PauliString, ...], qubits: tuple[int, ...]) -> None:
        """One more gate, by what it makes of X and Z on each of its qubits; see `clifford`."""
        moved = [self.before(_spread(image, qubits)) for image in images]
        for place, qubit in enumerate(qubits):
            self._x[qubit], self._z[qubit] = moved[2 * place : 2 * place + 2]


def clifford(matrix: Matrix) -> tuple[PauliString, ...] | None:
    """G† X G and G† Z G on qubit 0, then 1, ... of a gate's own; None where one is no string."""
    return _clifford(np.asarray(matrix, dtype=complex).tobytes())


@lru_cache(maxsize=256)
def _clifford(content: bytes) -> tuple[PauliString, ...] | None:
    """The same of a matrix's bytes: circuits have few gates, and many of each."""
    whole = np.frombuffer(content, dtype=complex)
    n_qubits = (len(whole).bit_length() - 1) // 2
    matrix = whole.reshape(2**n_qubits, 2**n_qubits)
    images: list[PauliString] = []
    for qubit in range(n_qubits):
        for one in (PauliString(0, 1 << qubit, 0), PauliString(0, 0, 1 << qubit)):
            image = matrix.conj().T @ _matrix(one, n_qubits) @ matrix
            found = [
                (string, value)
                for string in _all(n_qubits)
                if abs(value := np.trace(_matrix(string, n_qubits) @ image) / len(matrix)) > 1e-6
            ]
            if len(found) != 1 or abs(abs(found[0][1]) - 1) > 1e-12:
                return None
            string, value = found[0]
            images.append(string if value.real > 0 else string.times(PauliString(2, 0, 0)))
    return tuple(images)


@lru_cache(maxsize=4)
def _all(n_qubits: int) -> tuple[PauliString, ...]:
    """Every product of letters on so many qubits."""
    qubits = tuple(range(n_qubits))
    return tuple(letters("".join(names), qubits) for names in product("IXYZ", repeat=n_qubits))


@lru_cache(maxsize=512)
def _matrix(string: PauliString, n_qubits: int) -> Matrix:
    found = np.eye(1, dtype=complex)
    for qubit in reversed(range(n_qubits)):
        x, z = string.x >> qubit & 1, string.z >> qubit & 1
        found = np.kron(found, _LETTERS[x] @ _LETTERS[2 * z])
    return 1j**string.phase * found


def _spread(string: PauliString, qubits: tuple[int, ...]) -> PauliString:
    """A gate's own string on the qubits that it acts on."""
    x = sum(1 << qubit for place, qubit in enumerate(qubits) if string.x >> place & 1)
    z = sum(1 << qubit for place, qubit in enumerate(qubits) if string.z >> place & 1)
    return PauliString(string.phase, x, z)
