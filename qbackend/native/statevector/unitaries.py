"""The unitaries of several circuits of one kind, and the way back to their weights, compiled.

Training a layer of many small circuits, one call for all of them saves more time than the
simulation itself takes.

Letters: K circuits, W weights of each, S stages, Q wires, D = 2^Q amplitudes, V vectors of a state,
L lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import OptionError
from ...kernels.cache import kernel
from ...kernels.chunks import ROW_CHUNKS, chunks
from ...kernels.lanes import FloatArray, lanes
from ...layers.inputs import Array, check_finite
from ...layers.spec import LayerSpec
from . import passes
from .circuit import IntArray, circuit_of
from .gates import n_vectors

MAX_WIRES = 8
"""A unitary of more wires costs more than the rows that it saves."""


class Unitaries:
    """Of the ansatz of `spec`, at most `MAX_WIRES` wires, for weights (K, W), in float64.

    Attributes:
        columns: (K, D, 2 D), real and imaginary parts of what becomes of every basis state.
        signs: (M, 2 D), eigenvalues of the observables for both parts.

    Raises:
        InputError: a weight that is not finite.
        OptionError: more wires.
    """

    def __init__(self, spec: LayerSpec, weights: Array) -> None:
        if spec.n_wires > MAX_WIRES:
            raise OptionError(
                f"the layer has {spec.n_wires} wires, but unitaries and forms of more than "
                f"{MAX_WIRES} are not computed; execute the layer row by row"
            )
        self._circuit = circuit = circuit_of(spec)
        n_circuits, n_amplitudes = len(weights), 2**spec.n_wires
        n_lanes, width = lanes(np.float64), n_vectors(spec.n_wires)
        n_blocks = -(-n_amplitudes // n_lanes)
        self._basis = np.eye(n_amplitudes)
        self._turns = np.empty((n_circuits, 2, *circuit.rotations.shape))
        self._phases = np.empty((n_circuits, circuit.n_stages, 2, n_amplitudes))
        self._states = np.empty((n_circuits, n_blocks, width, n_lanes))
        self._inverse_norms = np.empty((n_blocks, n_lanes))
        if not _run(
            np.ascontiguousarray(weights, dtype=np.float64),
            self._basis,
            circuit.opens_apart,
            circuit.orders,
            *circuit.angle_places,
            circuit.observables,
            self._turns,
            self._phases,
            self._states,
            self._inverse_norms,
        ):
            check_finite("weights", weights)
        rows = self._states.transpose(0, 1, 3, 2).reshape(n_circuits, -1, width)
        self.columns = np.ascontiguousarray(rows[:, :n_amplitudes])
        self.signs = np.tile(circuit.signs(), 2)

    def forms(self) -> Array:
        """Re(U† O_i U) of every circuit and observable, (K, M, D, D)."""
        adjoint = self.columns.transpose(0, 2, 1)
        return np.stack([(self.columns * sign) @ adjoint for sign in self.signs], axis=1)

    def pull_forms(self, of_forms: Array) -> Array:
        """Gradient (K, W) from the symmetric gradients with respect to the forms (K, M, D, D)."""
        circuit, shape = self._circuit, self._states.shape
        of_columns = np.zeros((len(self.columns), shape[1] * shape[3], shape[2]))
        inner = of_columns[:, : self.columns.shape[1]]
        for index, sign in enumerate(self.signs):
            inner += (of_forms[:, index] @ self.columns) * (2 * sign)
        by_lane = of_columns.reshape(shape[0], shape[1], shape[3], shape[2]).transpose(0, 1, 3, 2)
        of_weights = np.empty((len(self.columns), circuit.n_weights))
        _pull(
            self._basis,
            circuit.opens_apart,
            circuit.orders,
            *circuit.angle_places,
            circuit.trainable,
            circuit.observables,
            self._turns,
            self._phases,
            self._states,
            self._inverse_norms,
            np.ascontiguousarray(by_lane),
            of_weights,
        )
        return of_weights


@kernel
def _run(
    weights: NDArray[np.float64],
    basis: FloatArray,
    opens_apart: bool,
    orders: IntArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    observables: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    states: FloatArray,
    inverse_norms: FloatArray,
) -> bool:
    """Fill the tables and final states of every circuit; returns whether all weights are finite.

    `basis` (D, D) are the basis states. `turns` (K, 2, S, Q) and `phases` (K, S, 2, D) are as in
    `passes.tabulate`, `states` (K, n_blocks, V, L) as `passes.forward` keeps them.
    """
    _, n_blocks, width, lanes = states.shape
    work = np.empty((2 * width, lanes), states.dtype)
    values = np.empty((len(basis), len(observables)), states.dtype)
    for k in range(len(weights)):
        if not passes.tabulate(
            weights[k], rotations, phase_stages, phase_orders, phase_angles, turns[k], phases[k]
        ):
            return False
        passes.forward(
            basis, False, opens_apart, orders, turns[k], phases[k], observables, states[k],
            inverse_norms, work, values, 0, n_blocks,
        )  # fmt: skip
    return True


@kernel
def _pull(
    basis: FloatArray,
    opens_apart: bool,
    orders: IntArray,
    rotations: IntArray,
    phase_stages: IntArray,
    phase_orders: IntArray,
    phase_angles: IntArray,
    trainable: NDArray[np.bool_],
    observables: IntArray,
    turns: FloatArray,
    phases: FloatArray,
    states: FloatArray,
    inverse_norms: FloatArray,
    adjoints: FloatArray,
    of_weights: NDArray[np.float64],
) -> None:
    """Fill `of_weights` (K, W) from the gradients with respect to `states`, `adjoints`."""
    n_circuits, n_blocks, width, lanes = states.shape
    chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS)
    work = np.empty((4 * width, lanes), states.dtype)
    of_rows = basis[:0]
    of_turns = np.empty((n_chunks, *rotations.shape))
    of_phases = np.empty((n_chunks, *orders.shape))
    no_cotangent = np.empty((0, 0), states.dtype)
    for k in range(n_circuits):
        passes.backward(
            basis, False, opens_apart, orders, turns[k], phases[k], trainable, observables,
            states[k], inverse_norms, no_cotangent, adjoints[k], chunk, work, of_rows, of_turns,
            of_phases, 0, n_chunks,
        )  # fmt: skip
        passes.pull_tables(
            of_turns, of_phases, rotations, phase_stages, phase_orders, phase_angles, trainable,
            of_weights[k],
        )  # fmt: skip
