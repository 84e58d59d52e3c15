"""The line of `metrics.jsonl` that sets a repeated run beside the one that it repeats."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from qbackend.validation.records.recorded import Recorded

from .lines import Line
from .scores import Interval

ErrorKind = Literal["one-qubit", "two-qubit", "readout"]


class Side(Recorded):
    """One of the two runs.

    Attributes:
        run: name of its folder.
        backend: that answered.
        started: ISO 8601.
        shots: of each circuit, None for exact values.
        device, calibrated_at: that it was compiled for, and the date of its calibration.
        qubits: of the widest circuit, ascending.
        fidelity: expected, the product of the reported ones of its gates and readouts; the mean of
            its copies, where there are.
        accuracy, interval: as the device answered, with a 95 % interval.
        corrected: accuracy of the outputs corrected by a fitted map, if there is one.
    """

    run: str
    backend: str
    started: str
    shots: int | None
    device: str | None
    calibrated_at: str | None
    qubits: tuple[int, ...]
    fidelity: float | None
    accuracy: float
    interval: Interval
    corrected: float | None = None


class Answered(Recorded):
    """The classes that the two give to the same images.

    Attributes:
        same: images of the same class in both.
        gained, lost: images that only the later, only the earlier run gives the right class.
        difference: of the accuracies, later minus earlier.
        interval: 95 % confidence interval of that (`uncertainty.paired_share_interval`).
    """

    same: int
    gained: int
    lost: int
    difference: float
    interval: Interval


class OutputDrift(Recorded):
    """How far values of the quantum layer lie apart, later minus earlier.

    Attributes:
        name: of the output, or of the convolution.
        rmse: root mean square of the differences.
        shot_rmse: what the shots of the two alone give, from the standard errors of both; None
            where nothing was sampled, or the runs are older than their record of it.
        shift: mean of the differences.
        n_rows: that they were taken over.
    """

    name: str
    rmse: float
    shot_rmse: float | None
    shift: float
    n_rows: int

    @property
    def in_errors(self) -> float | None:
        """The RMSE in units of what the shots alone give: about 1 where nothing has changed."""
        return self.rmse / self.shot_rmse if self.shot_rmse else None

    @property
    def shift_error(self) -> float | None:
        """Standard error of the shift by the shots alone."""
        return None if self.shot_rmse is None else self.shot_rmse / math.sqrt(self.n_rows)

    @property
    def explained(self) -> float | None:
        """Share of the mean squared difference that the shots alone explain."""
        if self.shot_rmse is None:
            return None
        return min(1.0, (self.shot_rmse / self.rmse) ** 2) if self.rmse else 1.0

    @property
    def is_chance(self) -> bool:
        """Whether the shots alone give so large an RMSE, within two of its standard errors.

        A row's outputs may come from the same shots: only rows count as independent.
        """
        found = self.in_errors
        return found is not None and found**2 < 1 + 2 * math.sqrt(2 / self.n_rows)


class MovedError(Recorded):
    """A reported error at the two calibrations; None where none was, or none is on record.

    Attributes:
        kind: of what.
        qubits: of the device; none for the median over all of them.
    """

    kind: ErrorKind
    qubits: tuple[int, ...]
    then: float | None
    now: float | None

    @property
    def change(self) -> float:
        """Later minus earlier; 0 where one is not known."""
        return 0.0 if self.then is None or self.now is None else self.now - self.then


class DriftRecord(Line):
    """Two runs of the same weights on the same images, the later one beside the earlier.

    Attributes:
        then, now: the two.
        n_images: of both accuracies.
        answered: the classes; None where only rows of feature maps were executed.
        together: all outputs.
        outputs: each output of the layer, or each convolution; empty where no layer's values are
            on record.
        moved: errors on the qubits of either, what changed most first; empty on two devices.
        medians: of the whole device, one for each kind.
    """

    kind: ClassVar[str] = "drift"
    then: Side
    now: Side
    n_images: int
    answered: Answered | None
    together: OutputDrift | None
    outputs: tuple[OutputDrift, ...]
    moved: tuple[MovedError, ...]
    medians: tuple[MovedError, ...]
