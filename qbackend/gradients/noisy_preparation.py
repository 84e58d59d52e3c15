"""Derivatives by features where noise acts between the preparation's gates.

The outputs are then no longer a quadratic form of the encoded state. Two derivatives are at hand:

- *exact*: the chain rule through the preparation's angles. It is that of the function that the
  circuit computes, which is rough where angles jump while the state does not: at singular values
  that coincide (compact preparation), at a node of the tree that vanishes (textbook preparation).
- *averaged*: noise averaged over random states is a channel behind the ideal state, and the
  outputs are quadratic forms again. Always finite; the derivative proper where there is no noise.

Measured on a 4-wire layer under fake_brisbane's noise (benchmarks/preparation_gradient.py), as the
error of the change that a derivative predicts for a random step of 0.1 in the logits of a softmax,
relative to that change:

- compact preparation: exact 1.6 near uniform features, where averaged 0.05; elsewhere 0.09 to 0.21
  and 0.05 to 0.11. Exact predicts better for steps below 0.01 only.
- textbook preparation: exact 0.015 to 0.035, averaged 0.04 to 0.05.

Away from such points the two agree: the median cosine between them is 0.997 (compact) and 0.999
(textbook). Hence compact features take the averaged derivative, angle features and textbook
features the exact one, except for textbook features below a node that holds less than `VANISHING`
of the row's norm: there the noise in the exact derivative outweighs the signal.

Letters: B batch, F features, M observables, D = 2^Q amplitudes, E angles, S states, X functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..layers.definitions import in_catalogue
from ..layers.encodings import AmplitudeEncoding, gray_transform, without_overflow
from ..layers.inputs import Array, Numbers, constant_like, library_of, patched
from ..layers.spec import LayerSpec
from ..layers.spec_inputs import SpecInputs
from ..seam.loading import pull_loaded
from ..seam.requests import CompiledLayer
from .plans import CircuitShiftPlan, GradientPlan, plan_circuit_shift

VANISHING = 1e-2
"""About a two-qubit gate's error: divided by a node's share it is the noise in a derivative."""
STATES_PER_UNKNOWN = 4
"""Random states to average over, for every entry of a symmetric form."""


@dataclass(frozen=True)
class PreparationAverage:
    """Functions of the encoded features as quadratic forms of the ideal state.

    Attributes:
        states: (S, D) random real unit vectors, the same for every layer of that width.
    """

    states: Array

    @classmethod
    def over(cls, n_wires: int) -> PreparationAverage:
        """Over uniformly distributed states, drawn from a fixed seed."""
        dimension = 2**n_wires
        shape = STATES_PER_UNKNOWN * dimension * (dimension + 1) // 2, dimension
        drawn = np.random.default_rng(0).normal(size=shape)
        return cls(AmplitudeEncoding().states(drawn).astype(np.float64))

    def fit(self, values: Array) -> Array:
        """The forms (D (D + 1) / 2, X) nearest to functions with these values (S, X).

        By least squares: a function that is a quadratic form is met exactly.
        """
        products = self._products
        forms = np.linalg.solve(products.T @ products, products.T @ values)
        return forms.astype(np.float64)

    def fitting(self) -> Array:
        """What `fit` multiplies values by, (D (D + 1) / 2, S)."""
        products = self._products
        return np.linalg.solve(products.T @ products, products.T).astype(np.float64)

    @property
    def _products(self) -> Array:
        rows, columns = np.triu_indices(self.states.shape[1])
        products: Array = self.states[:, rows] * self.states[:, columns]
        return products


@cache
def _places(dimension: int) -> tuple[NDArray[np.int64], Array]:
    """Of every entry of a symmetric form (D, D) its place among the upper ones, and its weight.

    The weight is that of its share in the derivative of the form.
    """
    places = np.zeros((dimension, dimension), dtype=np.int64)
    rows, columns = np.triu_indices(dimension)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places, 1 + np.eye(dimension)


def averaged_gradient(features: Numbers, forms: Numbers, cotangent: Numbers) -> Numbers:
    """Gradient (B, F) of sum(outputs * cotangent (B, M)) for forms (D (D + 1) / 2, M)."""
    library = library_of(features)
    states = AmplitudeEncoding().states(features)
    n_forms, dimension = forms.shape[1], states.shape[1]
    places, weights = (constant_like(each, features) for each in _places(dimension))
    symmetric = (forms[places] * weights[:, :, None]).reshape(dimension, -1)
    slopes = (states @ symmetric).reshape(-1, dimension, n_forms)
    of_states = (slopes @ cotangent[:, :, None])[:, :, 0]
    along = library.sum(of_states * states, axis=1, keepdims=True)
    scaled, factors = without_overflow(features)
    norms = library.linalg.norm(scaled, axis=1, keepdims=True)
    return (of_states - along * states) / norms * factors


def feature_gradient(
    compiled: CompiledLayer,
    features: Numbers,
    of_angles: Numbers,
    cotangent: Numbers,
    averaged: Callable[[Numbers, Numbers], Numbers],
) -> Numbers:
    """Gradient by features (B, F), from that by the preparation's angles (B, E).

    `averaged` gives the averaged gradient for rows of features and of the cotangent (B, M). No row
    of an array may be one that the encoding calls zero; in a tensor it has no meaning.
    """
    library = library_of(features)
    rule = in_catalogue(compiled.spec, "an averaged preparation").encoding_rule
    if rule.is_product:
        given: tuple[Any, Any] = features, of_angles
        if library is torch:
            return pull_loaded(rule, *given)  # type: ignore[return-value]
        return pull_loaded(rule, *map(torch.from_numpy, given)).numpy()  # type: ignore[return-value]
    if is_averaged(compiled):
        return averaged(features, cotangent)
    gradient, vanishing = _pull_tree(features, of_angles)

    def replaced(
        gradient: Numbers, vanishing: Any, features: Numbers, cotangent: Numbers
    ) -> tuple[Any, ...]:
        return (library.where(vanishing, averaged(features, cotangent), gradient),)

    rows = vanishing.any(axis=1)
    behind = gradient, vanishing, features, cotangent
    (gradient,) = patched(rows, (gradient,), replaced, *behind)
    return gradient


def _pull_tree(features: Numbers, of_angles: Numbers) -> tuple[Numbers, Any]:
    """The chain rule through `AmplitudeEncoding.angles`.

    Returns the gradient by features (B, F), and which features are below a vanishing node.
    """
    library = library_of(features)
    scaled, factors = without_overflow(features)
    levels = [scaled]
    while levels[-1].shape[1] > 1:
        levels.append(library.hypot(levels[-1][:, 0::2], levels[-1][:, 1::2]))
    floor = VANISHING * levels.pop()
    gradient = library.zeros_like(floor)
    vanishing = floor < 0
    for level in reversed(levels):
        width = level.shape[1] // 2
        left, right = level[:, 0::2], level[:, 1::2]
        norms = library.hypot(left, right)
        vanishing = vanishing | (norms < floor)
        inverse = 1 / library.where(vanishing, np.inf, norms)
        gray = constant_like(gray_transform(width), features)
        of_turns = of_angles[:, width - 1 : 2 * width - 1] @ gray / width
        along, across = gradient * inverse, 2 * of_turns * inverse**2
        children = [left * along - right * across, right * along + left * across]
        gradient = library.stack(children, axis=2).reshape(level.shape)
        vanishing = library.stack([vanishing, vanishing], axis=2).reshape(level.shape)
    return gradient * factors, vanishing


@dataclass(frozen=True)
class NoisyShiftPlan(GradientPlan):
    """The same derivatives from expectation values alone; zero where they are not wanted.

    Attributes:
        compiled: the layer.
        features: (B, F), at which the derivatives are taken.
        of_features: whether the features' derivatives are wanted.
        first: of the parameters whose derivatives are exact, where a row has them.
        shift: of these.
        average: None where no feature needs it.
        average_rows: (S, P), its states' rows.
    """

    compiled: CompiledLayer
    features: Array
    of_features: bool
    first: int
    shift: CircuitShiftPlan
    average: PreparationAverage | None
    average_rows: Array

    def rows(self, compiled: CompiledLayer) -> Array:
        return np.concatenate([self.shift.rows, self.average_rows])

    def jacobians(self, values: Array) -> tuple[Array, Array]:
        n_rows, n_outputs = len(self.features), values.shape[1]
        of_angles, of_weights, forms = self._reduced(values)
        of_features = [
            self._of_features(of_angles[:, output], forms, np.tile(unit, (n_rows, 1)))
            for output, unit in enumerate(np.eye(n_outputs))
        ]
        return np.stack(of_features, axis=1), of_weights

    def vjp(self, values: Array, cotangent: Array) -> tuple[Array, Array]:
        by_angle, by_weight, forms = self._reduced(values)
        of_angles = np.einsum("bme,bm->be", by_angle, cotangent)
        of_weights = np.einsum("bmw,bm->w", by_weight, cotangent)
        return self._of_features(of_angles, forms, cotangent), of_weights

    def _reduced(self, values: Array) -> tuple[Array, Array, Array | None]:
        """Derivatives by angles (B, M, E) and weights (B, M, W), and the averaged forms."""
        split, last = len(self.shift.rows), self.first + self.shift.n_shifted
        n_parameters = len(self.compiled.parameters)
        derivatives = np.zeros((len(self.features), values.shape[1], n_parameters))
        if split > 0:
            derivatives[..., self.first : last] = self.shift.derivatives(values[:split])
        forms = None if self.average is None else self.average.fit(values[split:])
        n_angles = n_parameters - self.compiled.spec.n_weights
        return derivatives[..., :n_angles], derivatives[..., n_angles:], forms

    def _of_features(self, of_angles: Array, forms: Array | None, cotangent: Array) -> Array:
        if not self.of_features:
            return np.zeros_like(self.features)

        def averaged(features: Array, cotangent: Array) -> Array:
            assert forms is not None
            return averaged_gradient(features, forms, cotangent)

        return feature_gradient(self.compiled, self.features, of_angles, cotangent, averaged)


def plan_noisy_shift(
    compiled: CompiledLayer,
    features: Array,
    weights: Array,
    *,
    of_features: bool = True,
    of_weights: bool = True,
) -> NoisyShiftPlan:
    """The plan for features (B, F) and weights (W,), with noise between the preparation's gates.

    No row of `features` may be one that the encoding calls zero. Without `of_features` no row is
    for their derivatives; nor without `of_weights` for theirs.

    Raises:
        OptionError: a parameter without a shift rule, see `plan_circuit_shift`.
    """
    spec = in_catalogue(compiled.spec, "an averaged preparation")
    rows = compiled.rows(features, weights)
    n_angles = rows.shape[1] - spec.n_weights
    needs_average = of_features and is_averaged(compiled)
    first = 0 if of_features and not needs_average else n_angles
    last = rows.shape[1] if of_weights else n_angles
    shift = plan_circuit_shift(compiled, rows, slice(first, last))
    if of_features and spec.encoding == "amplitude" and not needs_average:
        _, vanishing = _pull_tree(features, np.zeros((len(rows), n_angles)))
        needs_average = bool(vanishing.any())
    average = PreparationAverage.over(spec.n_wires) if needs_average else None
    average_rows = rows[:0] if average is None else compiled.rows(average.states, weights)
    return NoisyShiftPlan(compiled, features, of_features, first, shift, average, average_rows)


def is_averaged(compiled: CompiledLayer) -> bool:
    """Whether no feature's derivative is the exact one."""
    inputs = compiled.inputs
    is_amplitude = isinstance(compiled.spec, LayerSpec) and compiled.spec.encoding == "amplitude"
    return is_amplitude and isinstance(inputs, SpecInputs) and inputs.prepare is not None
