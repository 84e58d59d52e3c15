"""The quantum layer as a qiskit-machine-learning network: what a backend is asked for a batch.

Letters: B batch, F features, W weights, M observables.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from qiskit_machine_learning.neural_networks import NeuralNetwork

from ..errors import InputError, OptionError, suggest
from ..gradients.noisy_preparation import plan_noisy_shift
from ..gradients.plans import (
    GradientPlan,
    plan_angle_shift,
    plan_parameter_shift,
    plan_spsa,
)
from ..gradients.torch_circuit import outputs
from ..layers.inputs import (
    Array,
    check_finite,
    check_weights,
    float64_array,
    in_float32_or_float64,
    seed_number,
)
from ..layers.program import Layer
from ..layers.spec import LayerSpec
from ..native.any_circuit.tensors import torch_layer
from ..seam.backend import DifferentiableBackend, Forward, Gradients, Pullback, QuantumBackend
from ..seam.requests import Request, Result

COMPUTED = (torch.float32, torch.float64)
"""The features' dtypes that a layer computes in."""


class LayerNetwork(NeuralNetwork):
    """The layer on one backend, as qiskit-machine-learning sees it.

    `forward` and `backward` take and give NumPy arrays as every `NeuralNetwork` does; `evaluate`
    is the training path, which keeps to torch and never forms a Jacobian.

    Args:
        spec: the layer.
        backend: what executes it.
        gradient: "auto" (the backend's own way) or one of its `capabilities.gradient_methods`. A
            remote backend is asked for the derivatives of one that is named together with the
            outputs, and otherwise only once a backward pass wants them.
        seed: of the sampling and of SPSA's draws; None draws one.

    Raises:
        OptionError: a layer or a gradient that the backend cannot do.
    """

    def __init__(
        self,
        spec: Layer,
        backend: QuantumBackend,
        *,
        gradient: str = "auto",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            num_inputs=spec.n_features,
            num_weights=spec.n_weights,
            sparse=False,
            output_shape=spec.n_outputs,
            input_gradients=True,
        )
        methods = backend.capabilities.gradient_methods
        self.gradient = methods[0] if gradient == "auto" else gradient
        self.asks_at_once = backend.capabilities.remote and gradient != "auto"
        if self.gradient not in methods:
            raise OptionError(
                f"backend '{backend.name}' has no gradient '{gradient}': "
                f"{suggest(gradient, methods)}"
            )
        self.spec = spec
        self.backend = backend
        self._differentiable: DifferentiableBackend | None = None
        if self.gradient == "vjp" and isinstance(backend, DifferentiableBackend):
            self._differentiable = backend
        self.compiled = backend.compile(spec)
        self.reseed(seed)

    def reseed(self, seed: int | None) -> None:
        """Start the sequence of seeds anew: the same calls then draw the same samples."""
        self._rng = np.random.default_rng(seed_number(seed))

    def evaluate(
        self,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
        of_features: bool = True,
        of_weights: bool = True,
        at_once: bool = True,
    ) -> Forward:
        """Outputs for features (B, F) and weights (W,), in the features' dtype and device.

        Args:
            features: float32 or float64; half precision is computed, and given back, in float32.
            weights: of the circuit, floating point.
            differentiate: also prepare the pullback.
            of_features: whether the pullback will be asked for the features' gradient.
            of_weights: and for the weights'.
            at_once: whether a remote backend that is to be asked at once may be: every request
                waits in a queue, and derivatives that no backward pass wants are paid for too.

        Raises:
            InputError: wrong number of weights, integers, booleans or complex numbers, or an
                entry that is not finite; before anything is executed.
        """
        if features.dtype not in COMPUTED or weights.dtype not in COMPUTED:
            features = in_float32_or_float64("features", features)
            in_float32_or_float64("weights", weights)
        check_weights(weights, self.num_weights)
        if self._differentiable is not None:
            return self._differentiable.forward(
                self.compiled, features, weights, differentiate=differentiate
            )
        rows, angles = _to_numpy(features), _to_numpy(weights)
        if differentiate and at_once and self.asks_at_once:
            return self._in_one_request(features, rows, angles, of_features, of_weights)
        values = torch.from_numpy(self._forward(rows, angles)).to(features)
        if not differentiate:
            return Forward(values, None)

        return Forward(values, self._by_plan(features, rows, angles))

    def pullback(self, features: torch.Tensor, weights: torch.Tensor) -> Pullback:
        """That of `evaluate`, for features and weights whose values are known already."""
        if self._differentiable is None:
            return self._by_plan(features, _to_numpy(features), _to_numpy(weights))
        done = self._differentiable.forward(self.compiled, features, weights, differentiate=True)
        assert done.pullback is not None
        return done.pullback

    def _by_plan(self, features: torch.Tensor, rows: Array, angles: Array) -> Pullback:
        """A pullback that asks for the rows of a plan."""

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            live = self._live(rows)
            plan = self._plan(rows[live], angles, of_features, of_weights)
            asked = plan.rows(self.compiled)
            shifted = self._values(asked, derivatives=len(asked))
            return _pulled(plan, shifted, live, features, cotangent, (of_features, of_weights))

        return pull

    def in_torch(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The same outputs by torch's operations, for derivatives beyond the first.

        Raises:
            OptionError: values that carry noise or shots, or a gradient that is an estimate: no
                second derivative of theirs is known.
        """
        capabilities = self.backend.capabilities
        if self.gradient == "spsa":
            raise OptionError(
                "the gradient 'spsa' is an estimate and has no derivative: choose "
                "gradient='auto', or leave out second derivatives (create_graph=True)"
            )
        if not capabilities.exact or capabilities.noisy:
            raise OptionError(
                f"'{self.backend.name}' gives no second derivatives, because of its shots or "
                "noise: take them on 'native' or 'aer', for example after "
                "layer.to_backend('native'), which keeps the weights"
            )
        if isinstance(self.spec, LayerSpec):
            return outputs(self.spec, features, weights)
        values: torch.Tensor = torch_layer(self.spec, features.device)(features, weights)
        return values

    def _in_one_request(
        self,
        features: torch.Tensor,
        rows: Array,
        angles: Array,
        of_features: bool,
        of_weights: bool,
    ) -> Forward:
        """Outputs and everything that their derivatives need, from one execution."""
        check_finite("features", rows)
        check_finite("weights", angles[None])
        live = self._live(rows)
        n_live = int(live.sum())
        plan = self._plan(rows[live], angles, of_features, of_weights)
        asked = np.concatenate([self.compiled.rows(rows[live], angles), plan.rows(self.compiled)])
        answered = self._values(asked, derivatives=len(asked) - n_live)
        values = np.zeros((len(rows), self.spec.n_outputs))
        values[live] = answered[:n_live]

        asked_for = of_features, of_weights

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            wanted = of_features and asked_for[0], of_weights and asked_for[1]
            return _pulled(plan, answered[n_live:], live, features, cotangent, wanted)

        return Forward(torch.from_numpy(values).to(features), pull)

    def execute(self, features: Array, weights: Array) -> Result:
        """One execution per row of features (N, F), with weights (W,) or (N, W).

        Raises:
            InputError: no floating-point numbers, wrong number of weights, an entry that is not
                finite, or a row that encodes nothing and hence has no circuit.
        """
        rows, angles = float64_array("features", features), float64_array("weights", weights)
        check_finite("features", rows)
        check_finite("weights", np.atleast_2d(angles))
        check_weights(np.atleast_2d(angles)[0], self.num_weights)
        empty = np.flatnonzero(~self._live(rows))
        if len(empty) > 0:
            raise InputError(f"features row {empty[0]} encodes nothing: its norm is below 1e-12")
        return self._execute(self.compiled.rows(rows, angles))

    def _validate_input(self, input_data: Any) -> tuple[Array | None, tuple[int, ...] | None]:
        # The base class would make floating-point numbers of whatever it is given.
        given = None if input_data is None else float64_array("features", input_data)
        return super()._validate_input(given)

    def _validate_weights(self, weights: Any) -> Array | None:
        given = None if weights is None else float64_array("weights", weights)
        if given is not None:
            check_weights(given.reshape(-1), self.num_weights)
        return super()._validate_weights(given)

    def _forward(self, input_data: Array | None, weights: Array | None) -> Array:
        rows, angles = _given(input_data, weights)
        check_finite("features", rows)
        check_finite("weights", angles[None])
        live = self._live(rows)
        values = np.zeros((len(rows), self.spec.n_outputs))
        values[live] = self._values(self.compiled.rows(rows[live], angles))
        return values

    def _backward(
        self, input_data: Array | None, weights: Array | None
    ) -> tuple[Array | None, Array | None]:
        rows, angles = _given(input_data, weights)
        check_finite("features", rows)
        check_finite("weights", angles[None])
        live = self._live(rows)
        of_features = np.zeros((len(rows), self.spec.n_outputs, self.spec.n_features))
        of_weights = np.zeros((len(rows), self.spec.n_outputs, self.spec.n_weights))
        if live.any():
            plan = self._plan(rows[live], angles)
            asked = plan.rows(self.compiled)
            values = self._values(asked, derivatives=len(asked))
            of_features[live], of_weights[live] = plan.jacobians(values)
        return (of_features if self.input_gradients else None), of_weights

    def _execute(self, rows: Array, derivatives: int = 0) -> Result:
        shots = self.backend.shots
        seed = None if shots is None else int(self._rng.integers(2**31))
        return self.backend.evaluate(
            Request(self.compiled, rows, shots=shots, seed=seed, derivatives=derivatives)
        )

    def _values(self, rows: Array, derivatives: int = 0) -> Array:
        """Expectation values (N, M) of rows (N, P); a request without rows is not sent."""
        if len(rows) == 0:
            return np.zeros((0, self.spec.n_outputs))
        return self._execute(rows, derivatives).values

    def _live(self, features: Array) -> np.ndarray:
        """Rows that encode something: the others give zero everywhere and are never executed."""
        return self.compiled.inputs.live(features)

    def _plan(
        self, features: Array, weights: Array, of_features: bool = True, of_weights: bool = True
    ) -> GradientPlan:
        wanted = {"of_features": of_features, "of_weights": of_weights}
        if self.gradient == "spsa":
            return plan_spsa(self.spec, features, weights, rng=self._rng, **wanted)
        if not isinstance(self.spec, LayerSpec):
            return plan_angle_shift(self.compiled, features, weights, **wanted)
        # From samples, errors that the rows of a batch share would not average out over it.
        if self.compiled.is_noisy and self.backend.capabilities.exact:
            return plan_noisy_shift(self.compiled, features, weights, **wanted)
        return plan_parameter_shift(self.spec, features, weights, **wanted)


def _to_numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _pulled(
    plan: GradientPlan,
    values: Array,
    live: np.ndarray,
    features: torch.Tensor,
    cotangent: torch.Tensor,
    wanted: tuple[bool, bool],
) -> Gradients:
    """Gradients by features (B, F) and weights (W,) from the values of the plan's rows."""
    of_features = np.zeros(features.shape)
    of_features[live], of_weights = plan.vjp(values, _to_numpy(cotangent)[live])
    return (
        torch.from_numpy(of_features).to(features) if wanted[0] else None,
        torch.from_numpy(of_weights) if wanted[1] else None,
    )


def _given(features: Array | None, weights: Array | None) -> tuple[Array, Array]:
    if features is None or weights is None:
        raise InputError("the layer needs both features and weights")
    return features, weights
