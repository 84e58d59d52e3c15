"""Pauli programs on the CPU: rows in blocks, one per lane of a vector, blocks over threads.

Letters: D = 4^Q Pauli coefficients, K turns, L lanes, M observables, N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import lanes
from ...kernels.threads import split
from . import sweeps
from .program import PauliProgram, Segment
from .sweeps import Index, Steps
from .transfer import Constant

FloatArray = NDArray[np.floating]

NEGLIGIBLE = 1e-15
"""Entries of a transfer matrix below this are rounding errors of its computation."""
CHUNK_BLOCKS = 2
"""Of a sum over rows, at least."""
VECTORS_PER_NANOSECOND = 1.5
"""Of one core: decides only whether other cores are worth waking."""


class CpuSegment:
    """A segment in the form that the kernels execute, in one number format."""

    def __init__(self, segment: Segment, n_qubits: int, dtype: DTypeLike) -> None:
        self.steps = _steps(segment, n_qubits, dtype, transpose=False)
        self.transposed = _steps(segment, n_qubits, dtype, transpose=True)
        self.n_turns = len(segment.offsets)
        first_base, last_base, first_panel, last_panel = self.steps.products.T
        n_columns = self.steps.panel_columns[last_panel] - self.steps.panel_columns[first_panel]
        n_vectors = 4 * np.sum((last_base - first_base) * n_columns)
        self.nanoseconds = float(n_vectors) / VECTORS_PER_NANOSECOND
        """Of one block, forwards, about."""


class CpuProgram:
    """A Pauli program, compiled for the CPU in one number format.

    The tail is always computed in float64: it is computed once for a whole batch.
    """

    def __init__(self, program: PauliProgram, dtype: DTypeLike) -> None:
        self._start = program.start.astype(dtype)
        self._observables = program.observables
        self._head = CpuSegment(program.head, program.n_qubits, dtype)
        self._tail = CpuSegment(program.tail, program.n_qubits, np.float64)

    def forms(self, angles: FloatArray) -> FloatArray:
        """The observables before the tail, (M, D), for its angles (K,)."""
        ends = _to_blocks(self._observables)
        starts = np.empty_like(ends)
        turns = _turns(np.broadcast_to(angles, (len(self._observables), len(angles))), np.float64)
        sweeps.pull_back(self._tail.transposed, self._observables.shape[1], ends, *turns, starts)
        return _from_blocks(starts, *self._observables.shape)

    def pull_forms(self, angles: FloatArray, of_forms: FloatArray) -> FloatArray:
        """Gradient by the tail's angles (K,), from that by the forms (M, D)."""
        ends = _to_blocks(self._observables)
        cosines, sines = _turns(
            np.broadcast_to(angles, (len(self._observables), len(angles))), np.float64
        )
        of_turns = np.empty_like(cosines)
        sweeps.pulled_gradients(
            self._tail.steps,
            self._tail.transposed,
            self._observables.shape[1],
            _to_blocks(of_forms.astype(np.float64)),
            ends,
            cosines,
            sines,
            of_turns,
        )
        return _from_blocks(of_turns, len(of_forms), self._tail.n_turns).sum(axis=0)

    def values(self, forms: FloatArray, angles: FloatArray) -> FloatArray:
        """Expectation values (N, M) for forms (M, D) and the head's angles (N, K)."""
        dtype = self._start.dtype
        forms = forms.astype(dtype)
        cosines, sines = _turns(angles, dtype)
        n_blocks = -(-len(angles) // lanes(dtype))
        outputs = np.empty((n_blocks * len(forms), lanes(dtype)), dtype)

        def run(first: int, last: int) -> None:
            sweeps.values(
                self._head.steps, self._start, forms, cosines, sines, outputs, first, last
            )

        split(run, n_blocks, n_blocks * self._head.nanoseconds)
        return _from_blocks(outputs, len(angles), len(forms))

    def gradients(
        self, forms: FloatArray, angles: FloatArray, cotangent: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Gradients of sum(values * cotangent (N, M)) by the angles (N, K) and forms (M, D)."""
        dtype = self._start.dtype
        forms = forms.astype(dtype)
        cosines, sines = _turns(angles, dtype)
        factors = _to_blocks(cotangent.astype(dtype, copy=False))
        n_blocks = -(-len(angles) // lanes(dtype))
        chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS, CHUNK_BLOCKS)
        of_turns = np.empty_like(cosines)
        of_forms = np.empty((n_chunks, *forms.shape), dtype)

        def run(first: int, last: int) -> None:
            sweeps.gradients(
                self._head.steps, self._head.transposed, self._start, forms, cosines, sines,
                factors, of_turns, of_forms, chunk, first, last,
            )  # fmt: skip

        split(run, n_chunks, 3 * n_blocks * self._head.nanoseconds)
        return _from_blocks(of_turns, *angles.shape), of_forms.sum(axis=0, dtype=np.float64)


def _turns(angles: FloatArray, dtype: DTypeLike) -> tuple[FloatArray, FloatArray]:
    """Cosines and sines of angles (N, K) in blocks."""
    blocks = _to_blocks(angles.astype(dtype, copy=False))
    return np.cos(blocks), np.sin(blocks)


def _to_blocks(rows: FloatArray) -> FloatArray:
    """Rows (N, X) as blocks (n_blocks X, L), filled up with zeros."""
    n_rows, width = rows.shape
    n_lanes = lanes(rows.dtype)
    n_blocks = -(-n_rows // n_lanes)
    padded = np.zeros((n_blocks * n_lanes, width), rows.dtype)
    padded[:n_rows] = rows
    blocks = padded.reshape(n_blocks, n_lanes, width).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks).reshape(n_blocks * width, n_lanes)


def _from_blocks(blocks: FloatArray, n_rows: int, width: int) -> FloatArray:
    """The inverse of `_to_blocks`."""
    n_lanes = blocks.shape[1]
    n_blocks = -(-n_rows // n_lanes)
    rows = blocks.reshape(n_blocks, width, n_lanes).transpose(0, 2, 1)
    return rows.reshape(n_blocks * n_lanes, width)[:n_rows]


def _steps(segment: Segment, n_qubits: int, dtype: DTypeLike, *, transpose: bool) -> Steps:
    """The segment as flat arrays, or with every matrix transposed in its place."""
    products: list[tuple[int, int, int, int]] = []
    bases: list[Index] = []
    outputs: list[Index] = []
    panel_columns, columns = [0], []
    entries: list[FloatArray] = []
    n_bases = 0
    for stage in segment.stages:
        for constant in stage.constants:
            places, reach = _places(constant, n_qubits)
            matrix = constant.matrix.T if transpose else constant.matrix
            first_panel = len(outputs)
            for rows, used in _panels(matrix):
                outputs.append(reach[rows])
                columns.append(reach[used])
                entries.append(matrix[np.ix_(rows, used)].T)
                panel_columns.append(panel_columns[-1] + len(used))
            products.append((n_bases, n_bases + len(places), first_panel, len(outputs)))
            bases.append(places)
            n_bases += len(places)
    return Steps(
        stage_products=_first_of_each([len(stage.constants) for stage in segment.stages]),
        stage_turns=_first_of_each([len(stage.turned) for stage in segment.stages]),
        products=np.array(products, np.intp).reshape(-1, 4),
        bases=_joined(bases, np.intp),
        outputs=np.array(outputs, np.intp).reshape(-1, 4),
        panel_columns=np.array(panel_columns, np.intp),
        columns=_joined(columns, np.intp),
        entries=_joined(entries, dtype).reshape(-1, 4),
        strides=np.array([4**qubit for stage in segment.stages for qubit in stage.turned], np.intp),
    )


def _places(constant: Constant, n_qubits: int) -> tuple[Index, Index]:
    """Where a matrix applies: bases, and the distances of its coefficients from a base."""
    index = np.arange(4**n_qubits)
    digits = [index // 4**qubit % 4 for qubit in constant.qubits]
    bases = index[np.all([digit == 0 for digit in digits], axis=0)]
    local = np.arange(4 ** len(digits))
    reach = sum(local // 4**place % 4 * 4**qubit for place, qubit in enumerate(constant.qubits))
    return bases, np.asarray(reach)


def _panels(matrix: FloatArray) -> list[tuple[Index, Index]]:
    """Four rows each, and the columns that any of them needs; alike rows come together."""
    needed = np.abs(matrix) > NEGLIGIBLE
    order = np.lexsort(needed.T)
    return [(rows, np.flatnonzero(needed[rows].any(axis=0))) for rows in order.reshape(-1, 4)]


def _first_of_each(counts: list[int]) -> Index:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)


def _joined(parts: list[NDArray], dtype: DTypeLike) -> NDArray:
    return np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype)
