"""A small batch's pass through any circuit as one call of compiled code, forwards and backwards.

Every array that a kernel is given costs its caller about as much as a block of rows costs the
kernel: so tensors go in and out by their addresses, what a pass keeps is one array, and the circuit
is a table of addresses that is made once.

Letters: B batch, F features, W weights, M observables, D = 2^Q amplitudes, L lanes, K nodes, C
chunks of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...kernels.addresses import rows_at, vector_at
from ...kernels.cache import helper, kernel
from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import VECTOR_BYTES
from ...seam.backend import Forward, Gradients
from . import sweeps
from .program import Program, Shared
from .split_tape import SplitTape

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]
Float64Array = NDArray[np.float64]

BAD_WEIGHT = -2

_TABLE_SIZE = 31
"""Two numbers for each of a program's 13 arrays, and five sizes."""

_WHOLE, _DOUBLE = np.empty(0, np.int64), np.empty(0)
"""Of their types."""


@dataclass(frozen=True, slots=True)
class SmallBatches:
    """A circuit that whole passes of small batches can be run through, in one number format.

    Attributes:
        program: what the table's addresses point at.
        table: addresses and sizes of the program's arrays, then W and F.
        address: the table's.
        like: of the number format.
        memory: float64 numbers that a pass keeps, whatever its batch.
        memory_per_block: and for every L rows of it.
    """

    program: Program
    table: IntArray
    address: int
    like: FloatArray
    memory: int
    memory_per_block: int

    def forward(self, features: torch.Tensor, weights: torch.Tensor) -> tuple[Forward, int]:
        """Outputs and pullback for features (B, F) and weights (W,) of the program's format.

        With them the first row that is not finite, `BAD_WEIGHT`, or -1.
        """
        dtype, n_rows, address, like = features.dtype, features.shape[0], self.address, self.like
        given, angles = features.contiguous(), weights.contiguous()
        n_blocks = -(-n_rows * given.element_size() // VECTOR_BYTES)
        memory = np.empty(self.memory + n_blocks * self.memory_per_block)
        values = torch.empty((n_rows, self.program.n_outputs), dtype=dtype)
        bad = _forward(
            given.data_ptr(),
            angles.data_ptr(),
            memory,
            values.data_ptr(),
            n_rows,
            address,
            like,
        )

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            factors = cotangent.contiguous()
            by_features = torch.empty_like(given if of_features else factors)
            by_weights = torch.empty_like(angles)
            _backward(
                given.data_ptr(),
                memory,
                factors.data_ptr(),
                by_features.data_ptr(),
                by_weights.data_ptr(),
                n_rows if of_features else 0,
                n_rows,
                # The table, and what it points at, lives as long as its owner.
                self.address,
                like,
            )
            return by_features if of_features else None, by_weights if of_weights else None

        return Forward(values, pull), bad


def small_batches(program: Program, n_weights: int, n_features: int) -> SmallBatches:
    """For a program that stays as it is."""
    table: list[int] = []
    for array in (*program.tape, *program[1:9]):
        assert array.flags.c_contiguous
        table += [array.ctypes.data, array.size]
    dimension, tape = len(program.signs), program.tape
    table += [program.n_tables, program.n_outputs, dimension, n_weights, n_features]
    assert len(table) == _TABLE_SIZE
    numbers = np.array(table, dtype=np.int64)
    shared = len(tape.shared) + 2 * len(tape.shared_angles) + 2 * program.n_tables * dimension
    height = sweeps.block_height.py_func(program)
    return SmallBatches(
        program,
        numbers,
        numbers.ctypes.data,
        program.signs[:0],
        memory=shared,
        memory_per_block=height * VECTOR_BYTES // np.dtype(np.float64).itemsize,
    )


@kernel
def _forward(
    features: int,
    weights: int,
    memory: Float64Array,
    values: int,
    n_rows: int,
    address: int,
    like: FloatArray,
) -> int:
    """Fill `values` (B, M) and `memory` from `features` (B, F) and `weights` (W,).

    All but the memory by their addresses.
    """
    table = vector_at(address, _WHOLE, _TABLE_SIZE)
    program = _program(table, like)
    shared, kept = _parts(program, memory, n_rows, like)
    n_weights, n_features = table[-2], table[-1]
    if not sweeps.prepare(program, vector_at(weights, like, n_weights).astype(np.float64), shared):
        return BAD_WEIGHT
    given = rows_at(features, like, n_rows, n_features)
    n_outputs = program.n_outputs
    results = rows_at(values, like, n_rows, n_outputs)
    n_blocks = len(kept) // sweeps.block_height(program)
    return sweeps.forward(program, given, shared, kept, results, 0, n_blocks)


@kernel
def _backward(
    features: int,
    memory: Float64Array,
    cotangent: int,
    of_features: int,
    of_weights: int,
    n_wanted: int,
    n_rows: int,
    address: int,
    like: FloatArray,
) -> None:
    """Fill `of_features` (B, F) and `of_weights` (W,) from the `memory` that `_forward` left.

    `n_wanted` is B, or 0 where the former are not wanted.
    """
    table = vector_at(address, _WHOLE, _TABLE_SIZE)
    program = _program(table, like)
    shared, kept = _parts(program, memory, n_rows, like)
    n_weights, n_features, n_outputs = table[-2], table[-1], program.n_outputs
    given = rows_at(features, like, n_rows, n_features)
    of_rows = rows_at(of_features, like, n_wanted, n_features)
    factors = rows_at(cotangent, like, n_rows, n_outputs)
    n_blocks = len(kept) // sweeps.block_height(program)
    chunk, n_chunks = chunks(max(n_blocks, 1), ROW_CHUNKS)
    of_nodes = np.empty((n_chunks, len(shared.nodes)))
    of_angles = np.empty((n_chunks, len(shared.cosines)))
    of_tables = np.empty((n_chunks * program.n_tables, len(program.signs)), like.dtype)
    sweeps.backward(
        program, given, shared, kept, factors, of_rows, of_nodes, of_angles, of_tables, chunk,
        0, n_chunks,
    )  # fmt: skip
    gradient = np.empty(n_weights)
    sweeps.finish(program, shared, of_nodes, of_angles, of_tables, gradient)
    vector_at(of_weights, like, n_weights)[:] = gradient


@helper
def _whole(table: IntArray, number: int, width: int) -> IntArray:
    """Array `number` of the table, of whole numbers, as rows of that width."""
    return rows_at(table[2 * number], _WHOLE, table[2 * number + 1] // width, width)


@helper
def _program(table: IntArray, like: FloatArray) -> Program:
    dimension = table[-3]
    tape = SplitTape(
        _whole(table, 0, 3),
        vector_at(table[2], _DOUBLE, table[3]),
        _whole(table, 2, 3),
        _whole(table, 3, 1)[:, 0],
        _whole(table, 4, 1)[:, 0],
    )
    return Program(
        tape,
        _whole(table, 5, 7),
        _whole(table, 6, 1)[:, 0],
        _whole(table, 7, 1)[:, 0],
        vector_at(table[16], like, dimension),
        rows_at(table[18], like, 2, dimension),
        _whole(table, 10, 3),
        _whole(table, 11, 2),
        rows_at(table[24], like, table[25] // dimension, dimension),
        table[-5],
        table[-4],
    )


@helper
def _parts(
    program: Program, memory: Float64Array, n_rows: int, like: FloatArray
) -> tuple[Shared, FloatArray]:
    """What the rows share, and the blocks (n_blocks `block_height`, L), in the memory of a pass."""
    n_nodes, n_angles = len(program.tape.shared), len(program.tape.shared_angles)
    dimension, n_lanes = len(program.signs), VECTOR_BYTES // like.itemsize
    n_tables = 2 * program.n_tables
    rest = memory.ctypes.data
    nodes = vector_at(rest, _DOUBLE, n_nodes)
    rest += 8 * n_nodes
    cosines = vector_at(rest, like, n_angles)
    sines = vector_at(rest + 8 * n_angles, like, n_angles)
    rest += 16 * n_angles
    tables = rows_at(rest, like, n_tables, dimension)
    rest += 8 * n_tables * dimension
    n_vectors = sweeps.block_height(program) * (-(-n_rows // n_lanes))
    kept = rows_at(rest, like, n_vectors, n_lanes)
    return Shared(nodes, cosines, sines, tables), kept
