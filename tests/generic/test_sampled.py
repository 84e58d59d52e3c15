"""Values that a Qiskit `BackendV2` counts: right in every basis, with right standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import BackendV2
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import CouplingMap
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from qbackend import CircuitLayer, LayerSpec, QuantumLayer, get_backend
from qbackend.errors import BackendError, OptionError
from qbackend.layers.inputs import Array
from qbackend.layers.program import Layer
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import Request, Result

from ..support.evolution import values_under
from ..support.small_circuits import LAYERS, feature_map_and_ansatz

SHOTS = 4000


def ask(backend: QuantumBackend, layer: Layer, n_rows: int = 2) -> tuple[Request, Result]:
    rng = np.random.default_rng(4)
    compiled = backend.compile(layer)
    rows = compiled.rows(
        rng.uniform(-1.5, 1.5, (n_rows, layer.n_features)), rng.uniform(-2, 2, layer.n_weights)
    )
    request = Request(compiled, rows, shots=backend.shots, seed=3)
    return request, backend.evaluate(request)


DEVICES: dict[str, Callable[[], BackendV2]] = {
    "generic": lambda: GenericBackendV2(5, seed=2),
    "manila": FakeManilaV2,
    # Idle qubits between and around those in use.
    "line of 20": lambda: GenericBackendV2(
        20, coupling_map=CouplingMap.from_line(20), seed=3, basis_gates=["cz", "id", "rz", "sx"]
    ),
    "u3": lambda: GenericBackendV2(3, basis_gates=["u3", "cx", "id"], seed=4),
}


@pytest.mark.parametrize("layer", [*LAYERS.values(), lambda: LayerSpec(3)])
@pytest.mark.parametrize("device", DEVICES)
def test_values(device: str, layer: Callable[[], Layer]) -> None:
    made = DEVICES[device]()
    backend = get_backend(DEVICES[device], shots=SHOTS)
    request, result = ask(backend, layer())
    model = NoiseModel.from_backend(made)
    expected = values_under(model, request.compiled, request.parameters)
    assert (np.abs(result.values - expected) <= 5 * result.stderr + 1e-9).all()
    assert result.shots == SHOTS


def test_wires_of_a_large_device() -> None:
    """A product state in all bases: each qubit's own value, on a device with idle ones."""
    angles = np.linspace(0.3, 1.4, 5)
    circuit = QuantumCircuit(5)
    for qubit, angle in enumerate(angles):
        circuit.ry(angle, qubit)
    singles = [(letter, [q], 1.0) for letter in "ZX" for q in range(5)]
    observables = [SparsePauliOp.from_sparse_list([each], num_qubits=5) for each in singles]
    layer = CircuitLayer(circuit, observables=observables)
    device = GenericBackendV2(27, coupling_map=CouplingMap.from_ring(27), noise_info=False)
    _, result = ask(get_backend(device, shots=SHOTS), layer)
    expected = np.concatenate([np.cos(angles), np.sin(angles)])
    error = np.sqrt((1 - expected**2) / SHOTS)
    assert (np.abs(result.values[0] - expected) <= 5 * error).all()


@pytest.mark.parametrize("shots", [100, 1000, 1024])
def test_every_readout_gets_the_shots(shots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device, asked = BasicSimulator(), []
    run = device.run

    def counted(circuits: list[QuantumCircuit], **options: Any) -> Any:
        asked.append((len(circuits), options["shots"]))
        return run(circuits, **options)

    monkeypatch.setattr(device, "run", counted)
    request, _ = ask(get_backend(device, shots=shots), feature_map_and_ansatz())
    assert len(request.compiled.readouts) == 2
    assert asked == [(2, shots)] * 2


def test_standard_errors_of_sums() -> None:
    """Terms of one readout covary, readouts do not: the errors are those of repeated runs."""
    angle, circuit = Parameter("angle"), QuantumCircuit(2)
    circuit.ry(angle, 0)
    circuit.cx(0, 1)
    observables = [
        SparsePauliOp(["II", "ZI", "IZ"], [2.0, 1.0, 1.0]),  # both signs are the same
        SparsePauliOp(["ZI", "IZ"], [1.0, -1.0]),  # they cancel
        SparsePauliOp(["ZI", "XX"], [1.0, 0.5]),
    ]
    layer = CircuitLayer(circuit, features=[angle], observables=observables)
    shots, n_rows = 200, 400
    backend = get_backend(BasicSimulator, shots=shots)
    compiled = backend.compile(layer)
    rows = compiled.rows(np.full((n_rows, 1), 1.1), np.zeros(0))
    result = backend.evaluate(Request(compiled, rows, shots=shots, seed=1))
    state = Statevector(circuit.assign_parameters([1.1]))
    expected = np.array([state.expectation_value(each).real for each in observables])
    cosine, sine = np.cos(1.1), np.sin(1.1)
    variance = np.array([4 * (1 - cosine**2), 0.0, 1 - cosine**2 + 0.25 * (1 - sine**2)]) / shots
    error = np.sqrt(variance)
    assert (np.abs(result.values.mean(axis=0) - expected) <= 5 * error / n_rows**0.5 + 1e-12).all()
    spread = result.values.std(axis=0)
    np.testing.assert_allclose(spread, error, rtol=5 / np.sqrt(2 * n_rows))
    # Equal outcomes leave an error, see `standard_error`: it is not zero where they cancel.
    np.testing.assert_allclose(result.stderr.mean(axis=0)[[0, 2]], error[[0, 2]], rtol=0.05)
    assert (result.stderr[:, 1] > 0).all()
    assert (result.stderr[:, 1] < 2 * np.sqrt(8) / shots).all()


def test_derivatives_where_turns_are_general_gates() -> None:
    """One `u3` for a rotation: the shift rule holds for each of its angles."""
    layer = feature_map_and_ansatz()
    device = GenericBackendV2(3, basis_gates=["u3", "cx", "id"], noise_info=False)
    made = QuantumLayer(layer, backend=device, shots=20_000, seed=1).double()
    exact = QuantumLayer(layer, backend="native", seed=1).double()
    gradients: list[Array] = []
    for each in (made, exact):
        given = torch.full((1, 3), 0.4, dtype=torch.float64, requires_grad=True)
        each(given)[0, 1].backward()
        gradients.append(np.concatenate([given.grad.numpy().ravel(), each.weight.grad.numpy()]))
    # A weight's shift is one pair of values; a feature stands in four angles, by 2 and π - x.
    error = 1 / np.sqrt(2 * 20_000)
    factors = np.r_[np.full(3, np.sqrt(2**2 + 2 * (2 * np.pi) ** 2)), np.ones(layer.n_weights)]
    assert (np.abs(gradients[0] - gradients[1]) <= 5 * error * factors).all()


def test_failures_say_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    device = BasicSimulator()
    backend = get_backend(device, shots=10)
    run = device.run
    monkeypatch.setattr(device, "run", lambda circuits, shots, **more: run(circuits, shots=9))
    with pytest.raises(BackendError, match=r"BasicSimulator.* failed: it counted 9 shots, not 10"):
        ask(backend, LayerSpec(1))

    def broken(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no answer")

    monkeypatch.setattr(device, "run", broken)
    with pytest.raises(BackendError, match="BasicSimulator basic_simulator failed: no answer"):
        ask(backend, LayerSpec(1))
    poor = GenericBackendV2(2, basis_gates=["x", "id", "cx"])
    with pytest.raises(OptionError, match="does not compile to the gates of 'GenericBackendV2"):
        QuantumLayer(LayerSpec(2), backend=poor)
