"""What the fused kernel for noise is compiled for, given, and reads; see `../cuda/pauli.cu`.

Letters: D = 4^Q Pauli coefficients, K turns, L words, M observables, N rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .program import Segment
from .transfer import Constant

BLOCK_THREADS, MOST_ROW_THREADS = 128, 256
GROUP = 16
"""Coefficients that a matrix on two qubits mixes: a thread's."""

_POINTERS = (
    "words", "matrices", "transposed", "starts", "angles", "forms", "cotangent", "values",
    "of_angles", "of_forms", "kept", "fault",
)  # fmt: skip
_NUMBERS = (
    "n_words", "n_rows", "n_angles", "n_forms", "n_kept", "start_stride", "angle_stride", "spare",
)  # fmt: skip


class Parameters(ctypes.Structure):
    """What a launch is given, byte for byte as `pauli.cu` has it."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_int) for name in _NUMBERS),
    )


class Do(IntEnum):
    """What a word does."""

    TURN = 0
    SINGLE = 1
    PAIR = 2
    KEEP = 3


@dataclass(frozen=True)
class Variant:
    """What the kernel is compiled for; see `..cuda.parameters.Variant`.

    Attributes:
        n_qubits: of a vector.
        is_double: float64 in place of float32.
    """

    n_qubits: int
    is_double: bool

    source = "pauli.cu"

    @property
    def row_threads(self) -> int:
        """Threads of a row."""
        return min(max(1, 4**self.n_qubits // GROUP), MOST_ROW_THREADS)

    @property
    def rows(self) -> int:
        """Of a block."""
        return max(1, BLOCK_THREADS // self.row_threads)

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows * self.row_threads

    @property
    def shared_bytes(self) -> int:
        """Of a block's shared memory: its rows' vectors, and a number of each warp."""
        dimension = 4**self.n_qubits
        numbers = self.rows * (dimension + dimension // 32) + self.threads // 32
        return numbers * (8 if self.is_double else 4)

    @property
    def definitions(self) -> list[str]:
        """As a compiler's options."""
        given = {"QUBITS": self.n_qubits, "ROW_THREADS": self.row_threads, "ROWS": self.rows}
        options = [f"-D{name}={value}" for name, value in given.items()]
        return [*options, "-DDOUBLE"] if self.is_double else options


Step = Constant | list[tuple[int, int]]
"""A matrix, or turns of different qubits: each the qubit and the number of its angle."""


def steps(segment: Segment) -> Iterator[Step]:
    """A segment in order."""
    n_turns = 0
    for stage in segment.stages:
        yield from stage.constants
        yield [(qubit, n_turns + index) for index, qubit in enumerate(stage.turned)]
        n_turns += len(stage.turned)


def steps_back(segment: Segment) -> Iterator[Step]:
    """With angles of the other sign, the transpose of the whole."""
    for step in reversed(list(steps(segment))):
        yield Constant(step.qubits, step.matrix.T) if isinstance(step, Constant) else step


def written(steps: Iterable[Step]) -> tuple[list[list[int]], list[np.ndarray], int]:
    """Words (L, 4), the matrices that they name, and how many vectors are kept."""
    found: list[list[int]] = []
    matrices: list[np.ndarray] = []
    n_quads = n_kept = 0
    for step in steps:
        if isinstance(step, Constant):
            at, *other = (2 * qubit for qubit in step.qubits)
            found.append([Do.PAIR if other else Do.SINGLE, at, *(other or [0]), n_quads])
            matrices.append(step.matrix)
            n_quads += step.matrix.size // 4
        elif step:
            found += [[Do.TURN, 2 * qubit, 0, angle] for qubit, angle in step]
            found.append([Do.KEEP, len(step), 0, n_kept])
            n_kept += 1
    return found, matrices, n_kept
