"""The unitaries of several circuits of one kind in a handful of torch operations.

On an accelerator an operation on little takes as long as its launch. Here their number grows with
the wires and the stages of a circuit, not with the circuits or the gates; `torch_circuit` carries
states gate by gate instead.

Letters: K circuits, W weights of each, S stages, R rotations of a wire in one, Q wires,
D = 2^Q amplitudes, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..layers.ansatze import Axis, Cnots, Rotations
from ..layers.spec import LayerSpec
from .torch_circuit import order_of

PAULIS = {"x": ((0, 1), (1, 0)), "y": ((0, -1j), (1j, 0)), "z": ((1, 0), (0, -1))}


def unitaries(spec: LayerSpec, weights: Tensor, n_columns: int) -> Tensor:
    """The first C columns of circuits' unitaries for weights (K, W): (K, D, C), complex."""
    stages = _stages(spec, weights.dtype, weights.device)
    # One weight more, which is zero, for the rotations that a stage has fewer than others.
    padded = functional.pad(weights, (0, 1))
    halves = padded.index_select(1, stages.angles.flatten()).unflatten(1, stages.angles.shape) / 2
    parts = torch.stack([torch.cos(halves), torch.sin(halves)], dim=-1)
    gates = torch.view_as_complex((parts @ stages.gates).unflatten(-1, (2, 2, 2)))
    turns = reduce(lambda done, gate: gate @ done, gates.unbind(2))
    matrices = reduce(_side_by_side, turns.unbind(2))
    ordered = matrices.flatten(1, 2).index_select(1, stages.orders).view_as(matrices)
    first, *others = ordered.unbind(1)
    return reduce(lambda done, stage: stage @ done, others, first[..., :n_columns])


@dataclass(frozen=True)
class _Stages:
    """A circuit as stages: rotations of every wire, then CNOTs.

    Attributes:
        angles: (S, R, Q), the weight that turns each wire, W for none.
        gates: (S, R, 2, 8), what a rotation has for its cosine and for its sine: real and
            imaginary parts of 2x2 entries.
        orders: (S D,), the row of all stages' matrices that CNOTs bring to each place.
    """

    angles: Tensor
    gates: Tensor
    orders: Tensor


@cache
def _stages(spec: LayerSpec, dtype: torch.dtype, device: torch.device) -> _Stages:
    n_wires, n_amplitudes = spec.n_wires, 2**spec.n_wires
    runs: list[list[Rotations]] = [[]]
    rows = [np.arange(n_amplitudes)]
    ends = False
    for operation in spec.operations:
        if isinstance(operation, Cnots):
            rows[-1], ends = rows[-1][order_of(operation, n_wires)], True
            continue
        if ends:
            runs.append([])
            rows.append(np.arange(n_amplitudes))
            ends = False
        runs[-1].append(operation)
    most = max(1, *map(len, runs))
    none = Rotations("z", n_wires * (spec.n_weights,))
    filled = [run + (most - len(run)) * [none] for run in runs]
    angles = [[turn.weights for turn in run] for run in filled]
    gates = [[_gate(turn.axis) for turn in run] for run in filled]
    orders = [stage * n_amplitudes + order for stage, order in enumerate(rows)]
    # Whoever comes after may want derivatives.
    with torch.inference_mode(False):
        return _Stages(
            angles=torch.tensor(angles, device=device),
            gates=torch.tensor(np.array(gates), dtype=dtype, device=device),
            orders=torch.tensor(np.concatenate(orders), device=device),
        )


def _gate(axis: Axis) -> np.ndarray:
    """exp(-i half P): the identity, for the cosine of half, and -i P, for its sine."""
    both = np.array([np.eye(2), -1j * np.array(PAULIS[axis])])
    return both.view(float).reshape(2, 8)


def _side_by_side(left: Tensor, right: Tensor) -> Tensor:
    """Kronecker products of matrices (..., a, a) and (..., b, b)."""
    products = left[..., :, None, :, None] * right[..., None, :, None, :]
    return products.flatten(-2).flatten(-3, -2)
