"""A small network, data, loss and metric such as users have, as files."""

from __future__ import annotations

from pathlib import Path

NET = """
import torch
from torch import nn

from angles import to_angles
from qbackend import LayerSpec, QuantumLayer

ARMS = ("quantum", "linear")


class Net(nn.Module):
    def __init__(self, n_inputs, n_classes, arm, width):
        super().__init__()
        spec = LayerSpec(width, encoding="angle", n_layers=1)
        layers = [QuantumLayer(spec) if arm == "quantum" else nn.Linear(width, width) for _ in "ab"]
        self.reduce, self.layers = nn.Linear(n_inputs, width), nn.ModuleList(layers)
        self.head = nn.Linear(width, n_classes)

    def forward(self, inputs):
        found = self.reduce(inputs)
        for layer in self.layers:
            found = layer(to_angles(found))
        return self.head(found)


def build(shape, n_classes, arm, width=2):
    return Net(shape[0], n_classes, arm, width)
"""
ANGLES = """
import torch


def to_angles(values):
    return torch.pi * torch.tanh(values)
"""
DATA = """
import torch
from torch.utils.data import TensorDataset


def load(n=60, features=5):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(n, features, generator=generator)
    labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.5).long()
    train = TensorDataset(inputs[: n // 2], labels[: n // 2])
    train.classes = ["low", "middle", "high"]
    return train, TensorDataset(inputs[n // 2 :], labels[n // 2 :])
"""
SEEDED_DATA = DATA.replace(
    "def load(n=60, features=5):", "def load(seed, n=60, features=5, shift=0.0):"
).replace(
    "    train = TensorDataset",
    "    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))\n"
    "    inputs, labels = inputs[order] + shift, labels[order]\n"
    "    train = TensorDataset",
)
"""The same, divided by the seed that it gets."""
LOSS = """
from torch.nn import functional


def doubled(logits, labels):
    return 2 * functional.cross_entropy(logits, labels)


def margin(logits, labels):
    top = logits.topk(2).values
    return (top[:, 0] - top[:, 1]).mean()
"""
RECIPE = """
[data]
factory = "my_data.py:load"

[model]
factory = "my_net.py:build"

[train]
epochs = 2
batch_size = 8
lr = 0.02
loss = "my_loss.py:doubled"
metrics = ["my_loss.py:margin"]
"""
FILES = {
    "my_net.py": NET,
    "angles.py": ANGLES,
    "my_data.py": DATA,
    "my_loss.py": LOSS,
    "mine.toml": RECIPE,
}


def write_own(folder: Path = Path()) -> None:
    """All of them."""
    for name, text in FILES.items():
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
