"""Losses, optimisers and learning-rate schedules by the names that recipes use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
)

from ..assembly.own_checks import own_loss
from ..config.sections import Config
from ..config.train import TrainSection

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits (B, classes) and labels (B,) to their mean loss."""


def build_loss(config: Config) -> Loss:
    """What the training makes small; the margin is that of `torch.nn.MultiMarginLoss`."""
    train, own = config.train, own_loss(config)
    if own is not None:
        return own
    if train.loss == "margin":
        return _margin
    return partial(functional.cross_entropy, label_smoothing=train.label_smoothing)


def build_optimiser(model: nn.Module, train: TrainSection, *, fused: bool) -> Optimizer:
    """Over the parameters that are trained; `fused` makes a step one kernel."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    lr, decay = train.lr, train.weight_decay
    match train.optimiser:
        case "adamw":
            return AdamW(parameters, lr, weight_decay=decay, fused=fused)
        case "adam":
            return Adam(parameters, lr, weight_decay=decay, fused=fused)
        case "sgd":
            return SGD(parameters, lr, train.momentum, weight_decay=decay, fused=fused)


def build_schedule(optimiser: Optimizer, train: TrainSection, n_steps: int) -> LRScheduler:
    """The learning rate over all `n_steps` batches of the training, moved once per batch."""
    match train.schedule:
        case "constant":
            return LambdaLR(optimiser, _always_one)
        case "onecycle":
            return OneCycleLR(optimiser, train.lr, total_steps=n_steps, pct_start=train.warm_up)
        case "cosine":
            return CosineAnnealingLR(optimiser, n_steps, eta_min=train.lr_min)
        case "cosine_restarts":
            return CosineAnnealingWarmRestarts(
                optimiser, T_0=train.restart_every, eta_min=train.lr_min
            )


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    # It has no kernel for half precision.
    return functional.multi_margin_loss(logits.float(), labels)


def _always_one(step: int) -> float:
    return 1.0
