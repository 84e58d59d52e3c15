"""Statevectors in torch, for devices without our compiled kernels; adjoint method backwards.

RYs of a few wires at once are one small orthogonal matrix, so that a stage is two or three matrix
products over the whole batch.

Letters: B batch, F features, W weights, M observables, S stages, Q wires, D = 2^Q amplitudes,
k wires of a group.
"""

from __future__ import annotations

from functools import lru_cache, reduce

import numpy as np
import torch

from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..seam.backend import Forward, Gradients
from ..seam.forms import encode, pull_states
from .statevector.circuit import circuit_of
from .statevector.engine import Tables

GROUP_WIRES = 5
"""Matrices of 32 rows: larger ones cost more products than they save passes over memory."""


def forward(
    spec: LayerSpec, features: torch.Tensor, weights: Array, *, differentiate: bool
) -> Forward:
    """Outputs for features (B, F) and weights (W,), in the features' dtype and on their device.

    Raises:
        InputError: a feature that is not finite.
    """
    circuit = circuit_of(spec)
    tables = Tables(circuit, weights, float)
    encoded = encode(spec, features.detach())
    state = torch.complex(encoded, torch.zeros_like(encoded))
    for stage in range(circuit.n_stages):
        state = state[:, _order(spec, stage, features.device)]
        state = _rotate(state * _phases(tables, stage, state), tables, stage)
    signs = _signs(spec, features.dtype, features.device)
    values = (state.real**2 + state.imag**2) @ signs.T

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        ket, bra = state, 2 * (cotangent @ signs) * state
        of_turns = np.empty((circuit.n_stages, circuit.n_wires))
        of_phases = np.zeros((circuit.n_stages, 2**circuit.n_wires))
        for stage in reversed(range(circuit.n_stages)):
            of_turns[stage] = _overlaps(ket, bra) / 2
            ket = _rotate(ket, tables, stage, inverse=True)
            bra = _rotate(bra, tables, stage, inverse=True)
            if circuit.trainable[stage]:
                slopes = torch.sum(bra.imag * ket.real - bra.real * ket.imag, dim=0)
                of_phases[stage] = slopes.cpu().numpy()
            phases = _phases(tables, stage, state).conj()
            back = _order(spec, stage, features.device).argsort()
            ket, bra = (ket * phases)[:, back], (bra * phases)[:, back]
        by_weights = tables.pull(of_turns[None], of_phases[None])
        return (
            pull_states(spec, features, encoded, bra.real) if of_features else None,
            torch.from_numpy(by_weights) if of_weights else None,
        )

    return Forward(values, pull if differentiate else None)


@lru_cache(maxsize=256)
def _order(spec: LayerSpec, stage: int, device: torch.device) -> torch.Tensor:
    """The order in which a stage takes the amplitudes of the one before, (D,)."""
    return torch.from_numpy(circuit_of(spec).orders[stage]).to(device)


@lru_cache(maxsize=32)
def _signs(spec: LayerSpec, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Eigenvalues of the observables by basis state of the last stage, (M, D)."""
    return torch.from_numpy(circuit_of(spec).signs()).to(device=device, dtype=dtype)


def _phases(tables: Tables, stage: int, like: torch.Tensor) -> torch.Tensor:
    """A stage's phases, (D,)."""
    real, imaginary = tables.phases[stage]
    return torch.from_numpy(real + 1j * imaginary).to(like)


def _groups(n_wires: int) -> list[range]:
    """Neighbouring wires that turn together."""
    count = -(-n_wires // GROUP_WIRES)
    edges = [n_wires * group // count for group in range(count + 1)]
    return [range(*edges[group : group + 2]) for group in range(count)]


def _rotate(
    state: torch.Tensor, tables: Tables, stage: int, *, inverse: bool = False
) -> torch.Tensor:
    """A stage's RYs, or their inverses, on complex states (B, D) in logical order."""
    parts = torch.view_as_real(state)
    for wires in _groups(tables.circuit.n_wires):
        cosines, sines = tables.turns[:, stage, wires.start : wires.stop]
        turns = [np.array([[c, -s], [s, c]]) for c, s in zip(cosines, sines, strict=True)]
        matrix = torch.from_numpy(reduce(np.kron, turns)).to(parts)
        shaped = parts.reshape(-1, len(matrix), 2 * (2 ** (tables.circuit.n_wires - wires.stop)))
        parts = torch.matmul(matrix.T if inverse else matrix, shaped)
    return torch.view_as_complex(parts.reshape(*state.shape, 2))


def _overlaps(ket: torch.Tensor, bra: torch.Tensor) -> Array:
    """Real part of ⟨bra|K|ket⟩ summed over the batch, K = [[0, -1], [1, 0]] on each wire, (Q,)."""
    n_wires = ket.shape[1].bit_length() - 1
    left, right = torch.view_as_real(bra), torch.view_as_real(ket)
    overlaps = []
    for wires in _groups(n_wires):
        shape = (-1, 2 ** len(wires), 2 * 2 ** (n_wires - wires.stop))
        products = torch.einsum("aib,ajb->ij", left.reshape(shape), right.reshape(shape))
        matrix = products.double().cpu().numpy()
        for wire in range(len(wires)):
            split = matrix.reshape(2 * (2**wire, 2, 2 ** (len(wires) - wire - 1)))
            pair = np.einsum("aibajb->ij", split)
            overlaps.append(pair[1, 0] - pair[0, 1])
    return np.array(overlaps)
