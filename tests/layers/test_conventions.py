"""Outputs and gradients equal PennyLane's: the conventions that a caller can rely on."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qbackend import LayerSpec, QuantumLayer
from qbackend.layers.ansatze import Cnots

from ..support.cases import ANSATZE, ENCODINGS, MACHINE, features, weights


def pennylane_layer(spec: LayerSpec, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The same layer by PennyLane's templates and backpropagation, (B, M)."""
    wires = range(spec.n_wires)

    @qml.qnode(qml.device("default.qubit", wires=spec.n_wires), interface="torch")
    def circuit(row: torch.Tensor) -> list[object]:
        if spec.encoding == "amplitude":
            qml.StatePrep(row / torch.linalg.norm(row), wires=wires)
        else:
            qml.AngleEmbedding(row, wires=wires, rotation="Y")
        if spec.ansatz == "strongly_entangling":
            shaped = w.reshape(spec.n_layers, spec.n_wires, 3)
            qml.StronglyEntanglingLayers(shaped, wires=wires)
        elif spec.ansatz == "basic_entangler":
            shaped = w.reshape(spec.n_layers, spec.n_wires)
            qml.BasicEntanglerLayers(shaped, wires=wires, rotation=qml.RX)
        elif spec.ansatz == "unentangled":
            for layer in w.reshape(spec.n_layers, spec.n_wires, 3):
                for wire, angles in enumerate(layer):
                    qml.Rot(*angles, wires=wire)
        else:
            for layer in w.reshape(spec.n_layers, spec.n_wires):
                for wire, angle in enumerate(layer):
                    qml.RX(angle, wires=wire)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    return torch.stack([torch.stack(list(circuit(row))) for row in x])


@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", range(1, 11))
def test_equals_pennylane(backend: str, encoding: str, ansatz: str, n_wires: int) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz, n_layers=3 if n_wires < 6 else 2)
    x = torch.tensor(features(spec, 3, seed=n_wires), requires_grad=True)
    w = torch.tensor(weights(spec, seed=n_wires), requires_grad=True)
    cotangent = torch.tensor(np.random.default_rng(0).normal(size=(3, spec.n_outputs)))
    expected = pennylane_layer(spec, x, w)
    of_x, of_w = torch.autograd.grad(expected, (x, w), cotangent)

    layer = QuantumLayer(spec, backend).double()
    layer.weight.data.copy_(w.detach())
    values = layer(x)
    gradients = torch.autograd.grad(values, (x, layer.weight), cotangent)
    torch.testing.assert_close(values, expected, atol=MACHINE, rtol=0)
    torch.testing.assert_close(gradients[0], of_x, atol=MACHINE, rtol=0)
    torch.testing.assert_close(gradients[1], of_w, atol=MACHINE, rtol=0)


@given(n_wires=st.integers(1, 5), seed=st.integers(0, 2**31), encoding=st.sampled_from(ENCODINGS))
def test_aer_equals_native(n_wires: int, seed: int, encoding: str) -> None:
    spec = LayerSpec(n_wires, encoding, "strongly_entangling", 2)
    x = torch.tensor(features(spec, 4, seed))
    one = QuantumLayer(spec, "aer", seed=seed % 1000).double()
    other = QuantumLayer(spec, "native", seed=seed % 1000).double()
    torch.testing.assert_close(one(x), other(x), atol=MACHINE, rtol=0)


@pytest.mark.parametrize("backend", ["aer", "native"])
def test_observables_may_be_any_z_string(backend: str) -> None:
    spec = LayerSpec(3, observables=("ZZI", "IIZ", "ZZZ", "III"))
    x, w = features(spec, 3, 1), weights(spec, 1)
    layer = QuantumLayer(spec, backend).double()
    single = QuantumLayer(LayerSpec(3), backend).double()
    layer.weight.data.copy_(torch.tensor(w))
    single.weight.data.copy_(torch.tensor(w))
    values = layer(torch.tensor(x))
    assert values.shape == (3, 4)
    torch.testing.assert_close(values[:, 1], single(torch.tensor(x))[:, 2], atol=MACHINE, rtol=0)
    torch.testing.assert_close(values[:, 3], torch.ones(3).double(), atol=MACHINE, rtol=0)


def test_rings() -> None:
    def pairs(n_wires: int, ansatz: str) -> list[tuple[tuple[int, int], ...]]:
        spec = LayerSpec(n_wires, ansatz=ansatz, n_layers=2)
        return [op.pairs for op in spec.operations if isinstance(op, Cnots)]

    assert pairs(1, "basic_entangler") == pairs(1, "strongly_entangling") == []
    assert pairs(2, "basic_entangler") == [((0, 1),)] * 2
    assert pairs(2, "strongly_entangling") == [((0, 1), (1, 0))] * 2
    assert pairs(3, "basic_entangler") == [((0, 1), (1, 2), (2, 0))] * 2
    assert pairs(3, "strongly_entangling")[1] == ((0, 2), (1, 0), (2, 1))
    assert pairs(3, "rotation_only") == pairs(3, "unentangled") == []
