"""What a run is: the sections of a resolved recipe, each value with its meaning and its limits.

A `Config` is frozen and complete; `recipe.py` makes one from a recipe and the values given on the
command line. Every mistake in it is reported at once, under its dotted key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from qbackend.errors import ConfigError, suggest
from qbackend.layers.ansatze import ANSATZE
from qbackend.layers.encodings import ENCODINGS
from qbackend.registry import parse_name
from qbackend.seam.backend_name import BackendName

from .machine import MachineSection
from .section import Section

Protocol = Literal["matched", "published"]
PROTOCOLS: tuple[Protocol, ...] = ("matched", "published")
Ties = Literal["loss", "later"]
CLASSICAL = "classical"
"""The arm that is the recipe's classical twin: another network, not the hybrid's with a part
exchanged."""


class RunSection(Section):
    """What distinguishes one run of a recipe from another."""

    backend: str = "aer"
    """Name of the backend, as `qhc backends` lists them."""
    shots: int | None = Field(default=None, ge=1)
    """Per circuit; exact expectations where it is not given."""
    seed: int = Field(default=0, ge=0, le=2**64 - 1)
    """Of splits, initial weights, order of images, augmentation, dropout and sampling."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Of each process, for everything on the CPU; what a batch is worth (`work.with_threads`) where
    it is not given. The same number gives the same bits."""
    limit: int | None = Field(default=None, ge=1)
    """Number of evaluation images, drawn by the seed; all where it is not given."""
    rows: int | None = Field(default=None, ge=1)
    """Rows of a trained net's feature maps to execute in place of whole images, where the quantum
    layers are pointwise convolutions."""
    preparation: Literal["auto", "compact", "textbook"] | None = Field(
        default=None, validation_alias=AliasChoices("preparation", "encoder")
    )
    """How a device prepares amplitudes; the backend's choice where it is not given. It was
    called `encoder` before."""
    calibrate: int | None = Field(default=None, ge=2)
    """Training images to fit an affine map per output on, which corrects a device's noise."""


class NoiseSection(Section):
    """Strengths of the parts of a device's noise: 0 is none, 1 what the device reports.

    The parts are those of `qbackend.noise_spec.NoiseSpec`; one that is not given has its default
    there, or what the noise file says.
    """

    one_qubit: float | None = Field(default=None, ge=0)
    two_qubit: float | None = Field(default=None, ge=0)
    relaxation: float | None = Field(default=None, ge=0)
    readout: float | None = Field(default=None, ge=0)
    idle: float | None = Field(default=None, ge=0)


class AugmentationSection(Section):
    """Random changes of a training image; none by default."""

    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest angle in degrees, either way."""
    shift: float = Field(default=0.0, ge=0, lt=1)
    """Largest shift, as a share of the image's side."""
    crop_padding: int = Field(default=0, ge=0)
    """Pixels of zero padding before a random crop back to the image's size."""
    flip: bool = False
    """Mirror left and right, with probability one half."""


class DataSection(Section):
    """Images and their splits."""

    name: str
    """A dataset of `qhc data list`, or folder:DIR."""
    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training images that is held out for validation."""
    stratified: bool = True
    """Hold out the same share of every class; otherwise of all images, whatever their class."""
    validation_from_test: bool = False
    """Validate on the test split; what `validation` holds out is then left unused."""
    augment_validation: bool = False
    """Change validation images as training images are."""
    size: int | None = Field(default=None, ge=4)
    """Side to which images are scaled; as they are where it is not given."""
    range: tuple[float, float] | None = None
    """Stored values of black and of white, in a folder's images deeper than 8 bits; those of the
    type where it is not given: 0 to 65535 of 16 bits, 0 to 1 of floating point, none of 32 bits."""
    download: bool = True
    """Fetch missing data where torchvision can."""
    augmentation: AugmentationSection = AugmentationSection()
    augment_normalised: bool = False
    """Augment after normalising, so that what moves in from outside an image is the mean of the
    dataset rather than black."""

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"black must lie below white, got {list(value)}")
        return value

    @field_validator("name")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        return value if value.startswith("folder:") else _known("dataset", value, _datasets())


class ModelSection(Section):
    """The network."""

    name: str
    """A model of `models.list_models()`."""
    arm: str = "quantum"
    """What stands where the circuit is, one of `models.arms_of(name)`; or the classical twin as a
    whole."""

    @field_validator("name")
    @classmethod
    def _known_model(cls, value: str) -> str:
        return _known("model", value, _models())

    @field_validator("arm")
    @classmethod
    def _known_arm(cls, value: str, info: ValidationInfo) -> str:
        # Which arm goes with a classical model is for the model as a whole to say.
        known = _arms(info.data.get("name"))
        return _known("arm", value, known) if known and value != CLASSICAL else value

    @model_validator(mode="after")
    def _arm_of_the_model(self) -> ModelSection:
        if self.name.startswith(CLASSICAL) != (self.arm == CLASSICAL):
            raise ValueError(
                f"arm '{self.arm}' does not go with '{self.name}': '{CLASSICAL}' is the arm of "
                "the classical models, and of them alone"
            )
        return self


class LayerSection(Section):
    """Changes to the model's quantum layer; what is not given stays the model's own."""

    n_wires: int | None = Field(default=None, ge=1)
    encoding: str | None = None
    ansatz: str | None = None
    n_layers: int | None = Field(default=None, ge=1)
    observables: tuple[str, ...] | None = None
    pattern: str | None = None
    """Of a network with quantum pointwise convolutions: which of its 1x1 convolutions they are."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return value and _known("encoding", value, ENCODINGS)

    @field_validator("ansatz")
    @classmethod
    def _known_ansatz(cls, value: str | None) -> str | None:
        return value and _known("ansatz", value, ANSATZE)


class TrainSection(Section):
    """How the weights are found."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(default=64, ge=2)
    keep_last: bool = False
    """Train on a smaller batch at the end of an epoch; otherwise its images wait for another
    epoch's order."""
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(gt=0)
    """Learning rate; the largest one where the schedule changes it."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled for adamw, an L2 penalty for adam and sgd."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of sgd."""
    schedule: Literal["constant", "onecycle", "cosine", "cosine_restarts"] = "onecycle"
    """How the learning rate moves, once per batch."""
    warm_up: float = Field(default=0.3, gt=0, lt=1)
    """Share of all batches during which onecycle's learning rate rises."""
    restart_every: int = Field(default=5, ge=1)
    """Batches between two restarts of cosine_restarts."""
    lr_min: float = Field(default=0.0, ge=0)
    """Where the cosine schedules end."""
    clip: float = Field(default=0.0, ge=0)
    """Largest norm of the gradient; 0 does not clip."""
    loss: Literal["cross_entropy", "margin"] = "cross_entropy"
    """What is made small: cross-entropy, or the multi-class hinge with a margin of 1. Validation
    and test losses are cross-entropies all the same."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Of cross_entropy."""
    ties: Ties = "loss"
    """Which of two epochs of equal validation accuracy is the best one: that with the lower
    validation loss, or the later one."""
    weights: Literal["all", "quantum"] = "all"
    """What is trained; quantum takes a checkpoint and leaves the network around the circuit as it
    is, dropout and running means included."""
    limit: int | None = Field(default=None, ge=2)
    """Number of training images, and of validation images, drawn by the seed; all where it is not
    given."""
    gradient: str = "auto"
    """How the quantum layer is differentiated; auto is the backend's own way."""

    @model_validator(mode="after")
    def _smoothing_of_the_loss(self) -> TrainSection:
        if self.loss != "cross_entropy" and self.label_smoothing > 0:
            raise ValueError(
                f"label_smoothing goes with cross_entropy, not with {self.loss}; set it to 0"
            )
        return self


class FabricSection(Section):
    """Where the network runs, in Lightning Fabric's words."""

    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = Field(default=1, ge=1)
    strategy: str = "auto"
    precision: str = "32-true"


class LogSection(Section):
    """Loggers beside the run folder's own records."""

    tensorboard: bool = False
    mlflow: bool = False


class Config(Section):
    """A resolved recipe."""

    recipe: str
    """Name of the recipe, or stem of its file."""
    description: str = ""
    protocol: Protocol = "matched"
    remarks: tuple[str, ...] = ()
    """What a reader of the results must know and no value says."""
    run: RunSection = RunSection()
    noise: NoiseSection = NoiseSection()
    machine: MachineSection = MachineSection()
    data: DataSection
    model: ModelSection
    layer: LayerSection = LayerSection()
    train: TrainSection
    fabric: FabricSection = FabricSection()
    log: LogSection = LogSection()

    @property
    def backend(self) -> BackendName:
        """The name under [run], taken apart."""
        return parse_name(self.run.backend)

    def notes(self) -> list[str]:
        """Every quirk in force, a sentence each; printed and recorded with the results."""
        train, data = self.train, self.data
        quirks = {
            "the two sides of the published comparison differ in optimiser, decay, schedule, "
            "clipping, widths, dropout and pooling; protocol=matched compares like with like": (
                self.protocol == "published"
            ),
            "the test split serves as validation split: the best epoch is chosen on the images "
            "that it is then tested on": data.validation_from_test,
            "validation images are augmented, so that validation accuracy is not that of the "
            "images as they are": data.augment_validation,
            "training and validation images are divided at random, not class by class": (
                not data.stratified
            ),
            "images are augmented after normalising: what moves in at their borders is the "
            "dataset's mean grey, not the black of the background": (
                data.augment_normalised and any(data.augmentation.model_dump().values())
            ),
            "of epochs of equal validation accuracy the later one is kept": train.ties == "later",
            "validation and test losses include the label smoothing of "
            f"{train.label_smoothing:g}": (
                self.protocol == "published" and train.label_smoothing > 0
            ),
            f"the learning rate restarts every {train.restart_every} batches": (
                train.schedule == "cosine_restarts"
            ),
            f"precision {self.fabric.precision} is that of the training and its validation; the "
            "test is in 32 bits": self.fabric.precision != "32-true",
            "weight decay is an L2 penalty inside Adam's step, not AdamW's decoupled one": (
                train.optimiser == "adam" and train.weight_decay > 0
            ),
        }
        return [*self.remarks, *(note for note, holds in quirks.items() if holds)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values without those that are not given, for TOML and JSON."""
        values = self.model_dump(mode="json", exclude_none=True)
        if not self.backend.is_machine:
            # What a simulator never reads would only fill its record.
            values["machine"] = self.machine.model_dump(mode="json", exclude_defaults=True)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str, mistakes: list[str]) -> Config:
        """The config of those values.

        Raises:
            ConfigError: for all mistakes in the values, and the `mistakes` found before; `source`
                says whose they are.
        """
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            mistakes = [*mistakes, *(_describe(detail) for detail in error.errors())]
        if mistakes:
            count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
            raise ConfigError(f"{source} has {count}:", mistakes)
        return config


def _models() -> Iterable[str]:
    # Models bring torch along, which only a recipe with a model has to wait for.
    from models import MODELS

    return MODELS


def _arms(model: str | None) -> tuple[str, ...]:
    """The arms of that model, none for one that is not known."""
    from models import MODELS, arms_of

    return arms_of(model) if model in MODELS else ()


def _datasets() -> Iterable[str]:
    from ..data.sources import SOURCES

    return SOURCES


def _known(kind: str, value: str, known: Iterable[str]) -> str:
    if value not in known:
        raise ValueError(f"unknown {kind} '{value}': {suggest(value, known)}")
    return value


def _describe(detail: Any) -> str:
    """One of pydantic's errors as `dotted.key: what is wrong`."""
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{key}: no such key; {suggest(str(detail['loc'][-1]), _keys(detail['loc'][:-1]))}"
    if detail["type"] == "missing":
        return f"{key}: must be given"
    if detail["type"] == "model_type":
        return f"{key}: must be a table, got {detail['input']!r}"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}"
    return f"{key}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {detail['input']!r}"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `path`."""
    table: type[BaseModel] = Config
    for part in path:
        annotation = table.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        table = annotation
    return list(table.model_fields)
