"""Any circuit in plain torch operations on real numbers: for CUDA, further derivatives, export.

Nothing here needs Qiskit, or keeps anything of it.

Letters: B batch, F features, W weights, P angles, M observables, T strings, D = 2^Q amplitudes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...gradients.torch_circuit import encoded
from ...layers import tape as tapes
from ...layers.encodings import Encoding
from ...layers.expressions import ExpressionInputs
from ...layers.tape import Tape
from .strings import PauliString

if TYPE_CHECKING:
    from .turned import TurnedCircuit

FORM_WIRES = 5
"""Up to here rows that share an ansatz are quadratic forms, whose matrices an exported program
computes once."""

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
    diagonal: Tensor

    def __init__(self, circuit: TurnedCircuit) -> None:
        super().__init__()
        self._turns = [(turn.string, turn.angle, turn.offset) for turn in circuit.turns]
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
            "diagonal": np.array(
                [self._signs_of[each.z] for each in self._strings if not each.x], dtype=np.int64
            ),
        }
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, angles: Sequence[Tensor], zero: Tensor) -> Tensor:
        """Values (B, M) for P angles, (B, 1) or of one element each; `zero` is (B, 1)."""
        start = self.real.to(zero) + zero, self.imaginary.to(zero) + zero
        return self.values(*self.turned(angles, *start))

    def turned(
        self, angles: Sequence[Tensor], real: Tensor, imaginary: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the turns make of states (B, D), their real and imaginary parts."""
        signs = self.signs.to(real)
        for string, angle, offset in self._turns:
            cosine: Tensor | float
            sine: Tensor | float
            if angle >= 0:
                half = (angles[angle] + offset) / 2
                cosine, sine = torch.cos(half).to(real), torch.sin(half).to(real)
            else:
                cosine, sine = math.cos(offset / 2), math.sin(offset / 2)
            other_real, other_imaginary = self._acted(string, real, imaginary, signs)
            # exp(-i t/2 P) = cos(t/2) - i sin(t/2) P
            real, imaginary = (
                cosine * real + sine * other_imaginary,
                cosine * imaginary - sine * other_real,
            )
        return real, imaginary

    def values(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Expectation values (B, M) in states (B, D)."""
        signs = self.signs.to(real)
        values = [(real**2 + imaginary**2) @ signs[self.diagonal].T]
        for string in self._strings[len(self.diagonal) :]:
            other_real, other_imaginary = self._acted(string, real, imaginary, signs)
            overlap = real * other_real + imaginary * other_imaginary
            values.append(torch.sum(overlap, dim=1, keepdim=True))
        return torch.cat(values, dim=1) @ self.factors.to(real).T

    def forms(self, angles: Tensor) -> Tensor:
        """Re(U† O_i U), (M, D, D), of what the turns do with angles (P,), in their dtype."""
        basis = torch.eye(len(self.real)).to(angles)
        real, imaginary = self.turned(list(angles), basis, torch.zeros_like(basis))
        signs = self.signs.to(real)
        found = []
        for string in self._strings:
            other_real, other_imaginary = self._acted(string, real, imaginary, signs)
            found.append(real @ other_real.T + imaginary @ other_imaginary.T)
        flat = torch.stack(found).flatten(1)
        return (self.factors.to(real) @ flat).unflatten(1, basis.shape)

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


class TorchLayer(nn.Module):
    """A circuit layer: features (B, F) and weights (W,) to values (B, M)."""

    def __init__(self, inputs: ExpressionInputs, circuit: TurnedCircuit) -> None:
        super().__init__()
        self._inputs = inputs
        self.circuit = TorchCircuit(circuit)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Values in the features' dtype and on their device."""
        inputs = self._inputs
        # A feature map's angles are of many turns: rounded in float32 they would lose digits.
        exact, shared = features.double(), weights.to(features.device).double()
        columns = [exact[:, index : index + 1] for index in range(inputs.n_features)]
        variables = [*columns, *(shared[index] for index in range(inputs.n_weights))]
        # What nothing depends on has a derivative too: 0.
        zero = 0 * (features.sum(dim=1, keepdim=True) + weights.to(features).sum())
        return self.circuit(angles_on(inputs.tape, variables), zero)


class TorchEncodedLayer(nn.Module):
    """A layer of the catalogue, from its encoded states: features (B, F) to values (B, M).

    Args:
        encoding: of the features.
        ansatz: of what comes behind, the weights its angles.
    """

    def __init__(self, encoding: Encoding, ansatz: TurnedCircuit) -> None:
        super().__init__()
        self._encoding = encoding
        self._by_forms = ansatz.n_qubits <= FORM_WIRES
        self.circuit = TorchCircuit(ansatz)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Values in the features' dtype and on their device; zero for what encodes nothing."""
        states, angles = encoded(self._encoding, features), weights.to(features)
        if self._by_forms:
            return torch.sum(states @ self.circuit.forms(angles) * states, dim=2).T
        return self.circuit.values(
            *self.circuit.turned(list(angles), states, torch.zeros_like(states))
        )
