"""Any circuit in plain torch operations on real numbers: for CUDA, further derivatives, export.

Letters: B batch, F features, W weights, P angles, M observables, T strings, D = 2^Q amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...layers import tape as tapes
from ...layers.expressions import ExpressionInputs
from ...layers.inputs import Array
from ...layers.program import Layer, LayerProgram
from ...layers.tape import Tape
from ...seam.backend import Forward, Gradients
from .strings import PauliString
from .turned import TurnedCircuit, turned_circuit

_FUNCTIONS: dict[int, Any] = {
    tapes.SIN: torch.sin,
    tapes.COS: torch.cos,
    tapes.TAN: torch.tan,
    tapes.ASIN: torch.asin,
    tapes.ACOS: torch.acos,
    tapes.ATAN: torch.atan,
    tapes.EXP: torch.exp,
    tapes.LOG: torch.log,
    tapes.ABS: torch.abs,
    tapes.SIGN: torch.sign,
}


def angles_on(tape: Tape, variables: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a tape whose V variables are tensors that broadcast."""
    nodes: list[Any] = []
    for operation, left, right, constant in zip(
        tape.operations.tolist(),
        tape.left.tolist(),
        tape.right.tolist(),
        tape.constants.tolist(),
        strict=True,
    ):
        if operation == tapes.VARIABLE:
            nodes.append(variables[left])
        elif operation == tapes.CONSTANT:
            nodes.append(constant)
        elif operation in (tapes.ADD, tapes.MULTIPLY):
            one, other = nodes[left], nodes[right]
            nodes.append(one + other if operation == tapes.ADD else one * other)
        elif operation == tapes.POWER:
            nodes.append(nodes[left] ** nodes[right])
        else:
            nodes.append(_FUNCTIONS[operation](nodes[left]))
    return [nodes[index] for index in tape.outputs.tolist()]


class TorchCircuit(nn.Module):
    """A turned circuit: angles to expectation values, in whatever precision the angles have.

    It owns its constants, so that it moves between devices and exports as any module does.
    """

    orders: Tensor
    signs: Tensor
    real: Tensor
    imaginary: Tensor
    factors: Tensor

    def __init__(self, circuit: TurnedCircuit) -> None:
        super().__init__()
        self._turns = circuit.turns
        strings = {string for terms in circuit.observables for string, _ in terms}
        self._strings = sorted(strings, key=lambda string: (string.x, string.z))
        used = [*(turn.string for turn in circuit.turns), *self._strings]
        masks, kinds = sorted({each.x for each in used}), sorted({each.z for each in used})
        self._order_of = {mask: place for place, mask in enumerate(masks)}
        self._signs_of = {mask: place for place, mask in enumerate(kinds)}
        index = np.arange(len(circuit.start))
        parities = np.bitwise_count(index & np.array(kinds)[:, None]) % 2
        factors = np.zeros((len(circuit.observables), len(strings)))
        for row, terms in zip(factors, circuit.observables, strict=True):
            for string, value in terms:
                row[self._strings.index(string)] = value
        constants = {
            "orders": index ^ np.array(masks)[:, None],
            "signs": 1.0 - 2.0 * parities,
            "real": circuit.start.real.copy(),
            "imaginary": circuit.start.imag.copy(),
            "factors": factors,
        }
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, angles: Sequence[Tensor], zero: Tensor) -> Tensor:
        """Values (B, M) for P angles, (B, 1) or of one element each; `zero` is (B, 1)."""
        real, imaginary = self.real.to(zero) + zero, self.imaginary.to(zero) + zero
        signs = self.signs.to(zero)
        for turn in self._turns:
            half = torch.full_like(zero, turn.offset / 2)
            if turn.angle >= 0:
                half = half + angles[turn.angle] / 2
            cosine, sine = torch.cos(half), torch.sin(half)
            other_real, other_imaginary = self._acted(turn.string, real, imaginary, signs)
            # exp(-i t/2 P) = cos(t/2) - i sin(t/2) P
            real, imaginary = (
                cosine * real + sine * other_imaginary,
                cosine * imaginary - sine * other_real,
            )
        diagonal = [string for string in self._strings if not string.x]
        rows = [self._signs_of[string.z] for string in diagonal]
        values = [(real**2 + imaginary**2) @ signs[rows].T]
        for string in self._strings[len(diagonal) :]:
            other_real, other_imaginary = self._acted(string, real, imaginary, signs)
            overlap = real * other_real + imaginary * other_imaginary
            values.append(torch.sum(overlap, dim=1, keepdim=True))
        return torch.cat(values, dim=1) @ self.factors.to(zero).T

    def _acted(
        self, string: PauliString, real: Tensor, imaginary: Tensor, signs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What a string makes of states (B, D), their real and imaginary parts."""
        if string.z:
            row = signs[self._signs_of[string.z]]
            real, imaginary = real * row, imaginary * row
        if string.x:
            order = self.orders[self._order_of[string.x]]
            real, imaginary = real[:, order], imaginary[:, order]
        match string.phase:
            case 0:
                return real, imaginary
            case 1:
                return -imaginary, real
            case 2:
                return -real, -imaginary
            case _:
                return imaginary, -real


@lru_cache(maxsize=64)
def torch_layer(layer: Layer) -> TorchLayer:
    """The layer in torch; layers of one definition share it."""
    return TorchLayer(layer.program())


def forward(layer: Layer, features: Tensor, weights: Tensor, *, differentiate: bool) -> Forward:
    """Values (B, M) of features (B, F) and weights (W,), with torch's own derivatives."""
    module = torch_layer(layer).to(features.device)
    with torch.set_grad_enabled(differentiate):
        leaves = [each.detach().requires_grad_(differentiate) for each in (features, weights)]
        values = module(*leaves)

    def pull(cotangent: Tensor, of_features: bool = True, of_weights: bool = True) -> Gradients:
        wanted = leaves[0 if of_features else 1 : 2 if of_weights else 1]
        found = iter(
            torch.autograd.grad(
                values, wanted, cotangent, retain_graph=True, materialize_grads=True
            )
        )
        return next(found) if of_features else None, next(found) if of_weights else None

    return Forward(values.detach(), pull if differentiate else None)


def values_of_angles(layer: Layer, rows: Array) -> Array:
    """Values (N, M) for rows of the circuit's angles (N, P)."""
    angles = torch.from_numpy(rows)
    columns = [angles[:, index : index + 1] for index in range(rows.shape[1])]
    values = torch_layer(layer).circuit(columns, torch.zeros((len(rows), 1), dtype=torch.float64))
    return np.asarray(values.numpy())


class TorchLayer(nn.Module):
    """A circuit layer: features (B, F) and weights (W,) to values (B, M)."""

    def __init__(self, program: LayerProgram) -> None:
        super().__init__()
        assert isinstance(program.inputs, ExpressionInputs)
        self._inputs = program.inputs
        self.circuit = TorchCircuit(turned_circuit(program))

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Values in the features' dtype and on their device."""
        inputs = self._inputs
        columns = [features[:, index : index + 1] for index in range(inputs.n_features)]
        shared = weights.to(features)
        variables = [*columns, *(shared[index] for index in range(inputs.n_weights))]
        # What nothing depends on has a derivative too: 0.
        zero = 0 * (features.sum(dim=1, keepdim=True) + weights.to(features).sum())
        return self.circuit(angles_on(inputs.tape, variables), zero)
