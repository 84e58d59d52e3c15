"""The angles of a user's circuit: expressions of features and weights.

Letters: B batch, F features, P angles, W weights.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .inputs import Array, row_numbers
from .tape import Tape


class ExpressionInputs:
    """Angles as the outputs of a tape whose variables are the features, then the weights.

    Attributes:
        tape: what computes them.
        n_features: F.
        n_weights: W.
    """

    def __init__(self, tape: Tape, n_features: int, n_weights: int) -> None:
        self.tape, self.n_features, self.n_weights = tape, n_features, n_weights

    @cached_property
    def by_features(self) -> NDArray[np.bool_]:
        """Which angles move with the row, (P,)."""
        return self.tape.depends_on(range(self.n_features))[self.tape.outputs]

    @cached_property
    def by_weights(self) -> NDArray[np.bool_]:
        """Which angles move with the weights, (P,)."""
        weights = range(self.n_features, self.n_features + self.n_weights)
        return self.tape.depends_on(weights)[self.tape.outputs]

    def angles(self, features: Array, weights: Array) -> Array:
        """Angles (B, P) of features (B, F) and weights (W,) or (B, W).

        Raises:
            InputError: an angle that is not finite, as 1/x is for a feature of 0.
        """
        angles = self._nodes(features, weights)[self.tape.outputs].T
        if not np.isfinite(angles).all():
            row, angle = map(int, np.argwhere(~np.isfinite(angles))[0])
            raise InputError(
                f"features row {row} gives the circuit's angle {angle} the value "
                f"{angles[row, angle]}: its expression is not defined there"
            )
        return np.ascontiguousarray(angles)

    def pull(self, features: Array, weights: Array, of_angles: Array) -> tuple[Array, Array]:
        """Gradients by features (B, F) and each row's weights (B, W), from those by angles."""
        pulled = self.tape.pull(self._nodes(features, weights), of_angles.T)
        return pulled[: self.n_features].T.copy(), pulled[self.n_features :].T.copy()

    def live(self, features: Any) -> Any:
        """All rows: a circuit has something to execute whatever its features."""
        return row_numbers(features) >= 0

    def _nodes(self, features: Array, weights: Array) -> Array:
        spread = np.broadcast_to(weights, (len(features), self.n_weights))
        return self.tape.nodes(np.concatenate([features, spread], axis=1).T)
