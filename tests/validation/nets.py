"""Small models of a user's own, and data for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import Tensor, nn

from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.seam.jobs import Job
from qbackend.seam.requests import Request

HASTE = {"poll": (0.02, 0.05)}
N_ITEMS, N_FEATURES = 12, 5
CLOSE = 1e-5
"""Of float32 networks around circuits in float64."""


def own_circuit() -> CircuitLayer:
    """Two wires, read in two bases."""
    x, w, circuit = ParameterVector("x", 2), ParameterVector("w", 2), QuantumCircuit(2)
    circuit.ry(x[0], 0)
    circuit.ry(x[1], 1)
    circuit.cx(0, 1)
    circuit.rx(w[0], 0)
    circuit.ry(w[1], 1)
    return CircuitLayer(circuit, features=[x], weights=[w], observables=["IZ", "XX"])


class TwoLayers(nn.Module):
    """A layer of the catalogue, and behind it a circuit; with all that evaluation mode is for."""

    def __init__(self, n_outputs: int = 3, *, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.front = nn.Sequential(nn.Linear(N_FEATURES, 3), nn.BatchNorm1d(3), nn.Tanh())
        spec = LayerSpec(n_wires=3, encoding="angle", ansatz="basic_entangler", n_layers=1)
        self.first = QuantumLayer(spec, backend="aer", seed=1)
        self.between = nn.Linear(3, 2)
        self.second = QuantumLayer(own_circuit(), backend="aer", seed=2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(2, n_outputs)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.between(self.first(self.front(features)))
        return self.head(self.drop(self.second(hidden)))


class OneLayer(nn.Module):
    """A circuit of two wires between two maps."""

    def __init__(self, n_outputs: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.front = nn.Linear(N_FEATURES, 2)
        self.circuit = QuantumLayer(own_circuit(), backend="aer", seed=3)
        self.head = nn.Linear(2, n_outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.circuit(self.front(features)))


def batches(targets: Tensor | None = None, *, size: int = 5) -> list[tuple[Tensor, Tensor]]:
    """Items in batches, with classes 0 to 2 unless targets are given."""
    inputs = torch.randn(N_ITEMS, N_FEATURES, generator=torch.Generator().manual_seed(7))
    truth = torch.arange(N_ITEMS) % 3 if targets is None else targets
    return list(zip(inputs.split(size), truth.split(size), strict=True))


def plain_outputs(model: nn.Module, data: list[tuple[Tensor, Tensor]]) -> Tensor:
    """What the model answers where nothing stands in its way."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(inputs) for inputs, _ in data])
    model.train(was_training)
    return found


def yes(cost: Any) -> bool:
    """To every plan."""
    return True


class Counted:
    """Counts the requests of a backend, and their rows."""

    def __init__(self, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        submit = backend.submit

        def counted(request: Request) -> Job:
            self.rows.append(len(request.parameters))
            return submit(request)

        monkeypatch.setattr(backend, "submit", counted)
