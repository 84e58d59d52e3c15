"""RZZ by any angle is executed by one that is calibrated, whatever the row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import zz_feature_map
from qiskit.quantum_info import Operator

from qbackend import CircuitLayer, LayerSpec, NoiseSpec, QuantumLayer
from qbackend.aer.noisy import AerNoisy
from qbackend.circuits.device_form import compile_for_target, fractional_words
from qbackend.circuits.fractional import (
    constants_folded,
    executed_rows,
    without_fractional_gates,
)
from qbackend.devices.snapshots import load_snapshot
from qbackend.layers.inputs import Array
from qbackend.native.noisy import NativeNoisy
from qbackend.seam.requests import CompiledLayer, Request

FAKE = "fake_fez"
ROUNDING = 1e-10
QUARTERS = [step * math.pi / 2 for step in range(-9, 10)]
ANGLES = [
    *QUARTERS,
    *(angle + nudge for angle in QUARTERS for nudge in (-1e-3, -1e-9, 1e-9, 1e-3)),
    *np.random.default_rng(0).uniform(-20, 20, 30),
]
NO_NOISE = NoiseSpec(one_qubit=0, two_qubit=0, relaxation=0, readout=0)
TARGET = load_snapshot(FAKE, fractional_gates=True).target


def own_layer() -> CircuitLayer:
    """Rotations about two Paulis by features and weights, controlled ones among them."""
    x, w = ParameterVector("x", 3), ParameterVector("w", 5)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
    for pair in range(2):
        circuit.rxx(w[pair], pair, pair + 1)
        circuit.crx(w[2 + pair], pair, pair + 1)
    circuit.rzz(w[4] * x[0], 0, 1)
    circuit.rzz(-0.4, 1, 2)
    circuit.h(0)
    return CircuitLayer(circuit, features=x, weights=w)


def compiled(layer: CircuitLayer | LayerSpec) -> CompiledLayer:
    return compile_for_target(layer, TARGET, device=FAKE)


def rzz_angles(circuit: QuantumCircuit) -> list[float]:
    return [
        float(each.operation.params[0]) for each in circuit.data if each.operation.name == "rzz"
    ]


@pytest.mark.parametrize("slope", [1, -2])
def test_every_angle_folds(slope: int) -> None:
    angle = Parameter("angle")
    circuit = QuantumCircuit(3)
    circuit.rzz(slope * angle - 0.25, 1, 0)
    circuit.rzz(slope * angle - 0.25, 1, 2)
    rows = (np.array(ANGLES)[:, None] + 0.25) / slope
    sent, values = executed_rows(circuit, rows)
    # Two gates by one angle share its three parts.
    assert values.shape == (len(rows), 3)
    for row, numbers in zip(rows, values, strict=True):
        asked = circuit.assign_parameters(row)
        for bound in (sent.assign_parameters(numbers), constants_folded(asked)):
            assert Operator(bound).equiv(Operator(asked), atol=ROUNDING)
            assert all(0 <= angle <= math.pi / 2 for angle in rzz_angles(bound))
            assert bound.count_ops()["rzz"] == 2


def test_a_circuit_without_open_rzz_is_sent_as_it_is() -> None:
    layer = compiled(LayerSpec(3))
    rows = np.zeros((2, layer.circuit.num_parameters))
    sent, values = executed_rows(layer.circuit, rows)
    assert sent is layer.circuit
    assert values is rows


def test_half_the_two_qubit_gates_of_rotations_about_two_paulis() -> None:
    comparison = compiled(own_layer()).record["fractional_gates"]
    assert comparison["used"]
    # Six rotations, of two CNOTs each.
    assert comparison["with"]["two_qubit_gates"] == 6
    assert comparison["without"]["two_qubit_gates"] == 12
    assert comparison["with"]["pulses"] < comparison["without"]["pulses"]
    features = zz_feature_map(3, reps=2, entanglement="linear")
    layer = compiled(CircuitLayer(features, features=list(features.parameters)))
    assert layer.circuit.count_ops()["rzz"] == layer.record["two_qubit_gates"] == 4
    assert "4 (8) two-qubit gates" in fractional_words(layer.record)


def test_the_published_layer_keeps_its_two_qubit_gates_and_loses_pulses() -> None:
    layer = compiled(LayerSpec(4, n_layers=2))
    comparison = layer.record["fractional_gates"]
    assert (comparison["with"]["two_qubit_gates"], layer.record["two_qubit_gates"]) == (11, 11)
    # 23 rotations, two pulses each but where constant gates beside them take one away.
    assert comparison["with"]["pulses"] < 2 / 3 * comparison["without"]["pulses"]
    assert comparison["with"]["duration"] < comparison["without"]["duration"]
    assert fractional_words(layer.record).endswith(": no two-qubit gate less")


def test_nothing_gained_is_said_and_left_out() -> None:
    circuit = QuantumCircuit(2)
    circuit.cz(0, 1)
    layer = compiled(CircuitLayer(circuit, features=[]))
    assert not layer.record["fractional_gates"]["used"]
    assert "nothing gained, the layer is compiled without them" in fractional_words(layer.record)


def test_without_them_a_device_is_what_it_was() -> None:
    found = [
        compile_for_target(LayerSpec(4), target, device=FAKE)
        for target in (without_fractional_gates(TARGET), load_snapshot(FAKE).target)
    ]
    back, plain = (
        made.circuit.assign_parameters(
            dict(zip(made.parameters, map(float, range(23)), strict=True))
        )
        for made in found
    )
    assert back == plain
    assert found[0].record == found[1].record
    assert fractional_words(found[0].record) == ""


def values_under(
    kind: type[AerNoisy | NativeNoisy], layer: CircuitLayer | LayerSpec, noise: NoiseSpec | None
) -> Array:
    backend = kind(load_snapshot(FAKE, fractional_gates=True), noise)
    rng = np.random.default_rng(5)
    features = rng.normal(size=(4, layer.n_features))
    made = backend.compile(layer)
    rows = made.rows(features, rng.uniform(-4, 4, layer.n_weights))
    return backend.evaluate(Request(made, rows)).values


def test_the_noise_model_knows_them() -> None:
    backend = AerNoisy(load_snapshot(FAKE, fractional_gates=True))
    model = backend.compile(own_layer()).model  # type: ignore[attr-defined]
    assert {"rx", "rzz"} <= {gate for gate, _ in model.channels}
    for layer in (own_layer(), LayerSpec(3, n_layers=2)):
        one, other = (values_under(kind, layer, None) for kind in (AerNoisy, NativeNoisy))
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("weight", [0.0, math.pi / 2, -math.pi / 2, 2.5])
def test_values_and_gradients_are_the_layers(weight: float) -> None:
    """Also where an angle is a quarter turn, and its shifts are quarter turns."""
    import torch

    device = load_snapshot(FAKE, fractional_gates=True)
    features = torch.tensor([[1.0, -0.4, 0.8], [math.pi / 2, 0.0, 3.0]], dtype=torch.float64)
    found = []
    for backend in ("native", AerNoisy(device, NO_NOISE)):
        layer = QuantumLayer(own_layer(), backend=backend).double()
        with torch.no_grad():
            layer.weight.fill_(weight)
        x = features.clone().requires_grad_()
        values = layer(x)
        values.sum().backward()
        assert layer.weight.grad is not None
        assert x.grad is not None
        found.append((values.detach(), layer.weight.grad, x.grad))
    for exact, executed in zip(*found, strict=True):
        np.testing.assert_allclose(executed, exact, atol=1e-8)
