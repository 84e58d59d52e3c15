"""The section [train]: how the weights are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .section import Section

Ties = Literal["loss", "later"]


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
