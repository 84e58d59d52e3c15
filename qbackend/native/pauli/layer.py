"""A layer under a device's noise as a Pauli program: what each weight vector and each batch takes.

Letters: B batch, F features, K turns, M observables, N rows, P circuit parameters, W weights,
D = 2^Q amplitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ...devices.noise import NoisyLayer, assignment_matrices, channel_after
from ...errors import OptionError
from ...gradients.noisy_preparation import (
    Mask,
    PreparationAverage,
    averaged_gradient,
    feature_gradient,
)
from ...layers.inputs import Array
from .cpu import CpuProgram, FloatArray
from .program import compile_program
from .tensors import TorchProgram

MAX_QUBITS = 7
"""Qubits of a Pauli vector: the layer's own, and any that the transpiler routes through."""


class Engine(Protocol):
    """What executes a Pauli program; `CpuProgram` says what the calls mean."""

    def forms(self, angles: FloatArray) -> FloatArray:
        """See `CpuProgram.forms`."""

    def pull_forms(self, angles: FloatArray, of_forms: FloatArray) -> FloatArray:
        """See `CpuProgram.pull_forms`."""

    def values(self, forms: FloatArray, angles: FloatArray) -> FloatArray:
        """See `CpuProgram.values`."""

    def gradients(
        self, forms: FloatArray, angles: FloatArray, cotangent: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `CpuProgram.gradients`."""


@dataclass(frozen=True)
class Pulled:
    """The observables where the data ends, for one weight vector.

    Attributes:
        weights: (W,).
        turns: (K,) angles of the tail.
        forms: (M, 4^qubits) over Pauli vectors.
    """

    weights: Array
    turns: Array
    forms: FloatArray


class LayerSimulation:
    """One compiled layer; what it computes for a weight vector it keeps until the next one.

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
        self._n_angles = len(layer.parameters) - layer.spec.n_weights
        self.program = compile_program(
            layer.circuit,
            layer.parameters,
            self._n_angles,
            layer.observables,
            lambda operation, qubits: channel_after(layer.model, operation, qubits),
            assignment_matrices(layer.model, n_qubits),
        )
        self._engines: dict[tuple[torch.dtype, torch.device], Engine] = {}
        self._pulled: Pulled | None = None
        self._average: tuple[Array, Array] | None = None

    def engine(self, dtype: torch.dtype, device: torch.device) -> Engine:
        """What executes the program for features of this kind."""
        key = dtype, device
        if key not in self._engines:
            self._engines[key] = (
                CpuProgram(self.program, torch.empty(0, dtype=dtype).numpy().dtype)
                if device.type == "cpu"
                else TorchProgram(self.program, dtype, device)
            )
        return self._engines[key]

    def values(self, engine: Engine, rows: Array, weights: Array) -> FloatArray:
        """Expectation values (N, M) for rows of parameters (N, P) that share `weights` (W,)."""
        forms = self._pull_observables(engine, weights).forms
        return engine.values(forms, self.program.head.angles(rows))

    def values_by_row(self, engine: Engine, rows: Array) -> Array:
        """The same for rows that bring weights of their own."""
        values = np.empty((len(rows), self.layer.spec.n_outputs))
        vectors, group = np.unique(rows[:, self._n_angles :], axis=0, return_inverse=True)
        for index, weights in enumerate(vectors):
            chosen = group.ravel() == index
            values[chosen] = self.values(engine, rows[chosen], weights)
        return values

    def pull(
        self, engine: Engine, features: Array | None, rows: Array, weights: Array, cotangent: Array
    ) -> tuple[Array | None, Array]:
        """Gradients by features (B, F) and weights (W,) of sum(values * cotangent (B, M)).

        `rows` (B, P) are those of features and weights; no row of features encodes nothing.
        Features are None where their gradient is not wanted.
        """
        head, tail = self.program.head, self.program.tail
        pulled = self._pull_observables(engine, weights)
        of_turns, of_forms = engine.gradients(pulled.forms, head.angles(rows), cotangent)
        of_rows = of_turns @ head.slopes
        of_tail = engine.pull_forms(pulled.turns, of_forms) @ tail.slopes
        of_weights = of_rows[:, self._n_angles :].sum(axis=0) + of_tail[self._n_angles :]
        if features is None:
            return None, of_weights

        def averaged(chosen: Mask) -> Array:
            forms = self._preparation_average(weights) @ pulled.forms.T
            return averaged_gradient(features[chosen], forms, cotangent[chosen])

        of_angles = of_rows[:, : self._n_angles]
        return feature_gradient(self.layer, features, of_angles, averaged), of_weights

    def _pull_observables(self, engine: Engine, weights: Array) -> Pulled:
        if self._pulled is None or not np.array_equal(weights, self._pulled.weights):
            turns = self.program.tail.angles(np.concatenate([np.zeros(self._n_angles), weights]))
            self._pulled = Pulled(weights.copy(), turns, engine.forms(turns))
        return self._pulled

    def _preparation_average(self, weights: Array) -> Array:
        """Every Pauli coefficient where the data ends, as a form of the ideal state.

        (D (D + 1) / 2, 4^qubits). It depends on the weights where the transpiler has moved turns
        by weights in between the preparation's.
        """
        head = self.program.head
        moved = head.slopes[:, self._n_angles :] @ weights
        if self._average is None or not np.array_equal(moved, self._average[0]):
            average = PreparationAverage.over(self.layer.spec.n_wires)
            engine = self.engine(torch.float64, torch.device("cpu"))
            angles = head.angles(self.layer.rows(average.states, weights))
            coefficients = engine.values(np.eye(4**self.program.n_qubits), angles)
            self._average = moved, average.fit(coefficients.astype(np.float64))
        return self._average[1]
