"""An exact layer in plain torch operations: differentiable as often as one likes, on any device.

Backends are many times faster and differentiable once. Derivatives beyond the first are those of
the functions below, which are the same for every backend without noise and shots.

Letters: B batch, F features, W weights, M observables, K circuits, D = 2^Q amplitudes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..layers.ansatze import Axis, Cnots
from ..layers.encodings import ZERO_NORM, Encoding
from ..layers.spec import LayerSpec
from ..seam.forms import products


def outputs(spec: LayerSpec, features: Tensor, weights: Tensor) -> Tensor:
    """Expectation values (B, M) of features (B, F) and weights (W,), in the features' dtype."""
    states = _run(spec, encoded(spec.encoding_rule, features), weights.to(features))
    signs = torch.tensor(spec.signs()).to(features)
    return (states.real.square() + states.imag.square()) @ signs.T


def encoded(encoding: Encoding, features: Tensor) -> Tensor:
    """The real states (B, D) of features (B, F); zero for rows that encode nothing."""
    loaded = encoding.loaded(features)
    if not encoding.is_product:
        return unit_vectors(loaded, dim=1)
    halves = torch.stack([torch.cos(loaded / 2), torch.sin(loaded / 2)], dim=2)
    return products(halves)[-1]


def forms(spec: LayerSpec, weights: Tensor) -> Tensor:
    """Re(U† O_i U) of circuits with weights (K, W): (K, M, D, D), in the weights' dtype."""
    basis = torch.eye(2**spec.n_wires, dtype=weights.dtype, device=weights.device)
    columns = _run(spec, basis.expand(len(weights), -1, -1), weights[:, None])
    signs = torch.tensor(spec.signs()).to(weights)
    weighted = columns[:, None] * signs[None, :, None]
    return (weighted @ columns[:, None].mH).real


def unit_vectors(vectors: Tensor, dim: int) -> Tensor:
    """Vectors divided by their lengths; those shorter than `ZERO_NORM` become zero for good.

    Zero are then all their derivatives too.
    """
    # Divided by its largest entry, no vector's squares overflow.
    peaks = vectors.detach().abs().amax(dim, keepdim=True)
    scaled = vectors / torch.where(peaks > 0, peaks, 1)
    lengths = peaks * torch.linalg.vector_norm(scaled.detach(), dim=dim, keepdim=True)
    empty = lengths < ZERO_NORM
    # A length has no derivative at zero: such vectors must not reach it.
    safe = torch.where(empty, 1, scaled)
    units = safe / torch.linalg.vector_norm(safe, dim=dim, keepdim=True)
    return torch.where(empty, 0, units)


def _run(spec: LayerSpec, states: Tensor, weights: Tensor) -> Tensor:
    """Real states (..., D) carried through the ansatz, for weights (..., W)."""
    states = torch.complex(states, torch.zeros_like(states))
    for operation in spec.operations:
        if isinstance(operation, Cnots):
            order = order_of(operation, spec.n_wires)
            states = states[..., torch.from_numpy(order).to(states.device)]
            continue
        for wire, index in enumerate(operation.weights):
            half = weights[..., index, None, None] / 2
            states = _rotated(states, operation.axis, wire, half)
    return states


def _rotated(states: Tensor, axis: Axis, wire: int, half: Tensor) -> Tensor:
    """exp(-i half P) on one wire of states (..., D), for angles (..., 1, 1)."""
    zero, one = states.unflatten(-1, (2**wire, 2, -1)).unbind(-2)
    cosine, sine = torch.cos(half), torch.sin(half)
    if axis == "z":
        phase = torch.complex(cosine, -sine)
        turned = phase * zero, phase.conj() * one
    elif axis == "y":
        turned = cosine * zero - sine * one, sine * zero + cosine * one
    else:
        turned = cosine * zero - 1j * sine * one, cosine * one - 1j * sine * zero
    return torch.stack(turned, dim=-2).flatten(-3)


def order_of(cnots: Cnots, n_wires: int) -> np.ndarray:
    """Which amplitude of the state before each one of the state after is, (D,)."""
    order = states = np.arange(2**n_wires)
    for control, target in cnots.pairs:
        on = (states >> (n_wires - 1 - control)) & 1
        order = order[states ^ (on << (n_wires - 1 - target))]
    return order
