"""The sections [run], [noise], [fabric] and [log]: where and how to execute."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from .section import Section

MitigationVariant = Literal["m3", "tensored", "calibrated", "decoupling", "twirling", "trex", "zne"]
"""A way to mitigate a machine's errors: either readout mitigation of counts; a map fitted on
training images; dynamical decoupling; twirled gates and measurements; the Estimator's readout
mitigation, and its zero-noise extrapolation."""


class RunSection(Section):
    """What distinguishes one run of a recipe from another."""

    backend: str = "aer"
    """Name of the backend, as `qhc backends` lists them."""
    shots: int | None = Field(default=None, ge=1)
    """Per circuit; where it is not given expectations are exact, or 1,024 shots on a machine."""
    seed: int = Field(default=0, ge=0, le=2**64 - 1)
    """Of splits, initial weights, order of images, augmentation, dropout and sampling."""
    shots_seed: int | None = Field(default=None, ge=0, le=2**64 - 1)
    """Of the shots that a simulator or a fake device draws in an evaluation; the seed where it is
    not given. A repeated run has another one, as a machine would draw others."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Of each process, for everything on the CPU; as many as a batch is worth where it is not
    given. The same number gives the same bits."""
    limit: int | None = Field(default=None, ge=1)
    """Number of evaluation images, drawn by the seed; all where it is not given, 100 on a
    machine."""
    rows: int | None = Field(default=None, ge=1)
    """Rows of a trained net's feature maps to execute in place of whole images, where the quantum
    layers are pointwise convolutions."""
    mitigations: tuple[MitigationVariant, ...] | None = Field(default=None, min_length=1)
    """Ways to mitigate a machine's errors to compare with none, on the same images, in place of a
    validation."""
    preparation: Literal["auto", "compact", "textbook"] | None = Field(
        default=None, validation_alias=AliasChoices("preparation", "encoder")
    )
    """How a device prepares amplitudes; the backend's choice where it is not given. It was
    called `encoder` before."""
    calibrate: int | None = Field(default=None, ge=2)
    """Training images to fit an affine map per output on, which corrects a device's noise."""

    @property
    def sampling_seed(self) -> int:
        """What the shots of an evaluation are drawn by."""
        return self.seed if self.shots_seed is None else self.shots_seed


class NoiseSection(Section):
    """Strengths of the parts of a device's noise: 0 is none, 1 what the device reports.

    The parts are those of `qbackend.NoiseSpec`; one that is not given has its default
    there, or what the noise file says.
    """

    one_qubit: float | None = Field(default=None, ge=0)
    """Scales the depolarising probability of gates on one qubit."""
    two_qubit: float | None = Field(default=None, ge=0)
    """Scales the depolarising probability of gates on two qubits."""
    relaxation: float | None = Field(default=None, ge=0)
    """Scales the rates 1/T1 and 1/T2 while a gate lasts."""
    readout: float | None = Field(default=None, ge=0)
    """Scales the probabilities of a misread."""
    idle: float | None = Field(default=None, ge=0)
    """Scales the same rates while a qubit waits; off where it is not given. Above 0 the circuit is
    scheduled."""


class FabricSection(Section):
    """Where the network runs, in Lightning Fabric's words."""

    accelerator: str = "auto"
    """Where the network is trained: auto takes a CUDA device where torch finds one, cpu none."""
    devices: int | str = 1
    """Processes that train together, each on a device or a share of the cores."""
    num_nodes: int = Field(default=1, ge=1)
    """Computers that they are on."""
    strategy: str = "auto"
    """How they share the work: ddp, for example, each with batches of its own."""
    precision: str = "32-true"
    """Of the network; the quantum layer computes in float32 or float64 whatever this is."""
    capture: Literal["auto", "off"] = "auto"
    """On CUDA: record a step of the training as one graph and replay it; auto says so where a
    model or backend cannot be recorded, and goes on without."""
    deterministic: bool = True
    """On CUDA: convolutions by cuDNN's algorithms that give equal bits for equal inputs, so that a
    training that is resumed ends with the bits of one that was not. Without, cuDNN takes any."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Of products in float32 while training, as `torch.set_float32_matmul_precision` takes it. On
    CUDA high rounds their factors to TF32's 10 bits of mantissa: values of a pointwise convolution
    deviate by 2e-3 in place of 1e-6. Convolutions follow torch's own switch, which has TF32 on."""
    channels_last: bool = False
    """Keep the network's maps with their channels together, which some convolutions want."""


class LogSection(Section):
    """Loggers beside the run folder's own records."""

    tensorboard: bool = False
    """Also write what TensorBoard reads, into the run folder."""
    mlflow: bool = False
    """Also log to MLflow, where its environment variables say."""
