"""The hybrid networks of arXiv 2509.13353 and the controls for their quantum layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, Unpack

from torch import nn

from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.layers.definitions import layer_of
from qbackend.layers.program import Layer

from .blocks import (
    CONVOLUTION_KEYS,
    ConvStack,
    Layout,
    classifier,
    convolution_changes,
    reducer,
)
from .cnn import HybridCNN
from .norm_biases import hold_norm_biases
from .plan import LayerOptions, ModelPlan, Spec
from .streams import weights_from

ARMS = ("quantum", "quantum-frozen", "linear", "mlp", "none")
"""What can stand between front end and head: the circuit; the circuit with random weights that
are not trained; Linear F to M; Linear F to M and tanh; nothing, so that the head gets all of the F
features, which with amplitude encoding are a softmax."""

PUBLISHED_LAYER = LayerSpec(n_wires=4)
"""16 amplitudes, 2 basic-entangler layers, <Z> of each wire."""

_SENTENCES = {
    "quantum": "with its {n_wires}-wire quantum layer",
    "quantum-frozen": "with its {n_wires}-wire quantum layer frozen at random weights",
    "linear": "with a linear layer in place of the quantum layer",
    "mlp": "with a linear layer and tanh in place of the quantum layer",
    "none": "with nothing in place of the quantum layer, its features left to the head",
}
_BRIDGES = {
    "quantum": "quantum layer",
    "quantum-frozen": "quantum layer",
    "linear": "linear layer",
    "mlp": "linear layer with tanh",
}


@dataclass(frozen=True)
class HybridPlan(ModelPlan):
    """A hybrid network: convolutions, reducer to F features, bottleneck, head.

    Attributes:
        layout: the convolutions.
        reduced: width of the reducer's hidden layer.
        spec: the quantum layer, of the catalogue or a circuit of the user's own; the reducer's
            and the head's width follow.
        pooled: side of the square that each channel is averaged to.
        hidden: width of the head's hidden layer.
        dropout: of the head.
        activation, pooling: see `ConvStack`; the activation is the reducer's and the head's too.
    """

    layout: Layout
    reduced: int
    spec: LayerSpec | CircuitLayer = field(default=PUBLISHED_LAYER, kw_only=True)
    pooled: int = 4
    hidden: int = 128
    dropout: float = 0.3
    activation: str = "relu"
    pooling: str = "max"

    arms = ARMS
    quantum_arms = ("quantum", "quantum-frozen")
    plain_arm = "linear"
    network_keys = (*CONVOLUTION_KEYS, "reducer")

    @property
    def bottleneck(self) -> Layer:
        return self.spec

    @property
    def circuit_work(self) -> int:
        # Of a circuit of one's own not only weights turn the state: all its angles do.
        if isinstance(self.spec, LayerSpec):
            return super().circuit_work
        return 8 * 2**self.spec.n_wires * len(self.spec.program().parameters)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        if "circuit" in changes:
            return self.with_spec(changes)
        values = self.spec.to_dict()
        if "n_wires" in changes:
            # The model's own observables are as long as its own layer is wide.
            del values["observables"]
        return self.with_spec({**values, **changes})

    def resized(self, **changes: Any) -> Self:
        return replace(self, **convolution_changes(self.layout, changes))

    def with_spec(self, values: Mapping[str, Any] | None) -> Self:
        return self if values is None else replace(self, spec=layer_of(values))

    def check(self, name: str, arm: str, spec: Spec | None) -> None:
        super().check(name, arm, None if isinstance(spec, CircuitLayer) else spec)

    def describe(self, arm: str) -> str:
        return _SENTENCES[arm].format(n_wires=self.spec.n_wires)

    def bridge(self, arm: str) -> str | None:
        return _BRIDGES.get(arm)

    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> HybridCNN:
        bridge, n_outputs = self._bridge(arm, seed, options)
        with weights_from(seed, "front"):
            convolutions = ConvStack(
                self.in_channels, self.layout, self.pooled, self.activation, self.pooling
            )
            # A circuit of the user's own takes its features as they are: parameters of gates.
            angles = not isinstance(self.spec, LayerSpec) or self.spec.encoding == "angle"
            reduce = reducer(
                convolutions.n_features,
                self.reduced,
                self.spec.n_features,
                angles=angles,
                activation=self.activation,
            )
        with weights_from(seed, "head"):
            head = classifier(n_outputs, self.hidden, self.n_classes, self.dropout, self.activation)
        return hold_norm_biases(HybridCNN(nn.Sequential(convolutions, reduce), bridge, head))

    def _bridge(self, arm: str, seed: int, options: LayerOptions) -> tuple[nn.Module, int]:
        """The quantum layer or what stands in for it, and the width of its output."""
        spec = self.spec
        if arm in self.quantum_arms:
            layer = QuantumLayer(spec, seed=seed, **options)
            # Frozen, the circuit keeps the weights that the trained arm of the same seed starts
            # from.
            layer.requires_grad_(arm == "quantum")
            return layer, spec.n_outputs
        if arm == "none":
            return nn.Identity(), spec.n_features
        with weights_from(seed, "bridge"):
            linear = nn.Linear(spec.n_features, spec.n_outputs)
        return (nn.Sequential(linear, nn.Tanh()) if arm == "mlp" else linear), spec.n_outputs
