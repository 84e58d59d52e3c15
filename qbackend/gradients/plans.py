"""Derivatives from expectation values alone: plans of rows, and what to make of their values.

A plan is pure: it lists the features and weights to evaluate, and reduces the values that come
back. Only the call in between touches a backend, so every backend has these gradients.

Letters: B batch, F features, W weights, M observables, N rows, T directions of the encoding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from ..errors import OptionError
from ..layers.encodings import without_overflow
from ..layers.inputs import Array
from ..layers.program import ROTATION_ANGLES, Layer, SmoothInputMap
from ..layers.spec import LayerSpec
from ..seam.requests import CompiledLayer


class GradientPlan(ABC):
    """Rows to evaluate for the derivatives of B outputs rows."""

    @abstractmethod
    def rows(self, compiled: CompiledLayer) -> Array:
        """The rows to evaluate, (N, P)."""

    @abstractmethod
    def jacobians(self, values: Array) -> tuple[Array, Array]:
        """Derivatives of every output, (B, M, F) and (B, M, W), from the rows' values (N, M)."""

    @abstractmethod
    def vjp(self, values: Array, cotangent: Array) -> tuple[Array, Array]:
        """Gradients of sum(outputs * cotangent), (B, F) and (W,), from the values (N, M).

        `cotangent` is (B, M). Whole Jacobians are never formed.
        """


@dataclass(frozen=True)
class FeaturePlan(GradientPlan):
    """A plan in terms of a layer's inputs.

    Attributes:
        features: (N, F) of the rows to evaluate.
        weights: (N, W) of the rows to evaluate.
    """

    features: Array
    weights: Array

    def rows(self, compiled: CompiledLayer) -> Array:
        return compiled.rows(self.features, self.weights)


@dataclass(frozen=True)
class ShiftPlan(FeaturePlan):
    """The parameter-shift rule: exact derivatives as differences of two values each.

    Attributes:
        directions: (B, T, F), what the differences of the features' rows are derivatives along.
    """

    directions: Array

    def jacobians(self, values: Array) -> tuple[Array, Array]:
        along, by_weight = self._differences(values)
        return np.einsum("btf,btm->bmf", self.directions, along), by_weight.transpose(0, 2, 1)

    def vjp(self, values: Array, cotangent: Array) -> tuple[Array, Array]:
        along, by_weight = self._differences(values)
        weighted = np.einsum("btm,bm->bt", along, cotangent)
        return (
            np.einsum("btf,bt->bf", self.directions, weighted),
            np.einsum("bwm,bm->w", by_weight, cotangent),
        )

    def _differences(self, values: Array) -> tuple[Array, Array]:
        """Derivatives along the directions (B, T, M) and by the weights (B, W, M)."""
        n_batch, n_directions = self.directions.shape[:2]
        n_weights, n_outputs = self.weights.shape[1], values.shape[1]
        split = n_batch * n_directions * 2
        of_features = values[:split].reshape(n_batch, n_directions, 2, n_outputs)
        along = of_features[:, :, 0] - of_features[:, :, 1]
        if len(values) == split:
            return along, np.zeros((n_batch, n_weights, n_outputs))
        of_weights = values[split:].reshape(n_batch, n_weights, 2, n_outputs)
        return along, (of_weights[:, :, 0] - of_weights[:, :, 1]) / 2


def plan_parameter_shift(
    spec: LayerSpec,
    features: Array,
    weights: Array,
    *,
    of_features: bool = True,
    of_weights: bool = True,
) -> ShiftPlan:
    """The plan for features (B, F) and weights (W,): N = B * 2 * (T + W) rows.

    Weights turn by pi/2 either way (Mitarai et al., arXiv 1803.00745; Schuld et al.,
    arXiv 1811.11184); features move as their encoding says. No row of `features` may be one that
    the encoding calls zero. Without `of_features` no row is for them, and the derivatives by them
    that the plan gives are zero; nor without `of_weights`.
    """
    n_batch, n_weights = len(features), len(weights)
    moved, directions = spec.encoding_rule.shifted(features)
    if not of_features:
        moved, directions = moved[:, :0], directions[:, :0]
    turn = np.pi / 2 * np.eye(n_weights)[: None if of_weights else 0]
    turned = np.stack([weights + turn, weights - turn], axis=1).reshape(-1, n_weights)
    moved_rows = moved.reshape(-1, spec.n_features)
    return ShiftPlan(
        features=np.concatenate([moved_rows, np.repeat(features, len(turned), axis=0)]),
        weights=np.concatenate(
            [np.broadcast_to(weights, (len(moved_rows), n_weights)), np.tile(turned, (n_batch, 1))]
        ),
        directions=directions,
    )


@dataclass(frozen=True)
class CircuitShiftPlan:
    """The parameter-shift rule in the circuit's own parameters, features and weights alike.

    Moving a state as `plan_parameter_shift` does is exact for the ideal preparation. Noise acts
    between the preparation's gates, where only their angles' derivatives stay exact.

    Attributes:
        rows: (N, P) of the parameters to evaluate, N = B * S * 2.
        n_shifted: S, how many parameters are shifted.
    """

    rows: Array
    n_shifted: int

    def derivatives(self, values: Array) -> Array:
        """Derivative of every output by every such parameter, (B, M, S), from the values (N, M)."""
        pairs = values.reshape(-1, self.n_shifted, 2, values.shape[1])
        return (pairs[:, :, 0] - pairs[:, :, 1]).transpose(0, 2, 1) / 2


def plan_circuit_shift(
    compiled: CompiledLayer, parameters: Array, shifted: slice | NDArray[np.bool_] = slice(None)
) -> CircuitShiftPlan:
    """The plan for rows of parameters (B, P), of which those that `shifted` chooses are shifted.

    Raises:
        OptionError: a parameter that turns more than one gate, or not by its own angle in a Pauli
            rotation; the message names it.
    """
    check_rotations(compiled.circuit)
    n_parameters = parameters.shape[1]
    turn = np.pi / 2 * np.eye(n_parameters)[shifted]
    both = np.stack([turn, -turn], axis=1)
    rows = (parameters[:, None, None] + both).reshape(2 * len(turn) * len(parameters), n_parameters)
    return CircuitShiftPlan(rows, len(turn))


@dataclass(frozen=True)
class AngleShiftPlan(GradientPlan):
    """The parameter-shift rule in the angles of a user's circuit, and the chain rule behind it.

    Attributes:
        inputs: the map to the angles.
        features: (B, F), at which the derivatives are taken.
        weights: (W,), likewise.
        shifted: (P,) which angles are shifted.
        shift: of these.
    """

    inputs: SmoothInputMap
    features: Array
    weights: Array
    shifted: NDArray[np.bool_]
    shift: CircuitShiftPlan

    def rows(self, compiled: CompiledLayer) -> Array:
        return self.shift.rows

    def jacobians(self, values: Array) -> tuple[Array, Array]:
        by_angle = self._of_angles(values)
        pulled = [
            self.inputs.pull(self.features, self.weights, by_angle[:, output])
            for output in range(by_angle.shape[1])
        ]
        return np.stack([x for x, _ in pulled], axis=1), np.stack([w for _, w in pulled], axis=1)

    def vjp(self, values: Array, cotangent: Array) -> tuple[Array, Array]:
        of_angles = np.einsum("bmp,bm->bp", self._of_angles(values), cotangent)
        by_features, by_weights = self.inputs.pull(self.features, self.weights, of_angles)
        return by_features, by_weights.sum(axis=0)

    def _of_angles(self, values: Array) -> Array:
        """Derivative of every output by every angle, (B, M, P); zero by those not shifted."""
        by_angle = np.zeros((len(self.features), values.shape[1], len(self.shifted)))
        if self.shifted.any():
            by_angle[..., self.shifted] = self.shift.derivatives(values)
        return by_angle


def plan_angle_shift(
    compiled: CompiledLayer,
    features: Array,
    weights: Array,
    *,
    of_features: bool = True,
    of_weights: bool = True,
) -> AngleShiftPlan:
    """The plan for features (B, F) and weights (W,) of a circuit whose inputs are smooth.

    N = 2 B rows for each angle that moves with what derivatives are wanted by; the derivatives by
    the other are not to be used.

    Raises:
        OptionError: an angle without a shift rule, see `plan_circuit_shift`.
    """
    inputs: SmoothInputMap = compiled.inputs  # type: ignore[assignment]
    shifted = (inputs.by_features & of_features) | (inputs.by_weights & of_weights)
    rows = inputs.angles(features, weights)
    shift = plan_circuit_shift(compiled, rows, shifted)
    return AngleShiftPlan(inputs, features, weights, shifted, shift)


def check_rotations(circuit: QuantumCircuit) -> None:
    """Raise `OptionError` for a parameter without a shift rule, see `plan_circuit_shift`."""
    turned: set[object] = set()
    for item in circuit.data:
        gate = item.operation
        for position, expression in enumerate(gate.params):
            turns = position < ROTATION_ANGLES.get(gate.name, 0)
            for parameter in getattr(expression, "parameters", ()):
                unit = parameter == expression or abs(expression.gradient(parameter)) == 1
                if parameter in turned or not turns or not unit:
                    raise OptionError(
                        f"no shift rule for parameter '{parameter}' at gate '{gate.name}': "
                        "it must be the angle of one rotation and of no other; "
                        "use the gradient 'spsa'"
                    )
                turned.add(parameter)


@dataclass(frozen=True)
class SpsaPlan(FeaturePlan):
    """Simultaneous perturbation: all derivatives of an output from two values, noisily.

    Attributes:
        steps: (B, K, F + W) signed perturbations of the features and the weights.
        perturbed: (B, F + W) size of the perturbation of each; zero where it stands still.
    """

    steps: Array
    perturbed: Array

    def jacobians(self, values: Array) -> tuple[Array, Array]:
        gradient = np.einsum("bkm,bkp->bmp", self._slopes(values), self._directions())
        n_features = self.features.shape[1]
        return gradient[..., :n_features], gradient[..., n_features:]

    def vjp(self, values: Array, cotangent: Array) -> tuple[Array, Array]:
        weighted = np.einsum("bkm,bm->bk", self._slopes(values), cotangent)
        gradient = np.einsum("bk,bkp->bp", weighted, self._directions())
        n_features = self.features.shape[1]
        return gradient[:, :n_features], gradient[:, n_features:].sum(axis=0)

    def _slopes(self, values: Array) -> Array:
        """Half differences averaged over the K draws, (B, K, M)."""
        n_batch, n_draws = self.steps.shape[:2]
        pairs = values.reshape(n_batch, n_draws, 2, values.shape[1])
        return (pairs[:, :, 0] - pairs[:, :, 1]) / (2 * n_draws)

    def _directions(self) -> Array:
        """What a slope is multiplied with for each derivative, (B, K, F + W)."""
        sizes = self.perturbed[:, None, :]
        # A step is its size with a sign, and squares of sizes overflow.
        return np.divide(np.sign(self.steps), sizes, out=np.zeros_like(self.steps), where=sizes > 0)


def plan_spsa(
    spec: Layer,
    features: Array,
    weights: Array,
    *,
    rng: np.random.Generator,
    perturbation: float = 0.1,
    draws: int = 1,
    of_features: bool = True,
    of_weights: bool = True,
) -> SpsaPlan:
    """The plan for features (B, F) and weights (W,): N = B * 2 * `draws` rows.

    Every image draws its own signs, so that a batch averages over many of them. Weights and angle
    features move by `perturbation` radians; amplitude features by that part of the row's root
    mean square, because only their direction matters (Spall, IEEE Trans. Autom. Control 37, 332).
    Without `of_features` or `of_weights` these stand still, which leaves the other derivatives
    less noisy.
    """
    n_batch, n_features = features.shape
    scale = np.ones((n_batch, 1))
    if not of_features:
        scale = np.zeros((n_batch, 1))
    elif isinstance(spec, LayerSpec) and spec.encoding == "amplitude":
        rows, factors = without_overflow(features)
        scale = np.sqrt(np.mean(rows**2, axis=1, keepdims=True)) / factors
    turned = np.full((n_batch, len(weights)), float(of_weights))
    sizes = np.concatenate([np.repeat(scale, n_features, 1), turned], 1)
    perturbed = perturbation * sizes
    signs = rng.choice([-1.0, 1.0], size=(n_batch, draws, perturbed.shape[1]))
    steps = signs * perturbed[:, None, :]
    both = np.stack([steps, -steps], axis=2)
    return SpsaPlan(
        features=(features[:, None, None] + both[..., :n_features]).reshape(-1, n_features),
        weights=(weights + both[..., n_features:]).reshape(-1, len(weights)),
        steps=steps,
        perturbed=perturbed,
    )
