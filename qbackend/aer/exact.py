"""Qiskit Aer: exact expectations, or sampled ones.

Exact values use what the encoding leaves open. It prepares a real state a, so an output is the
quadratic form aᵀ Re(U† O U) a. Aer is asked for the ansatz's unitary U once per weight vector and
for the unitaries up to every cut, which give the derivatives; nothing is run while the weights
stand still. Beyond `UNITARY_WIRES` a batch of states costs less than U: the batch index becomes
extra qubits, so that one run of Aer carries the whole batch.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ..circuits.logical import compile_layer
from ..gradients.adjoint import ComplexArray, cuts, weight_gradient
from ..kernels import unitary_forms
from ..kernels.lanes import FloatArray
from ..layers.definitions import in_catalogue
from ..layers.inputs import Array, check_finite
from ..layers.program import Layer, SmoothInputMap
from ..layers.spec import LayerSpec
from ..seam import forms as quadratic_forms
from ..seam.backend import Capabilities, Forward, Gradients, check_width
from ..seam.forms import Forms, QuadraticBackend
from ..seam.reading import drawn, expected
from ..seam.requests import CompiledLayer, Request, Result, angles_of
from ..seam.simulators import ExactSimulator, SamplingSimulator, simulator_capabilities
from .circuit_states import Observed, pull_angles, values_and_states
from .runs import UNITARY_WIRES, UnitaryEngine, propagate, row_probabilities

MAX_WIRES = 20
STATE_QUBITS = 22
"""Wires and batch qubits of one run of states: 64 MiB of amplitudes."""


class AerExact(ExactSimulator, QuadraticBackend):
    """Aer's exact expectation values, with derivatives from Aer's unitaries and states."""

    name = sampler = "aer"

    def __init__(self) -> None:
        self._engine: UnitaryEngine | None = None
        self._unitary: _UnitaryPass | None = None

    @property
    def capabilities(self) -> Capabilities:
        return simulator_capabilities(exact=True, max_wires=MAX_WIRES, vjp=True)

    def compile(self, spec: Layer) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def forward_loaded(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        if spec.n_wires > UNITARY_WIRES:
            return _forward_states(spec, features, angles_of(weights), differentiate)
        unitary = self._unitaries_for(spec, weights.tolist())
        matrices = unitary.matrices(features.dtype, features.device)
        return quadratic_forms.forward_to_weights(
            spec, features, matrices, unitary.weight_gradient, differentiate=differentiate
        )

    def forward_circuit(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        differentiate: bool,
    ) -> Forward:
        """Values of a circuit of the user's, and derivatives by shifts of its angles."""
        rows, vector = features.detach().cpu().double().numpy(), angles_of(weights)
        check_finite("features", rows)
        inputs: SmoothInputMap = compiled.inputs  # type: ignore[assignment]
        angles, observed = inputs.angles(rows, vector), Observed(compiled.observables)
        values, states = values_and_states(compiled, observed, angles)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            wanted = (inputs.by_features & of_features) | (inputs.by_weights & of_weights)
            factors = cotangent.detach().cpu().double().numpy()
            of_angles = pull_angles(compiled, observed, angles, states, factors, wanted)
            by_features, by_weights = inputs.pull(rows, vector, of_angles)
            return (
                torch.from_numpy(by_features).to(features) if of_features else None,
                torch.from_numpy(by_weights.sum(axis=0)) if of_weights else None,
            )

        return Forward(torch.from_numpy(values).to(features), pull if differentiate else None)

    def forms(self, compiled: CompiledLayer, weights: Array) -> Forms:
        spec = in_catalogue(compiled.spec, "a layer on every pixel")
        passes = [self._unitaries_for(spec, vector) for vector in weights.tolist()]
        cpu = torch.device("cpu")

        def pull(of_matrices: Array) -> Array:
            pairs = zip(passes, of_matrices, strict=True)
            return np.stack([unitary.weight_gradient(part) for unitary, part in pairs])

        return Forms(np.stack([u.matrices(torch.float64, cpu).numpy() for u in passes]), pull)

    def run(self, request: Request, job_id: str) -> Result:
        compiled = request.compiled
        values = expected(compiled, row_probabilities(compiled, request.parameters))
        return Result(values, np.zeros_like(values), shots=None, job_ids=(job_id,), device="aer")

    def close(self) -> None:
        self._engine = self._unitary = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_engine": None, "_unitary": None}

    def _unitaries_for(self, spec: LayerSpec, weights: list[float]) -> _UnitaryPass:
        """Those of the last call while the weights stand still; raises `InputError`."""
        unitary, engine = self._unitary, self._engine
        if unitary is not None and unitary.serves(spec, weights):
            return unitary
        if not math.isfinite(sum(weights)):
            check_finite("weights", np.array([weights]))
        if engine is None or engine.n_wires != spec.n_wires:
            engine = self._engine = UnitaryEngine(spec.n_wires)
        unitary = self._unitary = _UnitaryPass(spec, weights, engine)
        return unitary


class AerSampled(SamplingSimulator):
    """Aer's counts: what a perfect device would return for so many shots.

    Outcomes are drawn from Aer's probabilities: the same distribution as Aer's own counts, which
    cost ten times more per row.
    """

    name = "aer"

    @property
    def capabilities(self) -> Capabilities:
        return simulator_capabilities(exact=False, max_wires=MAX_WIRES)

    def compile(self, spec: Layer) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        probabilities = row_probabilities(request.compiled, request.parameters)
        values, stderr = drawn(request.compiled, probabilities, shots, seed)
        return Result(values, stderr, shots=shots, job_ids=(job_id,), device="aer")


class _UnitaryPass:
    """The ansatz's unitaries for one weight vector, and what follows from them."""

    def __init__(self, spec: LayerSpec, weights: list[float], engine: UnitaryEngine) -> None:
        self._spec = spec
        self._weights = weights
        self._kets = engine.run(spec, weights)
        self._cast: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}

    def serves(self, spec: LayerSpec, weights: list[float]) -> bool:
        """Whether this pass is the one for these weights."""
        return weights == self._weights and spec == self._spec

    def matrices(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Re(U† O_i U), (M, D, D)."""
        key = (dtype, device)
        if key not in self._cast:
            signs = self._spec.signs()
            forms = torch.empty((len(signs), *self._kets.shape[1:]), dtype=dtype)
            unitary_forms.forms(self._kets[-1], signs, forms.numpy())
            self._cast[key] = forms.to(device)
        return self._cast[key]

    def weight_gradient(self, of_matrices: FloatArray) -> Array:
        """Gradient (W,) of a loss whose gradient with respect to the matrices is (M, D, D)."""
        spec, gradient = self._spec, np.empty(len(self._weights))
        axes, angles = _turns(spec)
        unitary_forms.pull_forms(self._kets, spec.signs(), of_matrices, axes, angles, gradient)
        return gradient


@lru_cache(maxsize=32)
def _turns(spec: LayerSpec) -> tuple[unitary_forms.IntArray, unitary_forms.IntArray]:
    """The rotations before every cut: their axis (K,), and which weight turns each wire (K, Q)."""
    numbers = {"x": unitary_forms.X, "y": unitary_forms.Y, "z": unitary_forms.Z}
    axes = [numbers[rotations.axis] for rotations in cuts(spec)]
    angles = [rotations.weights for rotations in cuts(spec)]
    return np.array(axes, dtype=np.int64), np.array(angles, dtype=np.int64)


def _forward_states(
    spec: LayerSpec, features: torch.Tensor, weights: Array, differentiate: bool
) -> Forward:
    """A forward pass of a wide layer, the batch carried by extra qubits."""
    encoded = quadratic_forms.encode(spec, features)
    states = encoded.detach().cpu().double().numpy()
    signs = spec.signs()
    chunk = 2 ** max(STATE_QUBITS - spec.n_wires, 0)
    kept: list[tuple[slice, list[ComplexArray]]] = []
    values = np.empty((len(states), spec.n_outputs))
    for first in range(0, len(states), chunk):
        rows = slice(first, first + chunk)
        reached = propagate(spec, weights, states[rows].astype(complex), inverse=False)
        values[rows] = np.abs(reached[-1]) ** 2 @ signs.T
        if differentiate:
            kept.append((rows, reached))
    outputs = torch.from_numpy(values).to(features)
    if not differentiate:
        return Forward(outputs, None)

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        weighting = cotangent.detach().cpu().double().numpy() @ signs
        of_states = np.empty_like(states)
        by_weights = np.zeros(spec.n_weights)
        for rows, reached in kept:
            *bras, start = propagate(spec, weights, weighting[rows] * reached[-1], inverse=True)
            of_states[rows] = 2 * start.real
            if of_weights:
                by_weights += weight_gradient(spec, reached[:-1], bras[::-1])
        by_features = None
        if of_features:
            gradient = torch.from_numpy(of_states).to(features)
            by_features = quadratic_forms.pull_states(spec, features, encoded, gradient)
        return by_features, torch.from_numpy(by_weights) if of_weights else None

    return Forward(outputs, pull)
