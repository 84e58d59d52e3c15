"""The section [train]: how the weights are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from .own_files import check_reference
from .section import Section, known

Ties = Literal["loss", "later"]
LOSSES = ("cross_entropy", "margin")


class TrainSection(Section):
    """How the weights are found."""

    epochs: int = Field(ge=1)
    """Passes through the training images."""
    batch_size: int = Field(default=64, ge=2)
    """Images of a step, and of a batch in every evaluation."""
    keep_last: bool = False
    """Train on a smaller batch at the end of an epoch; otherwise its images wait for another
    epoch's order."""
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    """What makes a step of a gradient."""
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
    loss: str = "cross_entropy"
    """What is made small: cross_entropy; margin, the multi-class hinge with a margin of 1; or
    FILE.py:NAME or MODULE:NAME, a function of your own from logits (B, classes) and labels (B,) to
    a mean, or a class of modules that are such functions. Validation and test losses are
    cross-entropies all the same."""
    metrics: tuple[str, ...] | None = None
    """Functions of your own from logits and labels to a number, recorded with each validation and
    test: FILE.py:NAME or MODULE:NAME, also classes of torchmetrics that need no arguments."""
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

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, value: str) -> str:
        return check_reference(value) if ":" in value else known("loss", value, LOSSES)

    @field_validator("metrics")
    @classmethod
    def _are_references(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        names = [check_reference(each).rpartition(":")[2] for each in value or ()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two of them are called '{name}'; give one another name")
        return value or None

    @model_validator(mode="after")
    def _smoothing_of_the_loss(self) -> TrainSection:
        if self.loss != "cross_entropy" and self.label_smoothing > 0:
            raise ValueError(
                f"label_smoothing goes with cross_entropy, not with {self.loss}; set it to 0"
            )
        return self
