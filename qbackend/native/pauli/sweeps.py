"""Segments of noisy circuits over Pauli vectors, compiled: forwards, and back for gradients.

A block is L columns, one per lane of a vector: rows of a batch, or observables. An *area* is D
consecutive rows of an array (n, L) that hold the D Pauli coefficients of one block. A matrix goes
by panels of four outputs, each with the columns that any of the four needs.

Letters: D = 4^qubits coefficients, K turns, L lanes, M observables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...kernels.cache import kernel
from ...kernels.lanes import Vector, load, ones, store, total, zeros

Array = NDArray[np.floating]
Index = NDArray[np.intp]


class Steps(NamedTuple):
    """A segment as flat arrays; where a list has first and last, the last is excluded.

    Attributes:
        stage_products: (stages + 1,) first product of every stage, and the number of them.
        stage_turns: (stages + 1,) the same for turns.
        products: (products, 4) first and last of a product's `bases` and of its panels.
        bases: coefficients with every digit of the matrix at zero: where the matrix applies.
        outputs: (panels, 4) distance from the base to the coefficients that a panel writes.
        panel_columns: (panels + 1,) first of a panel's `columns`, and the number of them.
        columns: distance from the base to the coefficients that are read.
        entries: (columns, 4) entries of the matrix in the four rows.
        strides: (K,) distance between the coefficients of X and Y of the turned qubit.
    """

    stage_products: Index
    stage_turns: Index
    products: Index
    bases: Index
    outputs: Index
    panel_columns: Index
    columns: Index
    entries: Array
    strides: Index


@kernel
def values(
    steps: Steps,
    start: Array,
    forms: Array,
    cosines: Array,
    sines: Array,
    outputs: Array,
    first_block: int,
    last_block: int,
) -> None:
    """Inner products of `forms` (M, D) with what becomes of `start` (D,), block by block.

    `cosines` and `sines` (n_blocks K, L) are those of the turns' angles; `outputs` is
    (n_blocks M, L).
    """
    n_forms, dimension = forms.shape
    states = np.empty((2 * dimension, cosines.shape[1]), cosines.dtype)
    for block in range(first_block, last_block):
        _fill(states, start)
        at = _advance(steps, states, cosines, sines, block * len(steps.strides), False)
        for form in range(n_forms):
            x0, x1, x2, x3 = zeros(states), zeros(states), zeros(states), zeros(states)
            for index in range(0, dimension, 4):
                x0 = x0 + forms[form, index] * load(states, at + index)
                x1 = x1 + forms[form, index + 1] * load(states, at + index + 1)
                x2 = x2 + forms[form, index + 2] * load(states, at + index + 2)
                x3 = x3 + forms[form, index + 3] * load(states, at + index + 3)
            store(outputs, block * n_forms + form, (x0 + x1) + (x2 + x3))


@kernel
def gradients(
    steps: Steps,
    transposed: Steps,
    start: Array,
    forms: Array,
    cosines: Array,
    sines: Array,
    cotangent: Array,
    of_turns: Array,
    of_forms: Array,
    chunk_blocks: int,
    first_chunk: int,
    last_chunk: int,
) -> None:
    """Gradients of the sum of the values times `cotangent` (n_blocks M, L).

    `of_turns` (n_blocks K, L) is with respect to the angles, row by row; `of_forms`
    (n_chunks, M, D) with respect to the forms, summed over chunks of `chunk_blocks` blocks.
    """
    n_forms, dimension = forms.shape
    lanes = cosines.shape[1]
    n_turns = len(steps.strides)
    n_blocks = len(cotangent) // n_forms
    states = np.empty(((len(steps.products) + 1) * dimension, lanes), cosines.dtype)
    duals = np.empty((2 * dimension, lanes), cosines.dtype)
    sums = np.empty((n_forms * dimension, lanes), cosines.dtype)
    for chunk in range(first_chunk, last_chunk):
        sums[:] = 0
        for block in range(chunk * chunk_blocks, min((chunk + 1) * chunk_blocks, n_blocks)):
            _fill(states, start)
            at = _advance(steps, states, cosines, sines, block * n_turns, True)
            for index in range(dimension):
                dual, state = zeros(states), load(states, at + index)
                for form in range(n_forms):
                    factor = load(cotangent, block * n_forms + form)
                    dual = dual + forms[form, index] * factor
                    row = form * dimension + index
                    store(sums, row, load(sums, row) + factor * state)
                store(duals, index, dual)
            _retreat(transposed, duals, cosines, sines, block * n_turns, states, of_turns)
        for form in range(n_forms):
            for index in range(dimension):
                of_forms[chunk, form, index] = total(load(sums, form * dimension + index))


@kernel
def pull_back(
    transposed: Steps, dimension: int, ends: Array, cosines: Array, sines: Array, starts: Array
) -> None:
    """Observables before a segment, from those after it: (n_blocks D, L) each."""
    nothing = np.empty((0, ends.shape[1]), ends.dtype)
    duals = np.empty((2 * dimension, ends.shape[1]), ends.dtype)
    for block in range(len(ends) // dimension):
        area = slice(block * dimension, (block + 1) * dimension)
        duals[:dimension] = ends[area]
        turn = block * len(transposed.strides)
        at = _retreat(transposed, duals, cosines, sines, turn, nothing, nothing)
        starts[area] = duals[at : at + dimension]


@kernel
def pulled_gradients(
    steps: Steps,
    transposed: Steps,
    dimension: int,
    starts: Array,
    ends: Array,
    cosines: Array,
    sines: Array,
    of_turns: Array,
) -> None:
    """Gradients by the angles of the inner products, column by column, of `starts` and `ends`.

    `starts` (n_blocks D, L) are carried forwards through the segment to meet `ends`, or `ends`
    backwards to meet `starts`, which is the same; `of_turns` is (n_blocks K, L).
    """
    states = np.empty(((len(steps.products) + 1) * dimension, ends.shape[1]), ends.dtype)
    duals = np.empty((2 * dimension, ends.shape[1]), ends.dtype)
    for block in range(len(ends) // dimension):
        area = slice(block * dimension, (block + 1) * dimension)
        turn = block * len(steps.strides)
        states[:dimension] = starts[area]
        _advance(steps, states, cosines, sines, turn, True)
        duals[:dimension] = ends[area]
        _retreat(transposed, duals, cosines, sines, turn, states, of_turns)


@njit(nogil=True)
def _fill(states: Array, start: Array) -> None:
    for index in range(len(start)):
        store(states, index, start[index] * ones(states))


@njit(nogil=True)
def _advance(
    steps: Steps, states: Array, cosines: Array, sines: Array, first_turn: int, keep: bool
) -> int:
    """Carry the first area through the segment; returns the first row of the area it ends in.

    To keep all, every product writes an area of its own; otherwise two areas take turns.
    """
    at = 0
    dimension = len(states) // (len(steps.products) + 1 if keep else 2)
    for stage in range(len(steps.stage_products) - 1):
        for product in range(steps.stage_products[stage], steps.stage_products[stage + 1]):
            to = at + dimension if keep else dimension - at
            _multiply(steps, product, states, at, to)
            at = to
        for turn in range(steps.stage_turns[stage], steps.stage_turns[stage + 1]):
            cosine, sine = load(cosines, first_turn + turn), load(sines, first_turn + turn)
            _turn(states, at, dimension, steps.strides[turn], cosine, sine)
    return at


@njit(nogil=True)
def _retreat(
    transposed: Steps,
    duals: Array,
    cosines: Array,
    sines: Array,
    first_turn: int,
    states: Array,
    of_turns: Array,
) -> int:
    """Carry a cotangent back through a segment; returns the first row of the area it ends in.

    `states` is what `_advance` kept: then `of_turns` receives the gradients. If it is empty there
    are none.
    """
    at = 0
    dimension = len(duals) // 2
    state = len(states) - dimension
    for stage in range(len(transposed.stage_products) - 2, -1, -1):
        turns = range(transposed.stage_turns[stage], transposed.stage_turns[stage + 1])
        if len(states) > 0:
            for turn in turns:
                slope = _slope(states, state, duals, at, dimension, transposed.strides[turn])
                store(of_turns, first_turn + turn, slope)
        for turn in turns:
            cosine, sine = load(cosines, first_turn + turn), load(sines, first_turn + turn)
            _turn(duals, at, dimension, transposed.strides[turn], cosine, zeros(duals) - sine)
        first, last = transposed.stage_products[stage], transposed.stage_products[stage + 1]
        for product in range(last - 1, first - 1, -1):
            _multiply(transposed, product, duals, at, dimension - at)
            at = dimension - at
            state -= dimension
    return at


@njit(nogil=True)
def _turn(
    states: Array, at: int, dimension: int, stride: int, cosine: Vector, sine: Vector
) -> None:
    """Turn X towards Y on one qubit, in place."""
    for high in range(at + stride, at + dimension, 4 * stride):
        for row in range(high, high + stride):
            x, y = load(states, row), load(states, row + stride)
            store(states, row, cosine * x - sine * y)
            store(states, row + stride, sine * x + cosine * y)


@njit(nogil=True)
def _slope(
    states: Array, state: int, duals: Array, dual: int, dimension: int, stride: int
) -> Vector:
    """Derivative by a turn's angle, from the areas of state and cotangent behind it."""
    slope = zeros(states)
    for high in range(stride, dimension, 4 * stride):
        for row in range(high, high + stride):
            x, y = load(states, state + row), load(states, state + row + stride)
            slope = slope + load(duals, dual + row + stride) * x - load(duals, dual + row) * y
    return slope


@njit(nogil=True)
def _multiply(steps: Steps, product: int, states: Array, source: int, target: int) -> None:
    """Write the area at `target` from the one at `source`."""
    first_base, last_base, first_panel, last_panel = steps.products[product]
    for place in range(first_base, last_base):
        read, written = source + steps.bases[place], target + steps.bases[place]
        for panel in range(first_panel, last_panel):
            x0, x1, x2, x3 = zeros(states), zeros(states), zeros(states), zeros(states)
            for entry in range(steps.panel_columns[panel], steps.panel_columns[panel + 1]):
                state = load(states, read + steps.columns[entry])
                x0 = x0 + steps.entries[entry, 0] * state
                x1 = x1 + steps.entries[entry, 1] * state
                x2 = x2 + steps.entries[entry, 2] * state
                x3 = x3 + steps.entries[entry, 3] * state
            store(states, written + steps.outputs[panel, 0], x0)
            store(states, written + steps.outputs[panel, 1], x1)
            store(states, written + steps.outputs[panel, 2], x2)
            store(states, written + steps.outputs[panel, 3], x3)
