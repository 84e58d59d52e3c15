"""The angles of the catalogue's layers: those of the encoding, then the weights as they are.

Letters: B batch, E angles of the encoding, F features, P angles, W weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .encodings import Encoding
from .inputs import Array


@dataclass(frozen=True)
class SpecInputs:
    """The map to the angles.

    Attributes:
        encoding: of the layer.
        n_angles: E.
        n_weights: W.
        prepare: features (B, F) to the preparation's angles (B, E), where they are not those of
            the encoding.
    """

    encoding: Encoding
    n_angles: int
    n_weights: int
    prepare: Callable[[Array], Array] | None = None

    @property
    def by_features(self) -> NDArray[np.bool_]:
        """Which angles move with the row, (P,): the encoding's."""
        return np.arange(self.n_angles + self.n_weights) < self.n_angles

    @property
    def by_weights(self) -> NDArray[np.bool_]:
        """Which angles move with the weights, (P,): the others."""
        return ~self.by_features

    def angles(self, features: Array, weights: Array) -> Array:
        """Angles (B, P) of features (B, F) and weights (W,) or (B, W)."""
        angles = (self.prepare or self.encoding.angles)(features)
        spread = np.broadcast_to(weights, (len(features), self.n_weights))
        return np.concatenate([angles, spread], axis=1)

    def live(self, features: Array) -> NDArray[np.bool_]:
        """Rows that encode something, (B,)."""
        return ~self.encoding.is_zero(features)
