"""The lines of `metrics.jsonl`: one per epoch, per evaluation, and per comparison with a device."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from .recorded import Recorded
from .scores import Interval, Means, Scores, TrainingMeans

Stage = Literal["ideal", "noise", "machine", "corrected"]
"""Without noise; under the machine's simulated noise; on the machine; the machine's outputs
corrected by a map that was fitted on training images."""
STAGES: tuple[Stage, ...] = get_args(Stage)


class Line(Recorded):
    """A line, with the `kind` that tells which."""

    kind: ClassVar[str]


class EpochRecord(Line):
    """One epoch of a training.

    Attributes:
        epoch: counted from 1.
        lr: learning rate of its first batch.
        train, validation: how well it did.
        seconds: of the training alone.
        validation_seconds: of the validation.
        cpu_seconds: of the training, all threads together.
        peak_memory_mib: the process's largest resident set so far.
        peak_device_memory_mib: the same on the device; None on the CPU.
    """

    kind: ClassVar[str] = "epoch"
    epoch: int
    lr: float
    train: TrainingMeans
    validation: Means
    seconds: float
    validation_seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    peak_device_memory_mib: float | None = None

    def value(self, part: str, metric: str) -> float:
        """A metric in "train" or "validation"; NaN where it is not recorded there."""
        return getattr(getattr(self, part), metric, float("nan"))


class Compiled(Recorded):
    """What a layer was compiled to; a backend's own entries are kept as they are.

    Attributes:
        qubits: of the circuit.
        gates, depth, two_qubit_gates, two_qubit_depth: of the same.
        physical_qubits: of the device.
        duration: seconds.
        gate_fidelity, readout_fidelity: products of the reported ones.
        seed, seeds: of the transpiler.
        device: None for a circuit that is for no device.
        preparation: how features become a state.
        final_cliffords_moved: whether observables took the last CNOTs.
        calibration: where it comes from.
        calibrated_at: ISO 8601.
        noise: strengths of the parts that were simulated.
        n_circuits: of this kind in the network.
        n_wires: of the layer.
    """

    model_config = ConfigDict(extra="allow")

    qubits: int = 0
    gates: int = 0
    depth: int = 0
    two_qubit_gates: int = 0
    two_qubit_depth: int = 0
    physical_qubits: tuple[int, ...] = ()
    duration: float = 0.0
    gate_fidelity: float | None = None
    readout_fidelity: float | None = None
    seed: int | None = None
    seeds: tuple[int, ...] = ()
    device: str | None = None
    # It was called "encoder" before.
    preparation: str | None = Field(
        default=None, validation_alias=AliasChoices("preparation", "encoder")
    )
    final_cliffords_moved: bool | None = None
    calibration: str | None = None
    calibrated_at: str | None = None
    noise: dict[str, float] | None = None
    n_circuits: int = 1
    n_wires: int = 0


class FittedMap(Recorded):
    """An affine map per output of a layer."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


class Calibration(Recorded):
    """By what a device's outputs were corrected: maps per layer, fitted on training images."""

    images: int
    maps: tuple[FittedMap, ...]


class Evaluated(Line):
    """What was evaluated: which split and model, by which backend, with how many shots."""

    backend: str
    shots: int | None
    split: str
    checkpoint: str


class EvaluationRecord(Scores, Evaluated):
    """One evaluation of a model.

    Attributes:
        seconds: that it took.
        jobs: of a backend that samples, 0 on an exact one.
        qpu_seconds: charged.
        shot_error: root mean square of the standard errors of all values; None on an exact backend.
        stage: of a validation on a machine.
        compiled: the widest kind of circuit, where a device has a part in it.
        narrower: the other kinds.
        calibration: that its outputs are corrected by.
    """

    kind: ClassVar[str] = "evaluation"
    seconds: float
    jobs: int
    qpu_seconds: float
    shot_error: float | None = None
    stage: Stage | None = None
    compiled: Compiled | None = None
    narrower: tuple[Compiled, ...] = ()
    calibration: Calibration | None = None


class Charges(Recorded):
    """What the jobs of a run took, as far as its ledger knows.

    Attributes:
        job_ids: of those that gave results.
        estimated_seconds: of QPU time, of all that were executed.
        charged_seconds: so far.
        unsettled: jobs and sessions whose charge is not known yet.
    """

    job_ids: tuple[str, ...]
    estimated_seconds: float
    charged_seconds: float
    unsettled: int


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


class ValidationRecord(Charged):
    """A machine's answers beside the simulated ones.

    Attributes:
        machine: its name.
        n_images: of all stages.
        changed: images of which the machine gives another class than the model without noise.
        agreement: of every two stages.
    """

    kind: ClassVar[str] = "validation"
    machine: str
    n_images: int
    changed: int
    agreement: tuple[Agreement, ...]

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
