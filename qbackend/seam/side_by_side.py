"""Copies of a layer side by side on a device: one execution answers C rows.

All copies together are a layer too, with C P parameters and C M observables, whose rows are *wide*:
C rows of the one layer behind one another. Whatever executes layers executes it.

Rows that are compared with each other, as the two values of a difference are, go to the same copy:
what sets one copy's errors apart from another's would not cancel otherwise.

Letters: N rows, P circuit parameters, M observables, C copies, W wide rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from ..layers.inputs import Array
from ..layers.readout import Readout
from .requests import CompiledLayer, Request


@lru_cache(maxsize=8)
def side_by_side(compiled: CompiledLayer) -> CompiledLayer:
    """All copies of a layer as one; itself where it stands alone."""
    if not compiled.copies:
        return compiled
    circuit = QuantumCircuit(compiled.circuit.num_qubits, name=compiled.circuit.name)
    parameters = []
    for index, copy in enumerate(compiled.copies):
        own = [Parameter(f"copy{index}_{place}") for place in range(len(copy.parameters))]
        parameters += own
        named = dict(zip(copy.parameters, own, strict=True))
        there = {each: named[each] for each in copy.circuit.parameters}
        circuit.compose(copy.circuit.assign_parameters(there), inplace=True)
    return replace(
        compiled,
        circuit=circuit,
        observables=tuple(each for copy in compiled.copies for each in copy.observables),
        parameters=tuple(parameters),
        read=tuple(map(_merged, zip(*(copy.readouts for copy in compiled.copies), strict=True))),
    )


@dataclass(frozen=True)
class WideRequest(Request):
    """A request for all copies of a layer together; its parameters are wide rows (W, C P).

    Attributes:
        slots: (N,), where each row that was asked for is: its wide row times C, plus its copy.
    """

    slots: NDArray[np.int_] = field(kw_only=True)

    def rows_in(self, wide: range) -> int:
        """How many of the rows that were asked for are in these wide rows."""
        n_copies = max(1, len(self.compiled.copies))
        inside = (self.slots >= wide.start * n_copies) & (self.slots < wide.stop * n_copies)
        return int(inside.sum())


def widened(request: Request) -> WideRequest:
    """The request for all copies of its layer; slots that are left over repeat some of its rows."""
    n_copies, n_rows = len(request.compiled.copies), len(request.parameters)
    parameters, slots = request.parameters, np.arange(n_rows)
    if n_copies and n_rows:
        slots = _slots(n_rows, request.derivatives // 2, n_copies)
        n_wide = int(slots.max()) // n_copies + 1
        rows = np.arange(n_wide * n_copies) % n_rows
        rows[slots] = np.arange(n_rows)
        parameters = parameters[rows].reshape(n_wide, -1)
    return WideRequest(
        compiled=side_by_side(request.compiled),
        parameters=parameters,
        shots=request.shots,
        seed=request.seed,
        derivatives=request.derivatives,
        distinct=request.distinct,
        together=request.together,
        slots=slots,
    )


def single_values(values: Array, slots: NDArray[np.int_], n_copies: int) -> Array:
    """Values (N, M) of the rows in these slots, from those of wide rows (W, C M)."""
    if n_copies == 0:
        return values
    return values.reshape(len(values) * n_copies, -1)[slots]


def _slots(n_rows: int, n_pairs: int, n_copies: int) -> NDArray[np.int_]:
    """Of rows of which the last are pairs, (N,)."""
    pair = np.arange(n_pairs)
    first = 2 * (pair // n_copies) * n_copies + pair % n_copies
    paired = np.stack([first, first + n_copies], axis=1).ravel()
    free = np.setdiff1d(np.arange(n_rows + n_copies), paired)
    return np.concatenate([free[: n_rows - len(paired)], paired])


def _merged(readouts: tuple[Readout, ...]) -> Readout:
    """What all copies measure in one of their bases, as one basis of them all."""
    return Readout(
        basis=tuple(sorted(each for readout in readouts for each in readout.basis)),
        terms=tuple(terms for readout in readouts for terms in readout.terms),
    )
