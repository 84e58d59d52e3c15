"""The networks with quantum pointwise convolutions by name, and what can stand in for those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, Unpack

from torch import nn

from qbackend import LayerSpec
from qbackend.errors import SpecError, suggest
from qbackend.module.pointwise import kernel_spec, n_kernels

from .exchange import exchange_pointwise, quantize_pointwise, quantum_pointwise
from .plan import LayerOptions, ModelPlan
from .pointwise_controls import (
    LowRankPointwise,
    LowRankQuadraticPointwise,
    QuadraticPointwise,
    grouped_pointwise,
)
from .pointwise_nets import PointwiseStages, mobilenet_v2, qpcnn_m, qpcnn_s, resnet18
from .streams import weights_from

POINTWISE_ARMS = (
    "quantum",
    "quantum-frozen",
    "unentangled",
    "conv",
    "low-rank",
    "grouped",
    "quadratic",
    "quadratic-low-rank",
)
"""What the exchanged convolutions can be: circuits; circuits with random weights that are not
trained; circuits without their CNOTs; the 1x1 convolutions that the network has anyway; those with
about as few weights as the circuits, of low rank or grouped; free quadratic forms of the normalised
channels; such forms with about as few weights as the circuits."""

_SENTENCES = {
    "quantum": "with quantum pointwise convolutions of depth {depth}",
    "quantum-frozen": "with quantum pointwise convolutions of depth {depth} at random weights",
    "unentangled": "with quantum pointwise convolutions of depth {depth} without entanglement",
    "conv": "with its 1x1 convolutions",
    "low-rank": "with 1x1 convolutions of low rank in place of quantum ones of depth {depth}",
    "grouped": "with grouped 1x1 convolutions in place of quantum ones of depth {depth}",
    "quadratic": "with free quadratic forms in place of quantum pointwise convolutions",
    "quadratic-low-rank": "with quadratic forms of low rank in place of quantum pointwise "
    "convolutions of depth {depth}",
}


@dataclass(frozen=True)
class PointwiseSpec:
    """The quantum pointwise convolutions of a network.

    Attributes:
        depth: layers of each circuit, at least 1. The controls of few weights have about as many
            as circuits of this depth.
        ansatz: of each circuit.
        pattern: of the names of the 1x1 convolutions that are exchanged, see `exchange_pointwise`.

    Raises:
        SpecError: no such ansatz or depth.
    """

    depth: int = 2
    ansatz: str = "strongly_entangling"
    pattern: str = "*.pointwise"

    def __post_init__(self) -> None:
        self.kernel(1)

    def kernel(self, in_channels: int) -> LayerSpec:
        """One circuit over that many channels."""
        return kernel_spec(in_channels, self.ansatz, self.depth)

    def n_weights(self, in_channels: int, out_channels: int) -> int:
        """The weights of a layer."""
        kernel = self.kernel(in_channels)
        return n_kernels(kernel, out_channels) * kernel.n_weights

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and TOML; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointwiseSpec:
        """The spec that `to_dict` described; raises `SpecError` for a key that is none of ours."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise SpecError(f"pointwise layers have no '{key}': {suggest(key, known)}")
        return cls(**values)


@dataclass(frozen=True)
class PointwisePlan(ModelPlan):
    """A network whose 1x1 convolutions can be exchanged.

    Attributes:
        network: makes it with classical convolutions, from the channels of an image and the
            number of classes.
        spec: the quantum layers.
    """

    network: Callable[[int, int], nn.Module]
    spec: PointwiseSpec = field(default=PointwiseSpec(), kw_only=True)

    arms = POINTWISE_ARMS
    quantum_arms = ("quantum", "quantum-frozen", "unentangled")
    plain_arm = "conv"
    is_pixelwise = True

    @property
    def network_keys(self) -> tuple[str, ...]:
        return self.network.keys if isinstance(self.network, PointwiseStages) else ()

    def changed(self, changes: Mapping[str, Any]) -> Self:
        if "circuit" in changes:
            raise SpecError(
                "layer.circuit: quantum pointwise convolutions are circuits over amplitudes, whose "
                "number and width follow from the channels of each convolution; a circuit of your "
                "own takes the place of the one layer of a hybrid network: --recipe digits, or "
                "model.name=hybrid-mnist"
            )
        given = dict(changes)
        if "n_layers" in given:
            given["depth"] = given.pop("n_layers")
        return super().changed(given)

    def resized(self, **changes: Any) -> Self:
        assert isinstance(self.network, PointwiseStages)  # the others have no keys
        return replace(self, network=replace(self.network, **changes))

    def layers(self, arm: str) -> PointwiseSpec | None:
        return self._entangled(arm) if arm in self.quantum_arms else None

    def describe(self, arm: str) -> str:
        return _SENTENCES[arm].format(depth=self.spec.depth)

    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> nn.Module:
        with weights_from(seed, "network"):
            network = self.network(self.in_channels, self.n_classes)
        spec = self.spec

        def control(name: str, convolution: nn.Conv2d) -> nn.Module:
            with weights_from(seed, name):
                return _control(arm, convolution, spec)

        if arm not in self.quantum_arms:
            return exchange_pointwise(network, spec.pattern, control)
        spec = self._entangled(arm)
        quantize_pointwise(
            network, spec.pattern, spec.depth, ansatz=spec.ansatz, seed=seed, **options
        )
        if arm == "quantum-frozen":
            for _, layer in quantum_pointwise(network):
                layer.requires_grad_(False)
        return network

    def _entangled(self, arm: str) -> PointwiseSpec:
        """The layers as the arm entangles them."""
        return replace(self.spec, ansatz="unentangled") if arm == "unentangled" else self.spec


POINTWISE_MODELS = {
    "qpcnn-s": PointwisePlan(3, 10, qpcnn_s),
    "qpcnn-m": PointwisePlan(3, 10, qpcnn_m),
    # Where the channels are few: a kernel's work grows with the square of their number.
    "mobilenet-v2": PointwisePlan(
        3, 10, mobilenet_v2, spec=PointwiseSpec(pattern="features.[56].conv.0.0")
    ),
    "resnet18": PointwisePlan(3, 10, resnet18, spec=PointwiseSpec(pattern="layer2.0.downsample.0")),
}


def _control(arm: str, convolution: nn.Conv2d, spec: PointwiseSpec) -> nn.Module:
    """What stands in for the convolution, of its shape."""
    shape = convolution.in_channels, convolution.out_channels
    stride = convolution.stride[0], convolution.stride[1]
    n_weights = spec.n_weights(*shape)
    rank = max(1, round(n_weights / sum(shape)))
    match arm:
        case "conv":
            return convolution
        case "low-rank":
            return LowRankPointwise(*shape, rank, stride)
        case "grouped":
            return grouped_pointwise(*shape, n_weights, stride)
        case "quadratic":
            return QuadraticPointwise(*shape, stride)
        case "quadratic-low-rank":
            return LowRankQuadraticPointwise(*shape, rank, stride)
    raise ValueError(arm)
