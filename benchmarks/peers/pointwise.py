"""The pointwise convolution as PennyLane's users would write it, by its own templates.

One `TorchLayer` per kernel over all of a batch's pixels at once, which `default.qubit` carries as
one array, differentiated by backpropagation.
https://docs.pennylane.ai/en/stable/code/api/pennylane.qnn.TorchLayer.html
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PennyLanePointwise(nn.Module):
    """(B, C, H, W) -> (B, M, H, W), float32.

    Args:
        in_channels: C.
        out_channels: M.
        depth: strongly entangling layers of each kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        import pennylane as qml

        n_wires = max(1, (in_channels - 1).bit_length())
        shapes = {"weights": (depth, n_wires, 3)}
        self.out_channels = out_channels
        self.kernels = nn.ModuleList(
            qml.qnn.TorchLayer(_circuit(n_wires), shapes)
            for _ in range(-(-out_channels // n_wires))
        )

    def forward(self, images: Tensor) -> Tensor:
        """The maps."""
        rows = images.flatten(2).transpose(1, 2).flatten(0, 1)
        values = torch.cat([kernel(rows) for kernel in self.kernels], dim=1)
        maps = values[:, : self.out_channels].unflatten(0, (len(images), -1)).transpose(1, 2)
        return maps.unflatten(2, images.shape[2:]).to(images.dtype)


def _circuit(n_wires: int) -> Any:
    import pennylane as qml

    wires = range(n_wires)

    @qml.qnode(
        qml.device("default.qubit", wires=n_wires), interface="torch", diff_method="backprop"
    )
    def circuit(inputs: Any, weights: Any) -> Any:
        qml.AmplitudeEmbedding(inputs, wires=wires, normalize=True, pad_with=0.0)
        qml.StronglyEntanglingLayers(weights, wires=wires)
        return [qml.expval(qml.Z(wire)) for wire in wires]

    return circuit
