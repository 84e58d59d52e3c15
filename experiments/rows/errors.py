"""How far a device's answers to rows of feature maps are from the exact ones.

Letters: N rows, M outputs of a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qbackend.devices.affine_map import AffineMap, fit_affine_map
from qbackend.layers.inputs import Array


@dataclass(frozen=True)
class Distortion:
    """What a device makes of exact outputs: scale * exact + offset, and a scatter about it.

    All kernels of a convolution have the same gates on the same qubits, so that an output's
    distortion is that of its wire, whichever kernel it is of.

    Attributes:
        scale, offset: (M,).
        scatter: (M,), standard deviation, the shots' share included.
    """

    scale: Array
    offset: Array
    scatter: Array

    def then(self, correction: AffineMap) -> Distortion:
        """The distortion of outputs that are corrected by a map."""
        return Distortion(
            scale=correction.scale * self.scale,
            offset=correction.apply(self.offset),
            scatter=correction.apply_to_stderr(self.scatter),
        )

    def to_dict(self) -> dict[str, list[float]]:
        """For JSON."""
        values = {"scale": self.scale, "offset": self.offset, "scatter": self.scatter}
        return {name: value.tolist() for name, value in values.items()}


@dataclass(frozen=True)
class RowErrors:
    """A device's answers minus the exact ones, all outputs together.

    Attributes:
        n_rows: N.
        rmse: root mean square.
        rmse_error: its standard error, from the spread between rows.
        bias: mean.
        bias_error: its standard error, likewise.
        shot_error: root mean square of the standard errors that the shots alone give.
    """

    n_rows: int
    rmse: float
    rmse_error: float
    bias: float
    bias_error: float
    shot_error: float


def row_errors(exact: Array, measured: Array, stderr: Array) -> RowErrors:
    """Of values (N, M), with the shots' standard errors (N, M); N at least 2.

    A row's outputs come from the same shots: only rows are independent of each other.
    """
    differences = measured - exact
    squares, means = (differences**2).mean(axis=1), differences.mean(axis=1)
    rmse = float(np.sqrt(squares.mean()))
    return RowErrors(
        n_rows=len(exact),
        rmse=rmse,
        # The square root's derivative carries the error of the mean square over.
        rmse_error=_standard_error(squares) / (2 * rmse) if rmse > 0 else 0.0,
        bias=float(means.mean()),
        bias_error=_standard_error(means),
        shot_error=float(np.sqrt((stderr**2).mean())),
    )


def fit_distortion(exact: Array, measured: Array) -> Distortion:
    """By least squares, output by output, from values (N, M).

    Raises:
        InputError: fewer than two rows, or an entry that is not finite.
    """
    fitted = fit_affine_map(exact, measured)
    residuals = measured - fitted.apply(exact)
    # Two numbers were fitted to each output.
    freedom = max(1, len(exact) - 2)
    return Distortion(fitted.scale, fitted.offset, np.sqrt((residuals**2).sum(axis=0) / freedom))


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
