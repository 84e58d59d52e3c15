"""A layer under noise in tensors, which stay on the device of its features; nothing waits for it.

What depends on the weights is computed anew in every pass: whether they have moved, the device
would have to be asked.

Letters: B batch, E angles of a preparation, F features, K turns, M observables, N rows, P circuit
parameters, S states, W weights, D = 2^Q amplitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...devices.noise import NoisyLayer
from ...errors import InputError
from ...gradients.noisy_preparation import PreparationAverage, averaged_gradient, feature_gradient
from ...layers.expressions import ExpressionInputs
from ...layers.spec_inputs import SpecInputs
from ...seam.backend import Forward, Gradients
from ..any_circuit.plain import angles_on
from ..cuda.driver import Machine
from .compact import fused_inputs
from .fused import FusedProgram
from .layer import LayerSimulation, ReadoutSimulation
from .program import PauliProgram, Segment
from .tensors import TorchProgram

Engine = TorchProgram | FusedProgram


@dataclass(frozen=True)
class Turns:
    """The angles of a segment's turns as a product of rows of parameters.

    Attributes:
        slopes: (K, P).
        offsets: (K,).
    """

    slopes: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, segment: Segment, device: torch.device) -> Turns:
        """Those of `Segment`, there."""
        return cls(_there(segment.slopes, device), _there(segment.offsets, device))

    def angles(self, rows: Tensor) -> Tensor:
        """(N, K) for rows (N, P)."""
        return rows @ self.slopes.T + self.offsets


class DeviceReadout:
    """One circuit of a layer on a device, in float64 but for what the engine does."""

    def __init__(self, simulation: ReadoutSimulation, engine: Engine, device: torch.device) -> None:
        self._simulation, self._device = simulation, device
        self._engine = engine
        self._n_angles = int(simulation.layer.inputs.by_features.sum())
        self._head = Turns.of(simulation.program.head, device)
        tail = Turns.of(simulation.program.tail, device)
        self._tail = Turns(tail.slopes[:, self._n_angles :], tail.offsets)

    def fault(self) -> str | None:
        """What of an earlier call gave an angle that is not finite; told once."""
        return self._engine.fault()

    def forms(self, rows: Tensor) -> Tensor:
        """The observables where the data ends, (M, 4^qubits), for what rows (B, P) share."""
        return self._engine.forms(self._tail.angles(rows[0, self._n_angles :]))

    def values(self, forms: Tensor, rows: Tensor) -> Tensor:
        """Expectation values (B, M) for rows (B, P)."""
        return self._engine.values(forms, self._head.angles(rows)).double()

    def gradients(self, forms: Tensor, rows: Tensor, cotangent: Tensor) -> Tensor:
        """Gradients by rows (B, P) of sum(values * cotangent (B, M)); the first has the tail's."""
        of_turns, of_forms = self._engine.gradients(forms, self._head.angles(rows), cotangent)
        of_rows = of_turns.double() @ self._head.slopes
        tail = self._tail.angles(rows[0, self._n_angles :])
        of_tail = self._engine.pull_forms(tail, of_forms.double())
        of_rows[0, self._n_angles :] += of_tail @ self._tail.slopes
        return of_rows

    def averaged_forms(self, forms: Tensor, weights: Tensor) -> Tensor:
        """The outputs' averaged forms (D (D + 1) / 2, M), see `noisy_preparation`.

        From those over Pauli vectors (M, 4^qubits).
        """
        if not self._simulation.average_moves:
            return self._average @ forms.T
        prepared, fitting, program = self._averaging
        spread = weights.expand(len(prepared), -1)
        angles = self._head.angles(torch.cat([prepared, spread], dim=1))
        return fitting @ (program.coefficients(angles) @ forms.T)

    @cached_property
    def _average(self) -> Tensor:
        """Every Pauli coefficient as a form of the ideal state, for whatever weights."""
        layer = self._simulation.layer
        weights = np.zeros(layer.spec.n_weights)
        found = self._simulation.preparation_average(layer.spec.n_features, weights)
        return _there(found, self._device)

    @cached_property
    def _averaging(self) -> tuple[Tensor, Tensor, TorchProgram]:
        """The average states' angles (S, E), what fits forms to values there, what computes."""
        layer = self._simulation.layer
        average = PreparationAverage.over(layer.spec.n_wires)
        rows = layer.rows(average.states, np.zeros(layer.spec.n_weights))
        prepared = rows[:, : rows.shape[1] - layer.spec.n_weights]
        return (
            _there(prepared, self._device),
            _there(average.fitting(), self._device),
            TorchProgram(self._simulation.program, torch.float64, self._device),
        )


class DeviceSimulation:
    """One compiled layer on a device, for features of one number format.

    Args:
        simulation: the layer's.
        dtype: the features'.
        device: theirs.
        machine: what runs fused kernels there, None where they cannot be had.
    """

    def __init__(
        self,
        simulation: LayerSimulation,
        dtype: torch.dtype,
        device: torch.device,
        machine: Machine | None,
    ) -> None:
        self.simulation = simulation
        self._inputs = fused_inputs(simulation.layer.inputs, machine)
        self._readouts = [
            DeviceReadout(each, _engine(each.program, dtype, device, machine), device)
            for each in simulation.readouts
        ]

    @property
    def layer(self) -> NoisyLayer:
        """What is simulated."""
        return self.simulation.layer

    def forward(self, features: Tensor, weights: Tensor, differentiate: bool) -> Forward:
        """Outputs for features (B, F) and weights (W,), in the features' dtype.

        Rows with a feature that is not finite, or all with a weight that is not, have outputs of
        NaN, and so has their loss: to say it at once would be to wait for the device. Of fused
        kernels the next call says it.

        Raises:
            InputError: an angle of an earlier call is not finite.
        """
        # All of them at once: each tells of the same call.
        faults = [each.fault() for each in self._readouts]
        if what := next(filter(None, faults), None):
            raise InputError(
                f"{what} of an earlier call gave an angle that is not finite: the outputs were NaN"
            )
        given = features.detach().double()
        shared = weights.detach().to(device=given.device, dtype=given.dtype)
        if len(given) == 0:
            values = features.new_zeros(0, self.layer.spec.n_outputs)
            return Forward(values, lambda *_, **__: (torch.zeros_like(features), shared * 0))
        rows = self._rows(given, shared)
        live = self._inputs.live(given)[:, None]
        known = [(each, each.forms(rows)) for each in self._readouts]
        values = torch.stack([each.values(forms, rows) for each, forms in known]).sum(dim=0)
        finite = given.isfinite().all(dim=1, keepdim=True) & shared.isfinite().all()
        outputs = torch.where(finite, torch.where(live, values, 0.0), torch.nan).to(features.dtype)
        if not differentiate:
            return Forward(outputs, None)

        def pull(cotangent: Tensor, of_features: bool = True, of_weights: bool = True) -> Gradients:
            factors = torch.where(live, cotangent.detach().double(), 0.0)
            of_each = [each.gradients(forms, rows, factors) for each, forms in known]
            of_rows = torch.stack(of_each).sum(dim=0)
            by_features, by_weights = self._pull(
                given, shared, of_rows, factors, known[0] if of_features else None
            )
            if by_features is not None:
                by_features = torch.where(live, by_features, 0.0).to(features.dtype)
            return by_features, by_weights if of_weights else None

        return Forward(outputs, pull)

    def _rows(self, features: Tensor, weights: Tensor) -> Tensor:
        """Rows of parameters (B, P)."""
        inputs = self._inputs
        if isinstance(inputs, SpecInputs):
            return inputs.angles(features, weights)
        assert isinstance(inputs, ExpressionInputs)
        variables = [*features.T[:, :, None], *weights]
        # What nothing depends on has a derivative too: 0.
        nothing = [0 * each.nan_to_num(0, 0, 0) for each in (features, weights)]
        zero = nothing[0].sum(dim=1, keepdim=True) + nothing[1].sum()
        angles = [zero + angle for angle in angles_on(inputs.tape, variables)]
        return torch.cat([zero[:, :0], *angles], dim=1)

    def _pull(
        self,
        features: Tensor,
        weights: Tensor,
        of_rows: Tensor,
        cotangent: Tensor,
        known: tuple[DeviceReadout, Tensor] | None,
    ) -> tuple[Tensor | None, Tensor]:
        """Gradients by features (B, F) and weights (W,), from those by rows (B, P).

        `known` is the first readout with its forms; without it there is none by features.
        """
        if isinstance(self._inputs, ExpressionInputs):
            with torch.enable_grad():
                leaves = [each.detach().requires_grad_() for each in (features, weights)]
                rows = self._rows(*leaves)
            by_features, by_weights = torch.autograd.grad(rows, leaves, of_rows)
            return by_features if known else None, by_weights
        n_angles = of_rows.shape[1] - len(weights)
        of_angles, of_weights = of_rows[:, :n_angles], of_rows[:, n_angles:]
        if known is None:
            return None, of_weights.sum(dim=0)
        readout, forms = known

        def averaged(features: Tensor, cotangent: Tensor) -> Tensor:
            return averaged_gradient(features, readout.averaged_forms(forms, weights), cotangent)

        by_features = feature_gradient(self.layer, features, of_angles, cotangent, averaged)
        return by_features, of_weights.sum(dim=0)


def _engine(
    program: PauliProgram, dtype: torch.dtype, device: torch.device, machine: Machine | None
) -> Engine:
    if machine is not None and FusedProgram.takes(machine, program, dtype):
        return FusedProgram(machine, program, dtype)
    return TorchProgram(program, dtype, device)


def _there(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
