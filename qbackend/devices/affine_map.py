"""Correct a noisy backend's outputs by an affine map per output.

Depolarisation shrinks an expectation value and readout error moves it, both nearly affinely. The
map is fitted on rows that were run exactly and on the noisy backend, and then applied to others.

Letters: N rows, M outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..layers.inputs import Array, check_finite

MIN_SPREAD = 1e-12
"""An output whose standard deviation over the rows is below this fixes no scale."""


@dataclass(frozen=True)
class AffineMap:
    """value -> scale * value + offset, output by output.

    Attributes:
        scale: (M,).
        offset: (M,).
    """

    scale: Array
    offset: Array

    def apply(self, values: Array) -> Array:
        """The corrected expectation values, (N, M)."""
        return values * self.scale + self.offset

    def apply_to_stderr(self, stderr: Array) -> Array:
        """The standard errors of the corrected values, (N, M)."""
        return stderr * np.abs(self.scale)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `from_dict` reads them back."""
        return {"scale": self.scale.tolist(), "offset": self.offset.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AffineMap:
        """The map that `to_dict` described."""
        return cls(np.asarray(values["scale"], float), np.asarray(values["offset"], float))


def fit_affine_map(noisy: Array, exact: Array) -> AffineMap:
    """The map that brings noisy values (N, M) nearest to exact ones (N, M), by least squares.

    An output that the noise holds constant keeps scale 1 and gets the mean difference as offset.

    Raises:
        InputError: shapes that differ, fewer than two rows, or an entry that is not finite.
    """
    if noisy.shape != exact.shape or noisy.ndim != 2 or len(noisy) < 2:
        raise InputError(
            "a calibration needs at least two rows, run exactly and noisily: "
            f"got shapes {exact.shape} and {noisy.shape}"
        )
    check_finite("noisy values", noisy)
    check_finite("exact values", exact)
    centred = noisy - noisy.mean(axis=0)
    fixed = noisy.std(axis=0) < MIN_SPREAD
    power = np.where(fixed, 1.0, np.sum(centred**2, axis=0))
    scale = np.where(fixed, 1.0, np.sum(centred * (exact - exact.mean(axis=0)), axis=0) / power)
    return AffineMap(scale, exact.mean(axis=0) - scale * noisy.mean(axis=0))
