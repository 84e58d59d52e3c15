"""Rows of one layer dealt to its copies, and their values found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbackend import LayerSpec
from qbackend.circuits.logical import compile_layer
from qbackend.seam.requests import Request
from qbackend.seam.side_by_side import single_values, widened

SPEC = LayerSpec(2, encoding="angle")


def request(n_rows: int, n_pairs: int, n_copies: int) -> Request:
    """Of a layer in copies; only their number matters here. Rows are told apart by their values."""
    alone = compile_layer(SPEC)
    compiled = replace(alone, copies=(alone,) * n_copies)
    size = len(alone.parameters)
    rows = np.arange(n_rows * size, dtype=float).reshape(n_rows, size)
    return Request(compiled, rows, shots=1, derivatives=2 * n_pairs)


@given(st.data())
def test_every_row_has_a_place_of_its_own(data: st.DataObject) -> None:
    n_rows = data.draw(st.integers(1, 200))
    n_pairs = data.draw(st.integers(0, n_rows // 2))
    n_copies = data.draw(st.integers(2, 30))
    asked = request(n_rows, n_pairs, n_copies)
    wide = widened(asked)
    # A wide row is its copies' rows behind one another: the values of an identity.
    found = single_values(wide.parameters, wide.slots, n_copies)
    np.testing.assert_array_equal(found, asked.parameters)
    assert len(set(wide.slots.tolist())) == n_rows
    copies = wide.slots % n_copies
    pairs = copies[n_rows - 2 * n_pairs :].reshape(n_pairs, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()


@given(st.integers(1, 300), st.integers(2, 30))
def test_no_execution_is_wasted(n_rows: int, n_copies: int) -> None:
    """Nor is one by pairs, beyond what an odd number of them takes on the fullest copy."""
    wide = widened(request(n_rows, 0, n_copies))
    assert len(wide.parameters) == -(-n_rows // n_copies)
    n_pairs = n_rows // 2
    paired = widened(request(n_rows, n_pairs, n_copies))
    fullest = max(-(-n_rows // n_copies), 2 * -(-n_pairs // n_copies))
    assert len(paired.parameters) == fullest


@given(st.integers(1, 100), st.integers(2, 12), st.integers(1, 9))
def test_parts_of_a_request_have_all_its_rows(n_rows: int, n_copies: int, size: int) -> None:
    wide = widened(request(n_rows, n_rows // 3, n_copies))
    starts = range(0, len(wide.parameters), size)
    assert sum(wide.rows_in(range(start, start + size)) for start in starts) == n_rows


def test_a_layer_alone_is_left_as_it_is() -> None:
    asked = Request(compile_layer(SPEC), request(5, 2, 2).parameters, shots=1, derivatives=4)
    wide = widened(asked)
    assert wide.compiled is asked.compiled
    np.testing.assert_array_equal(wide.parameters, asked.parameters)
    assert single_values(wide.parameters, wide.slots, 0) is wide.parameters
    assert wide.rows_in(range(1, 3)) == 2


@pytest.mark.parametrize("n_copies", [2, 7])
def test_what_is_left_over_repeats_rows(n_copies: int) -> None:
    """Whatever is executed is a row that was asked for: none that only happens to be there."""
    wide = widened(request(n_copies + 1, 0, n_copies))
    known = {tuple(row) for row in request(n_copies + 1, 0, n_copies).parameters}
    size = len(compile_layer(SPEC).parameters)
    assert {tuple(row) for row in wide.parameters.reshape(-1, size)} == known
