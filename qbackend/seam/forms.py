"""A layer with few wires as quadratic forms.

Every encoding gives a real state a, so output i is aᵀ M_i a with M_i = Re(U† O_i U), a real
symmetric matrix that stays the same while the weights stand still. On the CPU small forms go
through compiled kernels; larger ones, and other devices, through torch's matrix products.

Letters: B batch, F features, M observables, Q wires, D = 2^Q amplitudes, L lanes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from ..kernels import row_forms
from ..kernels.blocks import angle_rows
from ..kernels.chunks import ROW_CHUNKS, chunks
from ..kernels.lanes import lanes
from ..kernels.maps import Maps
from ..kernels.threads import split
from ..layers.encodings import ZERO_NORM
from ..layers.inputs import Array, check_finite
from ..layers.spec import LayerSpec
from .backend import DifferentiableBackend, Forward, Gradients
from .loading import through_loading
from .requests import CompiledLayer

KERNEL_WIRES = 6
"""Up to here the kernels beat torch's matrix products on the CPU."""
CHUNK_BLOCKS = 16
"""Of a sum over rows, at least."""
PRODUCTS_PER_NANOSECOND = 20
"""Of one core, in float64: decides only whether other cores are worth waking."""


@dataclass(frozen=True)
class Forms:
    """The outputs of K layers of one kind as quadratic forms.

    Attributes:
        matrices: Re(U† O_i U), (K, M, D, D), symmetric, float64.
        pullback: maps symmetric gradients with respect to the matrices (K, M, D, D), float64, to
            the gradient with respect to the weights (K, W).
    """

    matrices: Array
    pullback: Callable[[Array], Array]


class QuadraticBackend(DifferentiableBackend):
    """A backend that tells its forms, for callers with a cheaper way to many rows than rows."""

    def forward(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
    ) -> Forward:
        spec = compiled.spec
        if not isinstance(spec, LayerSpec):
            return self.forward_circuit(compiled, features, weights, differentiate)
        encoding = spec.encoding_rule
        loaded = encoding.loaded(features)
        done = self.forward_loaded(spec, loaded, weights, differentiate)
        return done if loaded is features else through_loading(done, encoding, features)

    @abstractmethod
    def forward_loaded(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        """`forward` for features (B, F) as their encoding loads them."""

    @abstractmethod
    def forward_circuit(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        differentiate: bool,
    ) -> Forward:
        """`forward` of a layer that is none of the catalogue's."""

    @abstractmethod
    def forms(self, compiled: CompiledLayer, weights: Array) -> Forms:
        """The forms for weights (K, W), in float64; see `Forms`.

        Raises:
            InputError: a weight that is not finite.
        """


class PixelCircuits(Protocol):
    """Layers of one spec with weights (K, W) that take features where they lie, as maps."""

    def forward(self, features: Maps, values: Maps, *, length: bool) -> bool:
        """Fill `values`, its last map with norms if `length`; returns whether all was finite."""

    def backward(
        self, features: Maps, cotangent: Maps, of_features: Maps | None, *, length: bool
    ) -> Array:
        """The gradient (K, W), and in `of_features` that with respect to the features."""


class PixelBackend(QuadraticBackend):
    """A backend that can carry states through several layers at once, on the CPU.

    Elsewhere torch's operations do, so its states are those of the circuit itself.
    """

    @abstractmethod
    def pixel_circuits(
        self, compiled: CompiledLayer, weights: Array, dtype: DTypeLike
    ) -> PixelCircuits:
        """Layers with amplitude encoding for weights (K, W), computed in `dtype`."""


def forward(
    spec: LayerSpec, features: torch.Tensor, matrices: torch.Tensor, *, differentiate: bool
) -> Forward:
    """The values aᵀ M_i a for features (B, F) and symmetric matrices (M, D, D).

    Rows of amplitude features with a norm below `ZERO_NORM` give zero values and gradients. The
    pullback gives, in place of the weights' gradient, that with respect to the matrices (M, D, D):
    the sum over rows of g_i a aᵀ.

    Raises:
        InputError: a feature that is not finite.
    """
    features, matrices = features.detach(), matrices.detach().to(features)
    if features.device.type == "cpu" and spec.n_wires <= KERNEL_WIRES:
        return _forward_kernels(spec, features, matrices, differentiate)
    return _forward_torch(spec, features, matrices, differentiate)


def forward_to_weights(
    spec: LayerSpec,
    features: torch.Tensor,
    matrices: torch.Tensor,
    weight_gradient: Callable[[NDArray[np.floating]], Array],
    *,
    differentiate: bool,
) -> Forward:
    """The same with the gradient by weights (W,), from that by the matrices (M, D, D)."""
    done = forward(spec, features, matrices, differentiate=differentiate)
    pullback = done.pullback
    if pullback is None:
        return done

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        by_features, of_matrices = pullback(cotangent, of_features, of_weights)
        if of_matrices is None:
            return by_features, None
        return by_features, torch.from_numpy(weight_gradient(of_matrices.cpu().numpy()))

    return Forward(done.values, pull)


def encode(spec: LayerSpec, features: torch.Tensor) -> torch.Tensor:
    """The encoded states (B, D) of features (B, F), in their dtype and on their device.

    Raises:
        InputError: a feature that is not finite.
    """
    if not torch.isfinite(features).all():
        check_finite("features", features.detach().cpu().numpy())
    if not spec.encoding_rule.is_product:
        return features * inverse_norms(features)
    halves = torch.stack([torch.cos(features / 2), torch.sin(features / 2)], dim=2)
    return products(halves)[-1]


def pull_states(
    spec: LayerSpec, features: torch.Tensor, states: torch.Tensor, grad_states: torch.Tensor
) -> torch.Tensor:
    """Gradient with respect to the features (B, F) from that with respect to the states (B, D)."""
    if not spec.encoding_rule.is_product:
        along = torch.sum(grad_states * states, dim=1, keepdim=True)
        return inverse_norms(features) * (grad_states - along * states)
    cosines, sines = torch.cos(features / 2), torch.sin(features / 2)
    before = products(torch.stack([cosines, sines], dim=2))
    slopes: list[torch.Tensor] = []
    for wire in reversed(range(spec.n_wires)):
        even, odd = grad_states[:, 0::2], grad_states[:, 1::2]
        cosine, sine = cosines[:, wire, None], sines[:, wire, None]
        slopes.append(torch.sum(before[wire] * (cosine * odd - sine * even), dim=1) / 2)
        grad_states = cosine * even + sine * odd
    return torch.stack(slopes[::-1], dim=1)


def inverse_norms(features: torch.Tensor) -> torch.Tensor:
    """1/norm of every row, (B, 1); zero for a row that encodes nothing."""
    # Divided by its largest entry, no row's squares overflow.
    peaks = features.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(features.dtype).tiny)
    norms = peaks * torch.linalg.vector_norm(features / peaks, dim=1, keepdim=True)
    return torch.where(norms < ZERO_NORM, 0.0, 1 / norms)


def products(halves: torch.Tensor) -> list[torch.Tensor]:
    """Product states of the first 0, 1, ..., Q wires from amplitudes (B, Q, 2)."""
    states = [torch.ones_like(halves[:, 0, :1])]
    for wire in range(halves.shape[1]):
        states.append((states[-1][:, :, None] * halves[:, wire, None, :]).flatten(1))
    return states


def _forward_torch(
    spec: LayerSpec, features: torch.Tensor, matrices: torch.Tensor, differentiate: bool
) -> Forward:
    states = encode(spec, features)
    halves = torch.einsum("bi,mij->bmj", states, matrices)
    values = torch.einsum("bmj,bj->bm", halves, states)

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        by_features = of_matrices = None
        if of_features:
            of_states = 2 * torch.einsum("bm,bmj->bj", cotangent, halves)
            by_features = pull_states(spec, features, states, of_states)
        if of_weights:
            weighted = cotangent[:, :, None] * states[:, None, :]
            of_matrices = torch.einsum("bmi,bj->mij", weighted, states)
        return by_features, of_matrices

    return Forward(values, pull if differentiate else None)


def _forward_kernels(
    spec: LayerSpec, features: torch.Tensor, matrices: torch.Tensor, differentiate: bool
) -> Forward:
    given = features.contiguous().numpy()
    forms = matrices.contiguous().numpy()
    by_angle = spec.encoding_rule.is_product
    rows = angle_rows(given) if by_angle else given
    n_rows, n_outputs = len(given), len(forms)
    width = max(forms.shape[1], 4)
    n_lanes = lanes(given.dtype)
    n_blocks = -(-n_rows // n_lanes)
    states = np.empty((n_blocks if differentiate else 0, width, n_lanes), given.dtype)
    inverse_norms = np.empty((n_blocks, n_lanes), given.dtype)
    values = np.empty((n_rows, n_outputs), given.dtype)
    cost = n_rows * n_outputs * width * width * given.itemsize / 8 / PRODUCTS_PER_NANOSECOND

    def run(first: int, last: int) -> int:
        return row_forms.forward(rows, by_angle, forms, states, inverse_norms, values, first, last)

    if max(split(run, n_blocks, cost)) >= 0:
        check_finite("features", given)

    def pull(
        cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        factors = cotangent.detach().contiguous().numpy()
        chunk, n_chunks = chunks(n_blocks, ROW_CHUNKS, CHUNK_BLOCKS)
        of_rows = np.empty((n_rows if of_features else 0, given.shape[1]), given.dtype)
        of_forms = np.empty((n_chunks if of_weights else 0, *forms.shape), given.dtype)

        def run(first: int, last: int) -> None:
            row_forms.backward(
                rows, by_angle, forms, states, inverse_norms, factors, chunk, of_rows, of_forms,
                first, last,
            )  # fmt: skip

        split(run, n_chunks, 2 * cost)
        return (
            torch.from_numpy(of_rows) if of_features else None,
            torch.from_numpy(of_forms.sum(axis=0)) if of_weights else None,
        )

    return Forward(torch.from_numpy(values), pull if differentiate else None)
