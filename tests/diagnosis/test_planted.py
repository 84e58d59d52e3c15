"""Every planted defect is named by its check, and its repaired twin is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
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

from experiments.diagnosis.diagnose import CHECKS, diagnose
from experiments.diagnosis.findings import Severity
from experiments.diagnosis.subject import Samples, Subject
from qbackend import CircuitLayer, LayerSpec, NoiseSpec, get_backend

from .healthy import AMPLITUDES, CHANNELS, SIDE, SPEC, K, Net, bounded, same, samples, subject

OFF = NoiseSpec(one_qubit=0, two_qubit=0, relaxation=0, readout=0, idle=0)


@dataclass(frozen=True)
class Plant:
    """A defect.

    Attributes:
        check: that has to name it.
        severity: as what.
        words: in what it says.
        spoiled: with the defect.
        repaired: without.
    """

    check: str
    severity: Severity
    words: str
    spoiled: Callable[[], Subject]
    repaired: Callable[[], Subject] = subject


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


PLANTS = {
    "detached": Plant(
        "gradients", "defect", "requires_grad=False", net(between=lambda f: bounded(f).detach())
    ),
    "through numpy": Plant("gradients", "defect", "autograd was left", net(between=through_numpy)),
    "rounded": Plant(
        "gradients", "defect", "torch.round", net(between=lambda f: torch.round(bounded(f)))
    ),
    "argmax": Plant(
        "gradients",
        "defect",
        "in front of the quantum layer",
        net(between=lambda f: functional.one_hot(f.argmax(dim=1), f.shape[1]).float()),
    ),
    "no input gradients": Plant(
        "gradients", "defect", "input_gradients=True", connected(False), connected(True)
    ),
    "outputs detached": Plant(
        "gradients",
        "defect",
        "comes back to the quantum layer",
        lambda: subject(Net(head=nn.Sequential(Detached(), nn.Linear(SPEC.n_outputs, K)))),
    ),
    "unused tensor": Plant(
        "gradients", "warning", "spare: None", lambda: subject(with_spare(Net()))
    ),
    "not in the optimiser": Plant(
        "optimiser",
        "defect",
        "missing from the optimiser",
        with_optimiser(lambda m: [*m.front.parameters(), *m.head.parameters()]),
    ),
    "learning rate 0": Plant(
        "optimiser",
        "defect",
        "learning rate of quantum weights is zero",
        with_optimiser(
            lambda m: [
                {"params": m.circuit.parameters(), "lr": 0.0},
                {"params": [*m.front.parameters(), *m.head.parameters()]},
            ]
        ),
    ),
    "frozen circuit": Plant(
        "optimiser", "warning", "weights are frozen", frozen(False), frozen(True)
    ),
    "scaled over the batch": Plant(
        "neighbours",
        "defect",
        "depends on its batch in evaluation",
        net(between=over_the_batch),
        net(between=by_itself),
    ),
    "softmax over the batch": Plant(
        "neighbours",
        "defect",
        "depends on its batch in evaluation",
        net(between=lambda f: 3 * f.softmax(dim=0)),
        net(between=lambda f: 3 * f.softmax(dim=1)),
    ),
    "dropout that never ends": Plant(
        "neighbours",
        "defect",
        "two equal calls",
        net(between=lambda f: bounded(functional.dropout(f, 0.5))),
        lambda: subject(Net(head=nn.Sequential(nn.Dropout(0.5), nn.Linear(SPEC.n_outputs, K)))),
    ),
    "softmax before amplitudes": Plant(
        "softmax",
        "warning",
        "nearly the uniform one",
        net(between=lambda f: f.softmax(dim=1), spec=AMPLITUDES),
        net(between=same, spec=AMPLITUDES),
    ),
    "strengths of 0": Plant("noise", "defect", "is off", on_device(OFF), on_device(NoiseSpec())),
    "errors on absent gates": Plant(
        "noise", "warning", "swap", under_model(["rx", "swap"]), under_model(["rx", "cx"])
    ),
    "no error on any gate": Plant(
        "noise", "defect", "acts on no gate", under_model(["swap"]), under_model(["cx"])
    ),
    "plateau": Plant(
        "plateau",
        "warning",
        "drown in the noise",
        net(spec=LayerSpec(12, encoding="angle", n_layers=1, observables=("Z" * 12,))),
    ),
    "saturated": Plant("saturation", "warning", "tanh is at its limits", scaled(500), scaled(1)),
    "saturated sigmoid": Plant(
        "saturation",
        "warning",
        "sigmoid is at its limits",
        scaled(1e3, between=torch.sigmoid),
        scaled(1, between=torch.sigmoid),
    ),
    "dead ReLU": Plant(
        "saturation",
        "defect",
        "is dead",
        scaled(1, -1e3, between=torch.relu),
        scaled(1, 0.5, between=torch.relu),
    ),
    "nothing arrives": Plant(
        "saturation", "defect", "same features for every sample", scaled(0, between=same)
    ),
    "narrow front": Plant(
        "saturation",
        "warning",
        "features of 'circuit' are 1 in truth",
        net(between=lambda f: 0.5 * f[:, :1] * torch.tensor([1.0, -0.7, 0.3])),
    ),
    "bytes": Plant("inputs", "warning", "not normalised", with_training(in_bytes)),
    "NaN": Plant("inputs", "defect", "NaN", with_training(with_nan)),
    "a channel of one value": Plant(
        "inputs", "warning", "channels are constant", with_training(with_still_channel)
    ),
    "angles beyond a turn": Plant(
        "inputs", "warning", "come round", net(between=lambda f: 20 * f), net(between=bounded)
    ),
    "test in bytes": Plant(
        "inputs",
        "defect",
        "test inputs are scaled otherwise",
        lambda: subject(splits={"test": in_bytes(samples(120, 3))}),
    ),
    "labels from 1": Plant(
        "labels",
        "defect",
        "out of range",
        with_training(lambda s: Samples(s.inputs, s.targets + 1)),
    ),
    "one-hot integers": Plant(
        "labels", "defect", "one-hot", one_hot(torch.int64), one_hot(torch.float32)
    ),
    "a class missing": Plant(
        "labels", "defect", "no training sample", with_training(without_class)
    ),
    "labels shuffled": Plant(
        "labels", "warning", "nothing to do with the inputs", with_training(shuffled)
    ),
    "one class in most": Plant(
        "labels", "note", "equally frequent", with_training(lopsided), with_training(lambda s: s)
    ),
    "copies in validation": Plant(
        "duplicates", "warning", "are training samples too", with_copies(30), with_copies(0)
    ),
    "RZ before Z": Plant(
        "dead", "warning", "numbers 2", net(spec=circuit("rz")), net(spec=circuit("rx"))
    ),
    "a feature unseen": Plant("dead", "warning", "nothing depends on 1 feature", net(spec=blind())),
    "outputs unread": Plant("dead", "warning", "nobody reads 1 of 3", net(reads=2), net(reads=3)),
    "softmax twice": Plant(
        "loss", "defect", "softmax twice", net(behind=lambda logits: logits.softmax(dim=1))
    ),
    "values as logits": Plant("loss", "warning", "taken for logits", net(head=nn.Identity())),
    "loud head": Plant("loss", "warning", "far above", louder_head),
    "half precision": Plant(
        "dtypes",
        "warning",
        "torch.float16",
        net(between=half_precision, head=FullHead(SPEC.n_outputs, K)),
    ),
    "whole numbers": Plant("dtypes", "warning", "torch.int64", whole_numbers),
}


class Detached(nn.Module):
    def forward(self, outputs: Tensor) -> Tensor:
        return outputs.detach()


def with_spare(model: Net) -> Net:
    model.spare = nn.Parameter(torch.zeros(2))
    return model


def said(found: Any) -> str:
    return "\n".join((found.what, *found.evidence, found.advice))


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_named(name: str) -> None:
    plant = PLANTS[name]
    checked = {each.name: each.outcome for each in diagnose(plant.spoiled(), [plant.check])}
    found = checked[plant.check].findings
    assert [each.severity for each in found if plant.words in said(each)] == [plant.severity], found


@pytest.mark.parametrize("name", PLANTS)
def test_its_repaired_twin_is_not(name: str) -> None:
    plant = PLANTS[name]
    (checked,) = diagnose(plant.repaired(), [plant.check])
    assert checked.outcome.findings == ()


def test_nothing_is_wrong_with_a_network_in_which_nothing_is() -> None:
    checked = diagnose(subject())
    assert [each.name for each in checked] == list(CHECKS)
    assert [each.outcome.findings for each in checked] == [()] * len(CHECKS)


def test_every_check_has_a_plant() -> None:
    assert {plant.check for plant in PLANTS.values()} == set(CHECKS)
