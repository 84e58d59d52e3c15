"""The lines of `metrics.jsonl` that compare a device's answers with the simulated ones."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from qbackend.validation.records.charges import Charges as Charges
from qbackend.validation.records.recorded import Recorded

from .lines import Compiled, Line, Stage
from .scores import Interval

Verdict = Literal["helps", "harms", "unclear"]
"""Of a mitigation: the error is smaller or larger beyond chance, or neither can be told."""


class Charged(Line):
    """A line that ends with the charges, None where no machine was asked."""

    charges: Charges | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        return {**values, "charges": values} if "job_ids" in values else values

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        return values | (values.pop("charges", None) or {})


class Agreement(Recorded):
    """Two stages on the same images.

    Attributes:
        stages: which two.
        same: images that both give the same class.
        share: of the images with the same class.
        interval: 95 % confidence interval of the share (Wilson's score interval).
        output_rmse: root-mean-square difference of the outputs, None where there are none.
        each_rmse: the same of each output, (M,).
        logit_rmse: root-mean-square difference of the logits.
    """

    stages: tuple[Stage, Stage]
    same: int
    share: float
    interval: Interval
    output_rmse: float | None
    each_rmse: tuple[float, ...]
    logit_rmse: float


class CopyScores(Recorded):
    """How well one copy of the layer on a machine answers.

    Attributes:
        n_images: that it answered.
        accuracy: of them; this and what follows is None where there are none.
        accuracy_interval: 95 % confidence interval (Wilson's score interval).
        ideal_rmse: root-mean-square difference of the outputs from those without noise.
        noise_rmse: the same from those under the simulated noise of the copy's own qubits.
        shot_rmse: root mean square of the standard errors that the shots alone give.
        is_far_off: from what shots and reported errors explain, beside the other copies; see
            `evaluation.copies.far_off`.
    """

    n_images: int
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    ideal_rmse: float | None = None
    noise_rmse: float | None = None
    shot_rmse: float | None = None
    is_far_off: bool = False

    @property
    def unexplained(self) -> float | None:
        """Mean square of what the simulated noise does not explain, over that of the shots alone.

        1 where both together explain everything; None where either is not known.
        """
        if self.noise_rmse is None or not self.shot_rmse:
            return None
        return (self.noise_rmse / self.shot_rmse) ** 2


class ValidationRecord(Charged):
    """A machine's answers beside the simulated ones.

    Attributes:
        machine: its name.
        n_images: of all stages.
        changed: images of which the machine gives another class than the model without noise.
        agreement: of every two stages.
        copies: of the layer on the machine, in the order of its record; none where it stands alone
            or an image asks for more than one row.
    """

    kind: ClassVar[str] = "validation"
    machine: str
    n_images: int
    changed: int
    agreement: tuple[Agreement, ...]
    copies: tuple[CopyScores, ...] = ()

    @property
    def far_off(self) -> list[int]:
        """Numbers of the copies that are."""
        return [index for index, copy in enumerate(self.copies) if copy.is_far_off]

    def pair(self, one: Stage, other: Stage) -> Agreement:
        """Of those two."""
        return next(pair for pair in self.agreement if pair.stages == (one, other))


class LayerErrors(Recorded):
    """A device's answers to rows of one convolution minus the exact ones.

    Attributes:
        layer: the convolution's name.
        live_share: of its vectors, those that are not zero.
        n_rows: executed.
        rmse, bias: root mean square and mean, each with its standard error.
        shot_error: root mean square of the standard errors that the shots alone give.
        scale, offset, scatter: of each wire, fitted: scale * exact + offset, and a scatter.
    """

    layer: str
    live_share: float
    n_rows: int
    rmse: float
    rmse_error: float
    bias: float
    bias_error: float
    shot_error: float
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    scatter: tuple[float, ...]


class Simulated(Recorded):
    """An accuracy by simulation: its mean, and the interval that holds 95 % of the draws."""

    mean: float
    interval: Interval
    draws: int


class WholeSet(Recorded):
    """What all test images would take: QPU seconds on a machine, else seconds of this computer."""

    images: int
    rows: int
    machine_seconds: float
    seconds: float


class RowRecord(Charged):
    """The error of rows of feature maps on a device, and what follows from it.

    Attributes:
        backend: that executed them.
        rows: how many.
        shots: of each, None for exact probabilities.
        jobs, qpu_seconds: that they took.
        layers: the error of each convolution.
        maps_rmse: of all together.
        n_images: that accuracies were simulated on.
        ideal_accuracy: without noise.
        expected, corrected: accuracies to expect, as the device answers and with fitted maps.
        assumption: of the simulation.
        whole: what all test images would take.
        compiled: the largest kernel.
    """

    kind: ClassVar[str] = "rows"
    backend: str
    rows: int
    shots: int | None
    jobs: int
    qpu_seconds: float
    layers: tuple[LayerErrors, ...]
    maps_rmse: float
    n_images: int
    ideal_accuracy: float
    expected: Simulated
    corrected: Simulated
    assumption: str
    whole: WholeSet
    compiled: Compiled


class VariantRecord(Recorded):
    """One way to mitigate a machine's errors, on the same images as the others.

    Attributes:
        name: of the variant.
        shots: of each circuit.
        rmse: root-mean-square error of the layer's outputs against those without noise.
        rmse_error: its standard error, from the spread between images.
        shot_error: root mean square of the standard errors that the shots give.
        device_error: mean squared error that the shots do not explain; by chance below 0.
        device_interval: of it, 95 %.
        accuracy, accuracy_interval: of the model with these outputs (Wilson's interval).
        seconds: of QPU time on a machine by the estimate, were it asked for alone.
        charged_seconds: its share of what its jobs were charged, by the estimates; None where
            nothing is charged.
        gain: mean squared error that is gone, against raw; None for raw.
        gain_interval: of it, 95 %.
        verdict: what follows from that.
    """

    name: str
    shots: int
    rmse: float
    rmse_error: float
    shot_error: float
    device_error: float
    device_interval: Interval
    accuracy: float
    accuracy_interval: Interval
    seconds: float
    charged_seconds: float | None = None
    gain: float | None = None
    gain_interval: Interval | None = None
    verdict: Verdict | None = None


class MitigationRecord(Charged):
    """Ways to mitigate a machine's errors, side by side.

    Attributes:
        machine: its name.
        n_images: of each variant.
        n_training: images that the calibrated variant's map is fitted on, 0 without it.
        ideal_accuracy: without noise.
        jobs: that all variants took together.
        variants: raw first.
        left_out: names of those that could not be had, and why.
        compiled: the layer.
    """

    kind: ClassVar[str] = "mitigation"
    machine: str
    n_images: int
    n_training: int
    ideal_accuracy: float
    jobs: int
    variants: tuple[VariantRecord, ...]
    left_out: dict[str, str]
    compiled: Compiled

    @property
    def raw(self) -> VariantRecord:
        """Without mitigation."""
        return self.variants[0]
