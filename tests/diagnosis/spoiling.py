"""Ways to spoil the healthy network or its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import real_amplitudes, z_feature_map
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from torch import Tensor, nn
from torch.nn import functional

from experiments.diagnosis.subject import Samples, Subject
from qbackend import CircuitLayer, NoiseSpec, get_backend

from .healthy import CHANNELS, SIDE, K, Net, bounded, samples, subject


def net(**changes: Any) -> Callable[[], Subject]:
    return lambda: subject(Net(**changes))


def with_training(change: Callable[[Samples], Samples]) -> Callable[[], Subject]:
    return lambda: subject(splits={"training": change(samples(600, 1))})


def through_numpy(features: Tensor) -> Tensor:
    return torch.from_numpy(np.tanh(features.detach().numpy()))


def over_the_batch(features: Tensor) -> Tensor:
    """As the published code scales the angles of arXiv 2509.13353."""
    return np.pi * features / features.abs().max()


def by_itself(features: Tensor) -> Tensor:
    return np.pi * 0.9 * features / features.abs().amax(dim=1, keepdim=True)


def scaled(factor: float, bias: float = 0.0, between: Any = bounded) -> Callable[[], Subject]:
    def build() -> Subject:
        model = Net(between)
        with torch.no_grad():
            model.front.weight *= factor
            model.front.bias += bias
        return subject(model)

    return build


def circuit(turned: str, feature_on: int = 1) -> CircuitLayer:
    """Two qubits; the last gate before the measurement is RX or RZ."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 3)
    made = QuantumCircuit(2)
    made.ry(x[0], 0)
    made.ry(x[1], feature_on)
    made.ry(w[0], 0)
    made.cx(0, 1)
    made.ry(w[1], 1)
    getattr(made, turned)(w[2], 0)
    return CircuitLayer(made, features=list(x), weights=list(w))


def blind() -> CircuitLayer:
    """A second qubit that nothing of reaches the observable."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 1)
    made = QuantumCircuit(2)
    made.ry(x[0], 0)
    made.ry(x[1], 1)
    made.ry(w[0], 0)
    return CircuitLayer(made, features=list(x), weights=list(w), observables=["IZ"])


class Connected(nn.Module):
    """Of qiskit-machine-learning; without `input_gradients` its front learns nothing."""

    def __init__(self, input_gradients: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        feature_map, ansatz = z_feature_map(2, 1), real_amplitudes(2, reps=1)
        made = QuantumCircuit(2)
        made.compose(feature_map, inplace=True)
        made.compose(ansatz, inplace=True)
        network = EstimatorQNN(
            circuit=made,
            input_params=list(feature_map.parameters),
            weight_params=list(ansatz.parameters),
            input_gradients=input_gradients,
        )
        self.front = nn.Linear(CHANNELS * SIDE**2, 2)
        self.circuit = TorchConnector(network)
        self.head = nn.Linear(1, K)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.circuit(torch.tanh(self.front(images.flatten(1)))))


def connected(input_gradients: bool) -> Callable[[], Subject]:
    def build() -> Subject:
        found = subject(Connected(input_gradients))
        assert found.targets is not None
        return replace(found, inputs=found.inputs[:6], targets=found.targets[:6])

    return build


def on_device(noise: NoiseSpec) -> Callable[[], Subject]:
    backend = get_backend("aer:fake_manila", noise=noise)
    return lambda: subject(backends={"circuit": backend})


def under_model(gates: list[str]) -> Callable[[], Subject]:
    def build() -> Subject:
        model = NoiseModel(basis_gates=["rx", "ry", "rz", "sx", "cx", "h", "swap"])
        for gate in gates:
            n = 2 if gate in ("cx", "swap") else 1
            model.add_all_qubit_quantum_error(depolarizing_error(0.05, n), gate)
        return subject(backends={"circuit": get_backend(AerSimulator(noise_model=model))})

    return build


def with_optimiser(chosen: Callable[[Net], list[Any]]) -> Callable[[], Subject]:
    def build() -> Subject:
        model = Net()
        return subject(model, optimiser=torch.optim.Adam(chosen(model)))

    return build


def frozen(is_frozen: bool) -> Callable[[], Subject]:
    def build() -> Subject:
        model = Net()
        model.circuit.requires_grad_(False)
        return subject(model, is_frozen=is_frozen)

    return build


def in_bytes(samples: Samples) -> Samples:
    return Samples((samples.inputs * 40 + 128).clamp(0, 255).round(), samples.targets)


def with_nan(samples: Samples) -> Samples:
    inputs = samples.inputs.clone()
    inputs[3, 0, 0, 0] = torch.nan
    return Samples(inputs, samples.targets)


def with_still_channel(samples: Samples) -> Samples:
    inputs = samples.inputs.clone()
    inputs[:, 1] = 0.25
    return Samples(inputs, samples.targets)


def without_class(samples: Samples) -> Samples:
    kept = samples.targets != 2
    return Samples(samples.inputs[kept], samples.targets[kept])


def shuffled(samples: Samples) -> Samples:
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(11))
    return Samples(samples.inputs, samples.targets[order])


def lopsided(samples: Samples) -> Samples:
    kept = (samples.targets == 0) | (torch.arange(len(samples)) % 10 == 0)
    return Samples(samples.inputs[kept], samples.targets[kept])


def one_hot(kind: torch.dtype) -> Callable[[], Subject]:
    def build() -> Subject:
        found = subject()
        assert found.targets is not None
        return replace(found, targets=functional.one_hot(found.targets, K).to(kind))

    return build


def with_copies(n: int) -> Callable[[], Subject]:
    def build() -> Subject:
        train, other = samples(600, 1), samples(120, 2)
        inputs, targets = other.inputs.clone(), other.targets.clone()
        inputs[:n], targets[:n] = train.inputs[:n], train.targets[:n]
        return subject(splits={"training": train, "validation": Samples(inputs, targets)})

    return build


def louder_head() -> Subject:
    model = Net()
    with torch.no_grad():
        model.head.weight *= 100
    return subject(model)


def half_precision(features: Tensor) -> Tensor:
    return bounded(features).half()


class FullHead(nn.Linear):
    """A head that takes half precision."""

    def forward(self, outputs: Tensor) -> Tensor:
        return super().forward(outputs.float())


def whole_numbers() -> Subject:
    return subject(inputs=samples(64, 1).inputs.round().long())


class Detached(nn.Module):
    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.detach()


def with_spare(model: Net) -> Net:
    model.spare = nn.Parameter(torch.zeros(2))
    return model
