"""An `AerSimulator` with the user's own noise: what that does to a layer, exact and sampled."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import DensityMatrix, Pauli, SparsePauliOp, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveDensityMatrix
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
)
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from qbackend import CircuitLayer, LayerSpec, QuantumLayer, get_backend
from qbackend.errors import OptionError
from qbackend.gradients.plans import check_rotations
from qbackend.layers.inputs import Array
from qbackend.layers.program import ROTATION_ANGLES, Layer
from qbackend.seam.requests import Request

from ..support.cases import MACHINE, features, weights
from ..support.evolution import values_under
from ..support.small_circuits import LAYERS, feature_map_and_ansatz

EXACT = 1e-8
SHOTS = 16_000
MISREAD = ReadoutError([[0.92, 0.08], [0.06, 0.94]])

GATES = {
    "rotations": ["rx", "ry", "rz", "cx"],
    "the circuit's": ["h", "p", "ry", "cx"],
    "heron": ["sx", "x", "cz"],
    "u3": ["u1", "u2", "u3", "cx"],
    "u": ["u", "cz"],
    "r": ["r", "cz"],
    "couplings": ["rxx", "ryy", "rzz", "rzx"],
    "controlled": ["cp", "crx", "ry", "cx"],
}


def depolarizing(gates: list[str], named: list[str] | None = None) -> NoiseModel:
    """Depolarising, damped on single qubits, and misread."""
    model, known = NoiseModel(basis_gates=named), get_standard_gate_name_mapping()
    for name in gates:
        if known[name].num_qubits == 1:
            error = depolarizing_error(0.01, 1).compose(amplitude_damping_error(0.02))
        else:
            error = depolarizing_error(0.04, 2)
        model.add_all_qubit_quantum_error(error, name)
    model.add_all_qubit_readout_error(MISREAD)
    return model


def inputs(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1.5, 1.5, (2, layer.n_features))
    return torch.tensor(x), torch.tensor(rng.uniform(-2, 2, layer.n_weights))


def on(
    layer: Layer, simulator: AerSimulator, shots: int | None = None, seed: int = 5
) -> QuantumLayer:
    made = QuantumLayer(layer, backend=simulator, shots=shots, seed=seed).double()
    with torch.no_grad():
        made.weight.copy_(inputs(layer)[1])
    return made


def values(made: QuantumLayer) -> Array:
    with torch.no_grad():
        return made(inputs(made.spec)[0]).numpy()


def rows(made: QuantumLayer) -> Array:
    x, w = inputs(made.spec)
    return made.neural_network.compiled.rows(x.numpy(), w.numpy())


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("gates", GATES)
def test_exact_values_and_samples(gates: str, kind: str) -> None:
    model, layer = depolarizing(GATES[gates]), LAYERS[kind]()
    simulator = AerSimulator(noise_model=model)
    made, sampled = on(layer, simulator), on(layer, simulator, SHOTS)
    compiled = made.neural_network.compiled
    expected = values_under(model, compiled, rows(made))
    np.testing.assert_allclose(values(made), expected, atol=EXACT)
    ideal = values(on(layer, AerSimulator()))
    assert np.abs(expected - ideal)[:, :3].max() > 0.02, "the noise is off"
    result = sampled.backend.evaluate(
        Request(sampled.neural_network.compiled, rows(sampled), shots=SHOTS, seed=1)
    )
    assert (np.abs(result.values - expected) <= 5 * result.stderr + EXACT).all()
    assert (np.abs(result.values - ideal) > 5 * result.stderr).any(), "the noise is off"


@pytest.mark.parametrize("gates", GATES)
def test_gates_with_errors_come_first(gates: str) -> None:
    """What the model leaves ideal by default, `cx` for one, takes the place of nothing noisy."""
    model = depolarizing(GATES[gates])
    made = on(LAYERS["two-qubit rotations"](), AerSimulator(noise_model=model))
    circuit = made.neural_network.compiled.circuit
    ideal = {i.operation.name for i in circuit.data} - set(GATES[gates])
    known = get_standard_gate_name_mapping()
    if gates != "couplings":  # by which Qiskit does not replace a CX
        assert all(known[name].num_qubits == 1 for name in ideal)
    assert ("rz" in ideal) == (gates not in ("rotations", "the circuit's", "u3"))
    check_rotations(circuit)


def test_the_circuit_that_the_user_wrote() -> None:
    """Channels behind the gates as they were written, and not one more."""
    x, w, circuit = ParameterVector("x", 2), ParameterVector("w", 2), QuantumCircuit(2)
    circuit.ry(x[0], 0)
    circuit.rz(0.3, 0)
    circuit.ry(x[1], 1)
    circuit.cx(0, 1)
    circuit.ry(w[0], 0)
    circuit.rx(w[1], 1)
    letters = ("ZZ", "IZ", "XI", "YX")
    layer = CircuitLayer(
        circuit, features=[x], weights=[w], observables=[SparsePauliOp(each) for each in letters]
    )
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 1), ["rx", "ry"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    made = on(layer, AerSimulator(noise_model=model))
    given, trained = inputs(layer)
    # The change from X to Z is a gate with an error of its own, that from Y to Z as well.
    turns = {"Z": 1.0, "I": 1.0, "X": 0.98, "Y": 0.98}
    expected = []
    for row in given.numpy():
        angles = {**dict(zip(x, row, strict=True)), **dict(zip(w, trained.numpy(), strict=True))}
        bound = circuit.assign_parameters(angles)
        state = DensityMatrix.from_label("00")
        for item in bound.data:
            where = [bound.find_bit(qubit).index for qubit in item.qubits]
            state = state.evolve(item.operation, where)
            if item.operation.name != "rz":
                share = 0.05 if len(where) == 2 else 0.02
                state = state.evolve(SuperOp(depolarizing_error(share, len(where))), where)
        expected.append(
            [
                state.expectation_value(Pauli(each)).real * np.prod([turns[a] for a in each])
                for each in letters
            ]
        )
    np.testing.assert_allclose(values(made), expected, atol=MACHINE)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("gates", ["rotations", "u3", "heron", "r"])
def test_derivatives_are_slopes(gates: str, kind: str) -> None:
    layer = LAYERS[kind]()
    made = on(layer, AerSimulator(noise_model=depolarizing(GATES[gates])))
    x, w = inputs(layer)[0][:1], made.weight.detach().clone()
    rng = np.random.default_rng(1)
    dx, dw = torch.tensor(rng.normal(size=x.shape)), torch.tensor(rng.normal(size=w.shape))
    factors = torch.tensor(rng.normal(size=layer.n_outputs))
    x.requires_grad_()
    (made(x) @ factors).sum().backward()
    slope = (x.grad * dx).sum() + (made.weight.grad * dw).sum()

    def at(step: float) -> float:
        with torch.no_grad():
            made.weight.copy_(w + step * dw)
            return float((made(x + step * dx) @ factors).sum())

    h = 2e-3
    differences = [at(k * h) - at(-k * h) for k in (1, 2, 3)]
    expected = np.dot([45, -9, 1], differences) / (60 * h)
    # h^6 leaves 1e-11 here, rounding 1e-12 / h.
    assert float(slope) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("gates", ["rotations", "heron", "u3"])
def test_layers_of_the_catalogue(gates: str, encoding: str) -> None:
    spec, model = LayerSpec(3, encoding), depolarizing(GATES[gates])
    backend = get_backend(AerSimulator(noise_model=model))
    compiled = backend.compile(spec)
    asked = compiled.rows(features(spec, 3, 0), weights(spec, 0))
    expected = values_under(model, compiled, asked)
    np.testing.assert_allclose(
        backend.evaluate(Request(compiled, asked)).values, expected, atol=EXACT
    )
    sampled = get_backend(AerSimulator(noise_model=model), shots=SHOTS)
    request = Request(sampled.compile(spec), asked, shots=SHOTS, seed=2)
    result = sampled.evaluate(request)
    assert (np.abs(result.values - expected) <= 5 * result.stderr).all()
    given = torch.tensor(features(spec, 1, 0), requires_grad=True)
    made = QuantumLayer(spec, backend=AerSimulator(noise_model=model), seed=1).double()
    assert torch.autograd.gradcheck(made, (given,))


def test_a_device_with_a_coupling_map() -> None:
    """Errors of single qubits and pairs, on whichever of them the layer comes to lie."""
    model = NoiseModel.from_backend(FakeManilaV2())
    layer = feature_map_and_ansatz()
    simulator = AerSimulator.from_backend(FakeManilaV2())
    made, sampled = on(layer, simulator), on(layer, simulator, SHOTS)
    whole = sampled.neural_network.compiled
    assert whole.circuit.num_qubits == 5
    pairs = {tuple(pair) for pair in simulator.configuration().coupling_map}
    wide = [item for item in whole.circuit.data if len(item.qubits) == 2]
    assert {tuple(whole.circuit.find_bit(q).index for q in item.qubits) for item in wide} <= pairs
    expected = values_under(model, whole, rows(sampled))
    np.testing.assert_allclose(values(made), expected, atol=EXACT)
    result = sampled.backend.evaluate(Request(whole, rows(sampled), shots=SHOTS, seed=1))
    assert (np.abs(result.values - expected) <= 5 * result.stderr + EXACT).all()


def test_errors_of_the_measurement_itself() -> None:
    """A quantum error on `measure` acts before it, that of the qubit before that of all."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(pauli_error([("X", 0.1), ("I", 0.9)]), "measure")
    model.add_quantum_error(pauli_error([("X", 0.3), ("I", 0.7)]), "measure", [1])
    model.add_readout_error(MISREAD, [0])
    layer = CircuitLayer(QuantumCircuit(2), observables=["IZ", "ZI", "XI"])
    simulator = AerSimulator(noise_model=model)
    made, sampled = on(layer, simulator), on(layer, simulator, SHOTS)
    flipped = 0.9 * 0.08 + 0.1 * 0.94
    expected = np.array([1 - 2 * flipped, 0.4, 0.0])
    np.testing.assert_allclose(values(made)[0], expected, atol=MACHINE)
    error = np.sqrt((1 - expected**2) / SHOTS)
    assert (np.abs(values(sampled)[0] - expected) <= 5 * error).all()


@pytest.mark.parametrize("name", sorted(ROTATION_ANGLES))
def test_aer_binds_every_rotation(name: str) -> None:
    """Controlled rotations would be taken for 0, without a warning."""
    gate = get_standard_gate_name_mapping()[name]
    angles = ParameterVector("angle", len(gate.params))
    drawn = [0.7, -0.4, 1.1][: len(angles)]
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.rx(0.3, circuit.qubits)
    circuit.append(gate.base_class(*angles), circuit.qubits)
    saved = circuit.copy()
    saved.append(SaveDensityMatrix(gate.num_qubits), saved.qubits)
    simulator = AerSimulator(method="density_matrix", runtime_parameter_bind_enable=True)
    binds = [{angle: [value] for angle, value in zip(angles, drawn, strict=True)}]
    found = simulator.run(saved, parameter_binds=binds).result().data(0)["density_matrix"]
    expected = DensityMatrix(circuit.assign_parameters(drawn))
    np.testing.assert_allclose(np.asarray(found), expected.data, atol=MACHINE)


def test_a_plain_simulator_is_ideal() -> None:
    layer = feature_map_and_ansatz()
    for simulator in (AerSimulator(), AerSimulator(noise_model=NoiseModel())):
        made = on(layer, simulator)
        assert made.backend.name == "aer"
        assert made.backend.capabilities.vjp
    native = QuantumLayer(layer, backend="native").double()
    native.load_state_dict(made.state_dict())
    np.testing.assert_allclose(values(made), values(native), atol=MACHINE)


def test_copies_are_equal() -> None:
    made = on(feature_map_and_ansatz(), AerSimulator(noise_model=depolarizing(["ry", "cx"])))
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        np.testing.assert_array_equal(values(other), values(made))
    assert "backend='AerSimulator aer_simulator with its own noise'" in repr(made)


def test_models_that_cannot_be_honoured() -> None:
    layer = feature_map_and_ansatz()
    together = NoiseModel()
    together.add_readout_error(ReadoutError(np.full((4, 4), 0.25)), [0, 1])
    few = depolarizing(["cx"], named=["cx"])
    elsewhere = NoiseModel()
    elsewhere.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), "mine")
    wide = CircuitLayer(QuantumCircuit(13))
    for shots in (None, SHOTS):
        for model, words in (
            (together, r"qubits \(0, 1\) together.*add_readout_error"),
            (few, r"cannot be made of cx,.*add_basis_gates\(\['rz', 'sx', 'cx'\]\)"),
            (elsewhere, r"leave the layer ideal.*errors on mine;.*basis_gates.*backend='aer'"),
        ):
            with pytest.raises(OptionError, match=words):
                QuantumLayer(layer, backend=AerSimulator(noise_model=model), shots=shots)
    noisy = AerSimulator(noise_model=depolarizing(["cx"]))
    with pytest.raises(OptionError, match=r"13 wires.*at most 12"):
        QuantumLayer(wide, backend=noisy)
    assert QuantumLayer(wide, backend=noisy, shots=10)(torch.zeros(1, 0)).shape == (1, 13)
    made = on(layer, noisy)
    request = Request(made.neural_network.compiled, rows(made), shots=10, seed=0)
    with pytest.raises(OptionError, match=r"no shots.*get_backend\(simulator, shots=N\)"):
        made.backend.evaluate(request)
    with pytest.raises(OptionError, match="noise belong to the backend"):
        QuantumLayer(layer, backend=noisy, noise=0.5)
