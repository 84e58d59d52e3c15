"""A user's circuit on Aer: states of rows, and derivatives from states whose angles are shifted.

A rotation by pi more is the derivative of the state by its angle, doubled: with psi the state at
angle + pi, the derivative of <phi|O|phi> is Re <phi|O|psi>. That is half the executions of the
shift rule for values, and one serves all observables.

Letters: B batch, N rows, P angles, M observables, D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qiskit.quantum_info import SparsePauliOp

from ..layers.inputs import Array
from ..seam.requests import CompiledLayer
from .runs import row_states

ComplexArray = NDArray[np.complex128]

CHUNK_AMPLITUDES = 2**22
"""Of the states that are kept at a time: 64 MiB."""


class Observed:
    """M observables over states: one table of factors for each set of qubits that they flip."""

    def __init__(self, observables: Sequence[SparsePauliOp]) -> None:
        self._n_outputs = len(observables)
        index = np.arange(2 ** observables[0].num_qubits)
        tables: dict[int, ComplexArray] = {}
        for output, observable in enumerate(observables):
            powers = 1 << np.arange(observable.num_qubits)
            masks_x, masks_z = observable.paulis.x @ powers, observable.paulis.z @ powers
            for x, z, value in zip(masks_x, masks_z, observable.coeffs.real, strict=True):
                table = tables.setdefault(int(x), np.zeros((len(observables), len(index)), complex))
                signs = 1.0 - 2.0 * (np.bitwise_count(index & z) % 2)
                table[output] += value * 1j ** (int(x & z).bit_count() % 4) * signs
        self._flips = [(index ^ x, table) for x, table in tables.items()]

    def between(self, bras: ComplexArray, kets: ComplexArray) -> Array:
        """Re <bra|O|ket> of N pairs of states (N, D): (N, M)."""
        values = np.zeros((len(kets), self._n_outputs))
        for flipped, table in self._flips:
            values += ((bras[:, flipped].conj() * kets) @ table.T).real
        return values


def values_and_states(
    compiled: CompiledLayer, observed: Observed, rows: Array
) -> tuple[Array, ComplexArray]:
    """Values (N, M) and states (N, D) of rows of angles (N, P)."""
    states = row_states(compiled, rows)
    return observed.between(states, states), states


def pull_angles(
    compiled: CompiledLayer,
    observed: Observed,
    rows: Array,
    states: ComplexArray,
    cotangent: Array,
    wanted: NDArray[np.bool_],
) -> Array:
    """Gradient of sum(values * cotangent (B, M)) by angles (B, P), zero by those not wanted."""
    of_angles = np.zeros_like(rows)
    indices = np.flatnonzero(wanted)
    n_rows = len(rows)
    step = max(1, CHUNK_AMPLITUDES // max(1, states.size))
    for first in range(0, len(indices) if n_rows else 0, step):
        chosen = indices[first : first + step]
        shifted = np.repeat(rows[None], len(chosen), axis=0)
        shifted[np.arange(len(chosen)), :, chosen] += np.pi
        kets = row_states(compiled, shifted.reshape(-1, rows.shape[1]))
        for place, angle in enumerate(chosen):
            between = observed.between(states, kets[place * n_rows : (place + 1) * n_rows])
            of_angles[:, angle] = np.sum(between * cotangent, axis=1)
    return of_angles
