"""What a layer says of its circuit, and of what its backend made of it."""

from __future__ import annotations

from unittest import mock

import pytest
from qiskit import QuantumCircuit

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.devices.snapshots import load_snapshot
from qbackend.layers.program import Layer

from ..support.awkward_circuit import own_circuit

LAYERS: dict[str, Layer] = {"catalogue": LayerSpec(3), "circuit": own_circuit()}
DEVICE = "fake_fez"


@pytest.fixture(params=LAYERS)
def spec(request: pytest.FixtureRequest) -> Layer:
    return LAYERS[request.param]


def test_the_circuit_is_the_users_own() -> None:
    spec = own_circuit()
    circuit = QuantumLayer(spec, "aer:fake_fez", seed=0).circuit()
    assert circuit == spec.circuit
    assert {p.name for p in circuit.parameters} >= {"x[0]", "w[3]"}


def test_the_circuit_of_the_catalogue() -> None:
    spec = LayerSpec(3)
    circuit = QuantumLayer(spec, "native", seed=0).circuit()
    assert circuit.count_ops() == spec.program().circuit.count_ops()
    assert circuit.num_parameters == 7 + spec.n_weights


def test_nobody_changes_ours(spec: Layer) -> None:
    layer = QuantumLayer(spec, "native", seed=0)
    circuit = layer.circuit()
    circuit.x(0)
    assert layer.circuit().size() == circuit.size() - 1


def test_what_print_shows(spec: Layer) -> None:
    layer = QuantumLayer(spec, "native", seed=0)
    for told in (
        f"{spec.n_wires} wires",
        f"{layer.circuit().size()} gates",
        f"{spec.n_features} features",
        f"{spec.n_weights} weights",
        f"{spec.n_outputs} outputs",
        "backend='native'",
        spec.title,
    ):
        assert told in repr(layer)


@pytest.mark.parametrize("backend", ["native", "aer"])
def test_a_simulator_has_no_device(spec: Layer, backend: str) -> None:
    compiled = QuantumLayer(spec, backend, seed=0).compiled
    assert compiled.device is None
    assert compiled.duration is None
    assert compiled.fidelity is None
    assert compiled.used == compiled.physical_qubits == ()
    assert "no device" in str(compiled)
    assert f"gates {compiled.gates}, depth {compiled.depth}" in str(compiled)


@pytest.mark.parametrize("backend", [f"aer:{DEVICE}", f"native:{DEVICE}", DEVICE])
def test_a_device_reports_its_qubits(spec: Layer, backend: str) -> None:
    layer = QuantumLayer(spec, backend, seed=0)
    compiled, target = layer.compiled, load_snapshot(DEVICE).target
    assert compiled.device == DEVICE
    assert len(compiled.physical_qubits) >= spec.n_wires
    fidelity = 1.0
    circuit = layer.neural_network.compiled.circuit
    assert compiled.gates == circuit.size()
    for item in _on_device(circuit, compiled.physical_qubits):
        fidelity *= 1 - target[item[0]][item[1]].error
    for qubit in compiled.physical_qubits:
        fidelity *= 1 - target["measure"][(qubit,)].error
    # Every wire of both layers is read; products of some hundred factors round.
    assert compiled.fidelity == pytest.approx(fidelity, rel=1e-12)
    said = str(compiled)
    assert repr(compiled) == said
    for qubit in compiled.physical_qubits:
        readout = 100 * target["measure"][(qubit,)].error
        t1 = 1e6 * target.qubit_properties[qubit].t1
        assert f"qubit {qubit}: readout {readout:.3g} %, T1 {t1:.0f} µs" in said
    pairs = {item[1] for item in _on_device(circuit, compiled.physical_qubits) if len(item[1]) > 1}
    for pair in pairs:
        error = 100 * target["cz"][pair].error
        assert f"cz on qubits {pair[0]}, {pair[1]}: {error:.3g} %" in said
    assert said.count("cz on") == len(pairs)
    assert f"expected fidelity {compiled.fidelity:.3f}" in said


def _on_device(
    circuit: QuantumCircuit, physical: tuple[int, ...]
) -> list[tuple[str, tuple[int, ...]]]:
    """The gates with the device's qubits, whether or not the circuit is over those in use alone."""
    numbers = physical if circuit.num_qubits == len(physical) else range(circuit.num_qubits)
    return [
        (item.operation.name, tuple(numbers[circuit.find_bit(q).index] for q in item.qubits))
        for item in circuit.data
    ]


def test_a_machine_is_not_asked(spec: Layer) -> None:
    """A layer from the ledger is known without its machine; so is what can be said of it."""
    backend = get_backend(DEVICE)
    layer = QuantumLayer(spec, backend, seed=0)
    with mock.patch.object(type(backend), "known_device", return_value=None):
        compiled = layer.compiled
    assert compiled.properties is None
    assert "layer.backend.reported_device()" in str(compiled)
    assert compiled.fidelity == layer.compiled.fidelity
