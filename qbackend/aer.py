"""Qiskit Aer: exact expectations, or sampled ones.

Exact values use what the encoding leaves open. It prepares a real state a, so an output is the
quadratic form aᵀ Re(U† O U) a. Aer is asked for the ansatz's unitary U once per weight vector and
for the unitaries up to every cut, which give the derivatives; nothing is run while the weights
stand still. Beyond `UNITARY_WIRES` a batch of states costs less than U: the batch index becomes
extra qubits, so that one run of Aer carries the whole batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from . import quadratic
from .adjoint import ComplexArray, weight_gradient
from .aer_circuits import UNITARY_WIRES, propagate, row_probabilities, unitaries
from .base import (
    Array,
    Capabilities,
    CompiledLayer,
    Cost,
    Forward,
    QuantumBackend,
    Request,
    Result,
    angles_of,
    check_shots,
    check_width,
    local_cost,
)
from .compile import compile_layer
from .errors import OptionError
from .jobs import Job, LocalJob
from .quadratic import Forms, QuadraticBackend
from .spec import LayerSpec

MAX_WIRES = 20
STATE_QUBITS = 22
"""Wires and batch qubits of one run of states: 64 MiB of amplitudes."""


class AerExact(QuadraticBackend):
    """Aer's exact expectation values, with derivatives from Aer's unitaries and states."""

    name = "aer"

    def __init__(self) -> None:
        self._unitary: _UnitaryPass | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=True,
            remote=False,
            vjp=True,
            max_wires=MAX_WIRES,
            gradient_methods=("vjp", "parameter-shift", "spsa"),
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def forward(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
    ) -> Forward:
        angles = angles_of(weights)
        if compiled.spec.n_wires > UNITARY_WIRES:
            return _forward_states(compiled.spec, features, angles, differentiate)
        if self._unitary is None or not self._unitary.serves(compiled.spec, angles):
            self._unitary = _UnitaryPass(compiled.spec, angles)
        unitary = self._unitary
        forward = quadratic.forward(
            compiled.spec,
            features,
            unitary.matrices(features.dtype, features.device),
            differentiate=differentiate,
        )
        pullback = forward.pullback
        if pullback is None:
            return Forward(forward.values, None)

        def pull(cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            of_features, of_matrices = pullback(cotangent)
            gradient = unitary.weight_gradient(of_matrices.cpu().double().numpy())
            return of_features, torch.from_numpy(gradient)

        return Forward(forward.values, pull)

    def forms(self, compiled: CompiledLayer, weights: Array) -> Forms:
        unitary = _UnitaryPass(compiled.spec, weights)
        matrices = unitary.matrices(torch.float64, torch.device("cpu"))
        return Forms(matrices.numpy(), unitary.weight_gradient)

    def submit(self, request: Request) -> Job:
        if request.shots is not None:
            raise OptionError("exact Aer takes no shots: get_backend('aer', shots=...) samples")
        return LocalJob(lambda job_id: _run_rows(request, job_id))

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)

    def close(self) -> None:
        self._unitary = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_unitary": None}


class AerSampled(QuantumBackend):
    """Aer's counts: what a perfect device would return for so many shots.

    Args:
        shots: per row.
        seed: for requests that bring none.
    """

    name = "aer"

    def __init__(self, shots: int, seed: int | None = None) -> None:
        check_shots(shots)
        self.shots = shots
        self.seed = seed

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=False,
            remote=False,
            vjp=False,
            max_wires=MAX_WIRES,
            gradient_methods=("parameter-shift", "spsa"),
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def submit(self, request: Request) -> Job:
        if request.shots is None:
            raise OptionError("this backend samples: a request needs shots")
        seed = self.seed if request.seed is None else request.seed
        return LocalJob(lambda job_id: _run_rows(request, job_id, seed))

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)


class _UnitaryPass:
    """The ansatz's unitaries for one weight vector, and what follows from them."""

    def __init__(self, spec: LayerSpec, weights: Array) -> None:
        self._spec = spec
        self._weights = weights.copy()
        self._unitaries = unitaries(spec, weights)
        self._cast: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}

    def serves(self, spec: LayerSpec, weights: Array) -> bool:
        """Whether this pass is the one for these weights."""
        return spec == self._spec and np.array_equal(weights, self._weights)

    def matrices(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Re(U† O_i U), (M, D, D)."""
        key = (dtype, device)
        if key not in self._cast:
            final = self._unitaries[-1]
            stacked = np.concatenate([final.real, final.imag])
            signs = np.tile(self._spec.signs(), 2)
            forms = (stacked.T * signs[:, None, :]) @ stacked
            self._cast[key] = torch.from_numpy(forms).to(device=device, dtype=dtype)
        return self._cast[key]

    def weight_gradient(self, of_matrices: Array) -> Array:
        """Gradient (W,) of a loss whose gradient with respect to the matrices is (M, D, D).

        The columns of the identity stand for the batch: their cotangents at the start are
        Λ = Σ_i U† O_i U S_i, and every cut's unitary carries both to the cut.
        """
        *reached, final = self._unitaries
        weighted = np.sum(self._spec.signs()[:, :, None] * (final @ of_matrices), axis=0)
        start = final.conj().T @ weighted
        kets = [unitary.T for unitary in reached]
        bras = [(unitary @ start).T for unitary in reached]
        return weight_gradient(self._spec, kets, bras)


def _forward_states(
    spec: LayerSpec, features: torch.Tensor, weights: Array, differentiate: bool
) -> Forward:
    """A forward pass of a wide layer, the batch carried by extra qubits."""
    encoded = quadratic.encode(spec, features)
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

    def pull(cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weighting = cotangent.detach().cpu().double().numpy() @ signs
        of_states = np.empty_like(states)
        of_weights = np.zeros(spec.n_weights)
        for rows, reached in kept:
            *bras, start = propagate(spec, weights, weighting[rows] * reached[-1], inverse=True)
            of_states[rows] = 2 * start.real
            of_weights += weight_gradient(spec, reached[:-1], bras[::-1])
        gradient = torch.from_numpy(of_states).to(features)
        return quadratic.pull_states(spec, features, encoded, gradient), torch.from_numpy(
            of_weights
        )

    return Forward(outputs, pull)


def _run_rows(request: Request, job_id: str, seed: int | None = None) -> Result:
    """Expectation values of every row; without shots exact, otherwise from drawn outcomes.

    Outcomes are drawn from Aer's probabilities: the same distribution as Aer's own counts, which
    cost ten times more per row.
    """
    shots, signs = request.shots, request.compiled.spec.signs()
    probabilities = row_probabilities(request.compiled, request.parameters)
    if shots is None:
        values, variance = probabilities @ signs.T, np.zeros((len(probabilities), len(signs)))
    else:
        counts = np.random.default_rng(seed).multinomial(shots, probabilities)
        values = counts @ signs.T / shots
        variance = np.maximum(1 - values**2, 0) / shots
    return Result(
        values=values, stderr=np.sqrt(variance), shots=shots, job_ids=(job_id,), device="aer"
    )
