"""The lines of `metrics.jsonl` that a training and an evaluation leave."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import AliasChoices, ConfigDict, Field

from qbackend.validation.records.recorded import Recorded
from qbackend.validation.records.stored import Line as Line

from .scores import Means, Scores, TrainingMeans

Stage = Literal["ideal", "noise", "machine", "corrected"]
"""Without noise; under the machine's simulated noise; on the machine; the machine's outputs
corrected by a map that was fitted on training images."""
STAGES: tuple[Stage, ...] = get_args(Stage)


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


class PlacedCopy(Recorded):
    """One of a layer's copies on a device.

    Attributes:
        place: the qubits of the device, in the order of the first copy's in ascending order.
        physical_qubits: the same in ascending order.
        gate_fidelity, readout_fidelity: products of the reported ones.
    """

    place: tuple[int, ...]
    physical_qubits: tuple[int, ...]
    gate_fidelity: float
    readout_fidelity: float

    @property
    def fidelity(self) -> float:
        """Of gates and readout together, as reported."""
        return self.gate_fidelity * self.readout_fidelity


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
        fractional_gates: what the layer takes with them and without, and which it was compiled to;
            None for a device without.
        n_circuits: of this kind in the network.
        n_wires: of the layer.
        copies: side by side on the device, the first of them the layer itself; none where it
            stands alone.
        border: idle qubits between two copies.
        coupling: pairs of the device's qubits that have a two-qubit gate.
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
    fractional_gates: dict[str, Any] | None = None
    n_circuits: int = 1
    n_wires: int = 0
    copies: tuple[PlacedCopy, ...] = ()
    border: int | None = None
    coupling: tuple[tuple[int, int], ...] = ()


class FittedMap(Recorded):
    """An affine map per output of a layer."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]


class Correction(Recorded):
    """By what a device's outputs were corrected, fitted on training images.

    Attributes:
        images: how many.
        maps: of each layer, or of each copy of the one layer.
        of: which.
    """

    images: int
    maps: tuple[FittedMap, ...]
    of: Literal["layers", "copies"] = "layers"


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
        output_errors: the same of each output, over the images; empty where that is not known.
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
    output_errors: tuple[float, ...] = ()
    stage: Stage | None = None
    compiled: Compiled | None = None
    narrower: tuple[Compiled, ...] = ()
    calibration: Correction | None = None
