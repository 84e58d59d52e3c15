"""A layer under a device's noise as a Pauli program: what each weight vector and each batch takes.

Rows of circuit parameters begin with those that move with the features; what stands behind them
is the same in all rows of a batch, unless their weights differ.

Letters: B batch, F features, K turns, M observables, N rows, P circuit parameters, W weights,
D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from ...devices.noise import NoisyLayer, assignment_matrices, channel_after
from ...errors import OptionError
from ...gradients.noisy_preparation import (
    PreparationAverage,
    averaged_gradient,
    feature_gradient,
)
from ...layers.inputs import Array
from ...layers.program import SmoothInputMap
from ...layers.readout import Readout, Term
from ...layers.spec import LayerSpec
from .cpu import CpuProgram, FloatArray
from .program import compile_program

MAX_QUBITS = 7
"""Qubits of a Pauli vector: the layer's own, and any that the transpiler routes through."""


@dataclass(frozen=True)
class Pulled:
    """The observables where the data ends, for what all rows share.

    Attributes:
        shared: the circuit's angles that do not move with the row.
        turns: (K,) angles of the tail.
        forms: (M, 4^qubits) over Pauli vectors.
    """

    shared: Array
    turns: Array
    forms: FloatArray


class ReadoutSimulation:
    """One circuit of a layer; what it computes for the shared angles it keeps until the next.

    Args:
        layer: under noise.
        circuit: of one of its readouts.
        readout: what is read.
    """

    def __init__(self, layer: NoisyLayer, circuit: QuantumCircuit, readout: Readout) -> None:
        n_qubits = circuit.num_qubits
        self.layer = layer
        self._n_angles = int(layer.inputs.by_features.sum())
        self.program = compile_program(
            circuit,
            layer.parameters,
            self._n_angles,
            [_z_sum(terms, n_qubits) for terms in readout.terms],
            lambda operation, qubits: channel_after(layer.model, operation, qubits),
            assignment_matrices(layer.model, n_qubits),
        )
        self._engines: dict[np.dtype[Any], CpuProgram] = {}
        self._pulled: Pulled | None = None
        self._average: tuple[Array, Array] | None = None

    def engine(self, dtype: DTypeLike) -> CpuProgram:
        """What executes the program for features of this kind."""
        key = np.dtype(dtype)
        if key not in self._engines:
            self._engines[key] = CpuProgram(self.program, key)
        return self._engines[key]

    def values(self, engine: CpuProgram, rows: Array) -> FloatArray:
        """Expectation values (N, M) for rows of parameters (N, P) that share what they can."""
        forms = self._pull_observables(engine, rows[0, self._n_angles :]).forms
        return engine.values(forms, self.program.head.angles(rows))

    def gradients(self, engine: CpuProgram, rows: Array, cotangent: Array) -> Array:
        """Gradients by rows (N, P) that share what they can, of sum(values * cotangent (N, M)).

        What the rows share is computed once: the first row has all of that gradient.
        """
        head, tail = self.program.head, self.program.tail
        pulled = self._pull_observables(engine, rows[0, self._n_angles :])
        of_turns, of_forms = engine.gradients(pulled.forms, head.angles(rows), cotangent)
        of_rows = np.asarray(of_turns @ head.slopes, dtype=np.float64)
        of_rows[0] += engine.pull_forms(pulled.turns, of_forms) @ tail.slopes
        return of_rows

    def _pull_observables(self, engine: CpuProgram, shared: Array) -> Pulled:
        if self._pulled is None or not np.array_equal(shared, self._pulled.shared):
            turns = self.program.tail.angles(np.concatenate([np.zeros(self._n_angles), shared]))
            self._pulled = Pulled(shared.copy(), turns, engine.forms(turns))
        return self._pulled

    def averaged(
        self, engine: CpuProgram, features: Array, weights: Array, cotangent: Array
    ) -> Array:
        """The averaged gradient by amplitude features (B, F); see `noisy_preparation`."""
        forms = self.preparation_average(features.shape[1], weights)
        return averaged_gradient(
            features, forms @ self._pull_observables(engine, weights).forms.T, cotangent
        )

    @property
    def average_moves(self) -> bool:
        """Whether `preparation_average` depends on the weights.

        It does where the transpiler has moved turns by weights in between the preparation's.
        """
        return bool(self.program.head.slopes[:, self._n_angles :].any())

    def preparation_average(self, n_amplitudes: int, weights: Array) -> Array:
        """Every Pauli coefficient where the data ends, as a form of the ideal state.

        (D (D + 1) / 2, 4^qubits).
        """
        head = self.program.head
        moved = head.slopes[:, self._n_angles :] @ weights
        if self._average is None or not np.array_equal(moved, self._average[0]):
            average = PreparationAverage.over(n_amplitudes.bit_length() - 1)
            engine = self.engine(np.float64)
            angles = head.angles(self.layer.rows(average.states, weights))
            coefficients = engine.values(np.eye(4**self.program.n_qubits), angles)
            self._average = moved, average.fit(coefficients.astype(np.float64))
        return self._average[1]


class LayerSimulation:
    """One compiled layer: the sum over its readouts.

    Raises:
        OptionError: the compiled layer takes more than `MAX_QUBITS` qubits, or has a gate that is
            not simulated natively.
    """

    def __init__(self, layer: NoisyLayer) -> None:
        n_qubits = layer.circuit.num_qubits
        if n_qubits > MAX_QUBITS:
            raise OptionError(
                f"the compiled layer takes {n_qubits} qubits of '{layer.properties.device}', but "
                f"native takes at most {MAX_QUBITS} under noise; choose fewer wires or 'aer:DEVICE'"
            )
        self.layer = layer
        self._n_angles = int(layer.inputs.by_features.sum())
        self.readouts = [
            ReadoutSimulation(layer, circuit, readout)
            for circuit, readout in zip(layer.measured, layer.readouts, strict=True)
        ]

    def values(self, dtype: DTypeLike, rows: Array) -> Array:
        """Expectation values (N, M) for rows of parameters (N, P) that share what they can."""
        values = np.zeros((len(rows), self.layer.spec.n_outputs))
        for readout in self.readouts if len(rows) > 0 else ():
            values += readout.values(readout.engine(dtype), rows)
        return values

    def values_by_row(self, rows: Array) -> Array:
        """The same for rows that share nothing."""
        values = np.empty((len(rows), self.layer.spec.n_outputs))
        vectors, group = np.unique(rows[:, self._n_angles :], axis=0, return_inverse=True)
        for index in range(len(vectors)):
            chosen = group.ravel() == index
            values[chosen] = self.values(np.float64, rows[chosen])
        return values

    def pull(
        self,
        dtype: DTypeLike,
        features: Array,
        weights: Array,
        cotangent: Array,
        of_features: bool,
    ) -> tuple[Array | None, Array]:
        """Gradients by features (B, F) and weights (W,) of sum(values * cotangent (B, M)).

        No row of features encodes nothing. The features' gradient may not be wanted.
        """
        layer = self.layer
        rows = layer.rows(features, weights)
        if len(rows) == 0:
            return np.zeros_like(features) if of_features else None, np.zeros(len(weights))
        engines = [(readout, readout.engine(dtype)) for readout in self.readouts]
        of_rows = sum(each.gradients(engine, rows, cotangent) for each, engine in engines)
        if not isinstance(layer.spec, LayerSpec):
            inputs: SmoothInputMap = layer.inputs  # type: ignore[assignment]
            by_features, by_weights = inputs.pull(features, weights, np.asarray(of_rows))
            return by_features if of_features else None, by_weights.sum(axis=0)
        of_angles, of_weights = np.split(np.asarray(of_rows), [self._n_angles], axis=1)
        if not of_features:
            return None, of_weights.sum(axis=0)
        readout, engine = engines[0]

        def averaged(features: Array, cotangent: Array) -> Array:
            return readout.averaged(engine, features, weights, cotangent)

        by_features = feature_gradient(layer, features, of_angles, cotangent, averaged)
        return by_features, of_weights.sum(axis=0)


def _z_sum(terms: Sequence[Term], n_qubits: int) -> SparsePauliOp:
    """What is read, as a sum of strings of Z."""
    strings = [("Z" * len(qubits), list(qubits), value) for value, qubits in terms]
    return SparsePauliOp.from_sparse_list(strings or [("", [], 0.0)], num_qubits=n_qubits)
