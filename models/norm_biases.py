"""Biases that a BatchNorm takes away again: held still where they start, yet still parameters.

Such a bias changes no answer in training, and its gradient is zero but for rounding. Adam and AdamW
divide a gradient by its own size: they would take full steps wherever rounding points to, another
way with another number of threads, and the running means would lag behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Model = TypeVar("Model", bound=nn.Module)


def norm_biases(model: nn.Module) -> Iterator[Tensor]:
    """The biases between which and a BatchNorm there are linear maps at most.

    Of a model whose parts work in the order in which they are registered, as `HybridCNN` and
    `ClassicalCNN`: the linear control's bias passes the head's first map.
    """
    constant: list[Tensor | None] = []
    for part in model.modules():
        match part:
            case nn.Linear():
                constant.append(part.bias)
            case nn.Conv2d():
                # Its padding would make of a constant something else at the borders.
                constant = [part.bias]
            case _BatchNorm():
                yield from (bias for bias in constant if bias is not None)
                constant = [part.bias]
            case nn.Identity() | nn.Flatten():
                pass
            case _ if not list(part.children()):
                constant = []


def hold_norm_biases(model: Model) -> Model:
    """The model, which trains them no more."""
    for bias in norm_biases(model):
        bias.requires_grad_(False)
    return model


def train_norm_biases(model: nn.Module) -> None:
    """Train them as every other parameter, as runs did before they recorded their threads."""
    for bias in norm_biases(model):
        bias.requires_grad_()
