"""The quantum parts of any module, whoever made them.

Letters: N rows, F features, W weights, B batch, C channels, H height, W' width of a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
from qiskit_machine_learning.connectors import TorchConnector
from torch import Tensor, nn

from qbackend import LayerSpec, QuantumLayer, QuantumPointwiseConv2d
from qbackend.layers.program import Layer


@dataclass(frozen=True, eq=False)
class Part:
    """One quantum layer of a model, or one pointwise convolution with all of its kernels.

    Attributes:
        name: of the module in the model.
        module: the layer.
        layers: its circuits; none in another library's connector.
    """

    name: str
    module: nn.Module
    layers: tuple[QuantumLayer, ...]

    @property
    def spec(self) -> Layer | None:
        """What each of its circuits is."""
        return self.layers[0].spec if self.layers else None

    @property
    def is_amplitude(self) -> bool:
        """Whether features become amplitudes."""
        return isinstance(self.spec, LayerSpec) and self.spec.encoding == "amplitude"

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """What of it could be trained, by names within the model; each once."""
        return {f"{self.name}.{name}": each for name, each in self.module.named_parameters()}

    def weight(self) -> Tensor:
        """Of its first circuit, (W,), float64."""
        return self.layers[0].weight.detach().double()

    def rows(self, features: Tensor) -> Tensor:
        """What its circuits encode of what the module was given: (N, F), detached."""
        features = features.detach()
        if isinstance(self.module, QuantumPointwiseConv2d):
            return self.module.channel_vectors(features)
        return features.reshape(-1, features.shape[-1])

    def answers(self, outputs: Tensor) -> Tensor:
        """What the module gave, one row of outputs for each row of features, detached."""
        outputs = outputs.detach()
        if isinstance(self.module, QuantumPointwiseConv2d):
            outputs = outputs.movedim(1, -1)
        return outputs.reshape(-1, outputs.shape[-1])


def find_parts(model: nn.Module) -> tuple[Part, ...]:
    """The quantum parts of a model, in the order of registration."""
    found: list[Part] = []
    inside: set[nn.Module] = set()
    for name, module in model.named_modules():
        if isinstance(module, QuantumPointwiseConv2d):
            kernels = tuple(each for each in module.kernels if isinstance(each, QuantumLayer))
            inside |= set(kernels)
            found.append(Part(name, module, kernels))
        elif isinstance(module, QuantumLayer):
            if module not in inside:
                found.append(Part(name, module, (module,)))
        elif isinstance(module, TorchConnector):
            found.append(Part(name, module, ()))
    return tuple(found)


def spread_out(rows: Tensor, count: int) -> Tensor:
    """At most that many of the rows (N, F), evenly over all of them."""
    if len(rows) <= count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count).round().long()]


def some(names: list[str], most: int = 4) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - most
    return ", ".join(islice(names, most)) + (f" and {more} more" if more > 0 else "")
