"""The angles of the catalogue's layers: those of the encoding, then the weights as they are.

Letters: B batch, E angles of the encoding, F features, P angles, W weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encodings import Encoding
from .inputs import Numbers, library_of, row_numbers


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
    prepare: Callable[[Any], Any] | None = None

    @property
    def by_features(self) -> NDArray[np.bool_]:
        """Which angles move with the row, (P,): the encoding's."""
        return np.arange(self.n_angles + self.n_weights) < self.n_angles

    @property
    def by_weights(self) -> NDArray[np.bool_]:
        """Which angles move with the weights, (P,): the others."""
        return ~self.by_features

    def angles(self, features: Numbers, weights: Numbers) -> Numbers:
        """Angles (B, P) of features (B, F) and weights (W,) or (B, W)."""
        library = library_of(features)
        prepare: Callable[[Any], Any] = self.prepare or self.encoding.angles
        if library is not np and self.encoding.is_product:
            # Of a product the angles are what is loaded.
            prepare = self.encoding.loaded
        spread = library.broadcast_to(weights, (len(features), self.n_weights))
        return library.concatenate([prepare(features), spread], axis=1)

    def live(self, features: Any) -> Any:
        """Rows that encode something, (B,)."""
        if self.encoding.is_product:
            return row_numbers(features) >= 0
        return ~self.encoding.is_zero(features)
