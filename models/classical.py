"""The classical networks of arXiv 2509.13353."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self, Unpack

from qbackend.errors import OptionError

from .blocks import CONVOLUTION_KEYS, ConvStack, Layout, classifier, convolution_changes
from .cnn import ClassicalCNN
from .norm_biases import hold_norm_biases
from .plan import LayerOptions, ModelPlan, Spec
from .streams import weights_from


@dataclass(frozen=True)
class ClassicalPlan(ModelPlan):
    """A classical network: convolutions and head; attributes as in `HybridPlan`."""

    layout: Layout
    pooled: int
    hidden: int
    dropout: float = 0.3
    activation: str = "relu"
    pooling: str = "max"

    arms = ()
    quantum_arms = ()
    plain_arm = "classical"
    network_keys = CONVOLUTION_KEYS

    def describe(self, arm: str) -> str:
        return "(the recipe's classical twin)"

    def check(self, name: str, arm: str, spec: Spec | None) -> None:
        if arm not in ("quantum", "classical") or spec is not None:
            raise OptionError(
                f"'{name}' has no quantum layer for an arm or a spec to change; "
                f"use 'hybrid-{name.removeprefix('classical-')}'"
            )

    def resized(self, **changes: Any) -> Self:
        return replace(self, **convolution_changes(self.layout, changes))

    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> ClassicalCNN:
        with weights_from(seed, "front"):
            front = ConvStack(
                self.in_channels, self.layout, self.pooled, self.activation, self.pooling
            )
        with weights_from(seed, "head"):
            head = classifier(
                front.n_features, self.hidden, self.n_classes, self.dropout, self.activation
            )
        return hold_norm_biases(ClassicalCNN(front, head))
