"""How features become a quantum state.

Both encodings prepare a *real* state from a row of features, so a layer's output is a quadratic
form in that state. An encoding knows three things: the state itself, the circuit that prepares it
with the angles that the circuit needs, and how to move features so that differences of outputs
are derivatives (the plan of the parameter-shift rule).

Letters: B batch, F features, Q wires, D = 2^Q amplitudes, E angles of the preparing circuit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownNameError, suggest
from .canonical import direction, references

if TYPE_CHECKING:
    from torch import Tensor
from .inputs import Array, Numbers, constant_like, library_of

ZERO_NORM = 1e-12
"""A row of amplitude features shorter than this has no direction: its outputs are zero."""


def without_overflow(features: Numbers) -> tuple[Numbers, Numbers]:
    """Rows (B, F) whose squares do not overflow, and what they are multiplied by, (B, 1).

    That is a power of two and at most 1: the rows round as they did, and those shorter than
    `ZERO_NORM` stay as they are.
    """
    library = library_of(features)
    peaks = library.amax(library.abs(features), axis=1, keepdims=True)
    # 2^20 squares of 2^500 can be added up, and no number reaches 2^1024.
    factors = library.where(peaks < 2.0**500, 1.0, 2.0**-524 + 0 * peaks)
    return features * factors, factors


def gray_transform(width: int) -> Array:
    """Signs (-1)^popcount(gray(i) & j), (width, width), for `width` a power of two.

    Between the multiplexer's angles and those of its Gray-code circuit (eq. 3 of Möttönen et al.,
    quant-ph/0404089); orthogonal up to the factor `width`.
    """
    index = np.arange(width)
    gray = index ^ (index >> 1)
    return 1.0 - 2.0 * (np.bitwise_count(gray[:, None] & index[None, :]) % 2)


class Encoding(ABC):
    """A family of data-encoding circuits, one member per number of wires.

    Attributes:
        name: what a `LayerSpec` calls it.
        is_product: whether the circuit is one RY per wire, by the angle of its own; otherwise it
            is the tree of `AmplitudeEncoding`.
    """

    name: str
    is_product: ClassVar[bool] = False

    def loaded(self, features: Tensor) -> Tensor:
        """What exact engines load, by torch's operations: (B, F) -> (B, F), row by row.

        The angles of a product, amplitudes of any length otherwise; here the features themselves.
        """
        return features

    @abstractmethod
    def n_features(self, n_wires: int) -> int:
        """F."""

    @abstractmethod
    def n_angles(self, n_wires: int) -> int:
        """E, the number of angles of the preparing circuit."""

    @abstractmethod
    def angles(self, features: Array) -> Array:
        """The preparing circuit's angles in radians: (B, F) -> (B, E).

        Rows that `is_zero` marks have no state; their angles are zero.
        """

    @abstractmethod
    def states_of_angles(self, angles: Array) -> Array:
        """The states that the preparing circuit makes with these angles: (B, E) -> (B, D)."""

    @abstractmethod
    def states(self, features: Array) -> Array:
        """The prepared real states: (B, F) -> (B, D), wire 0 the most significant bit.

        Rows that `is_zero` marks come out as zero vectors.
        """

    @abstractmethod
    def is_zero(self, features: Array) -> NDArray[np.bool_]:
        """Which rows encode nothing, (B,): their outputs and gradients are zero everywhere."""

    @abstractmethod
    def n_directions(self, n_wires: int) -> int:
        """T, the number of independent directions in which a state can move."""

    @abstractmethod
    def shifted(self, features: Array) -> tuple[Array, Array]:
        """Rows whose outputs differ by a derivative, and what the derivatives are along.

        Returns `rows` (B, T, 2, F) and `directions` (B, T, F) such that the gradient of an output
        y with respect to the features is the sum over t of
        directions[b, t] * (y(rows[b, t, 0]) - y(rows[b, t, 1])).
        No row of `features` may be one that `is_zero` marks.
        """


class AmplitudeEncoding(Encoding):
    """F = 2^Q features of either sign, normalised: the features are the amplitudes."""

    name = "amplitude"

    def n_features(self, n_wires: int) -> int:
        return 2**n_wires

    def n_angles(self, n_wires: int) -> int:
        return 2**n_wires - 1

    def angles(self, features: Numbers) -> Numbers:
        """Angles of a tree of multiplexed RY (Möttönen et al., quant-ph/0407010), root first.

        Level k turns wire k by an angle that depends on what the k wires before it read. The
        inner levels split norms; the last one splits signed amplitudes, which is what makes
        either sign possible. The angles are those of the RY gates in the Gray-code circuit of
        each multiplexer, so that a row holds what the circuit takes.
        """
        library = library_of(features)
        norms = self.states(features)
        # The state's sign means nothing, but noise would tell the branches of its turns apart.
        along = norms @ constant_like(references(norms.shape[1])[0], norms)
        norms = norms * library.where(along < 0, -1.0, 1.0)[:, None]
        levels: list[Any] = []
        while norms.shape[1] > 1:
            left, right = norms[:, 0::2], norms[:, 1::2]
            turns = 2 * direction(right, left, floor=0.0)
            gray = constant_like(gray_transform(turns.shape[1]).T, turns)
            levels.append(turns @ gray / turns.shape[1])
            norms = library.hypot(left, right)
        return library.concatenate(levels[::-1], axis=1)

    def states_of_angles(self, angles: Array) -> Array:
        states = np.ones((len(angles), 1), dtype=angles.dtype)
        while states.shape[1] <= angles.shape[1]:
            width = states.shape[1]
            halves = angles[:, width - 1 : 2 * width - 1] @ gray_transform(width) / 2
            split = np.stack([states * np.cos(halves), states * np.sin(halves)], axis=2)
            states = split.reshape(len(angles), 2 * width)
        return states

    def states(self, features: Numbers) -> Numbers:
        library = library_of(features)
        rows, _ = without_overflow(features)
        norms = library.linalg.norm(rows, axis=1, keepdims=True)
        return library.where(norms < ZERO_NORM, 0.0, rows / library.clip(norms, ZERO_NORM, None))

    def is_zero(self, features: Numbers) -> Any:
        rows, _ = without_overflow(features)
        return library_of(features).linalg.norm(rows, axis=1) < ZERO_NORM

    def n_directions(self, n_wires: int) -> int:
        return 2**n_wires - 1

    def shifted(self, features: Array) -> tuple[Array, Array]:
        """Turn the state by a quarter of pi towards each vector of an orthonormal tangent basis.

        An output is a quadratic form of the state a, hence with v orthogonal to a
        y((a + v)/sqrt 2) - y((a - v)/sqrt 2) is exactly its derivative along v. Unlike the chain
        rule through the tree's angles this stays exact where amplitudes vanish. The basis is the
        Householder reflection that carries the first axis to a.
        """
        states = self.states(features)
        n_rows, n_amplitudes = states.shape
        # The sign keeps the reflection's vector away from zero.
        sign = np.where(states[:, :1] < 0, -1.0, 1.0)
        mirror = states.copy()
        mirror[:, :1] += sign
        scale = 2.0 / np.sum(mirror**2, axis=1)
        basis = np.broadcast_to(np.eye(n_amplitudes), (n_rows, n_amplitudes, n_amplitudes))
        basis = basis - scale[:, None, None] * mirror[:, :, None] * mirror[:, None, :]
        tangents = basis[:, 1:, :]
        rows = np.stack([states[:, None] + tangents, states[:, None] - tangents], axis=2)
        scaled, factors = without_overflow(features)
        slopes = factors / np.linalg.norm(scaled, axis=1, keepdims=True)
        return rows / np.sqrt(2.0), tangents * slopes[:, None]


class AngleEncoding(Encoding):
    """F = Q features in radians: RY(feature q) on wire q."""

    name = "angle"
    is_product = True

    def n_features(self, n_wires: int) -> int:
        return n_wires

    def n_angles(self, n_wires: int) -> int:
        return n_wires

    def angles(self, features: Array) -> Array:
        return features

    def states_of_angles(self, angles: Array) -> Array:
        return self.states(angles)

    def states(self, features: Array) -> Array:
        halves = np.stack([np.cos(features / 2), np.sin(features / 2)], axis=2)
        states = halves[:, 0]
        for wire in range(1, features.shape[1]):
            states = (states[:, :, None] * halves[:, wire, None, :]).reshape(len(features), -1)
        return states

    def is_zero(self, features: Array) -> NDArray[np.bool_]:
        return np.zeros(len(features), dtype=bool)

    def n_directions(self, n_wires: int) -> int:
        return n_wires

    def shifted(self, features: Array) -> tuple[Array, Array]:
        """The two-term rule for a Pauli rotation (Mitarai et al., arXiv 1803.00745)."""
        unit = np.eye(features.shape[1])
        turn = np.pi / 2 * unit[None]
        rows = np.stack([features[:, None] + turn, features[:, None] - turn], axis=2)
        return rows, np.broadcast_to(unit / 2, (len(features), *unit.shape))


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding for encoding in (AmplitudeEncoding(), AngleEncoding())
}


def get_encoding(name: str) -> Encoding:
    """The encoding of that name; raises `UnknownNameError`."""
    try:
        return ENCODINGS[name]
    except KeyError:
        raise UnknownNameError(f"unknown encoding '{name}': {suggest(name, ENCODINGS)}") from None
