"""A user's circuit on every backend: right values, right gradients, and those of the catalogue.

Sampled values may differ from exact ones by five standard errors of their shots.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

from experiments.bench.circuits import CIRCUITS, circuit_layer
from qbackend import CircuitLayer, LayerSpec, NoiseSpec, QuantumLayer, get_backend
from qbackend.circuits.logical import compile_layer
from qbackend.layers.program import PAULI_ROTATIONS, Layer

from ..support.cases import ANSATZE, ENCODINGS, MACHINE, features, weights
from ..support.circuits import GOLDEN, SMALL, Array, values

EXACT = ("native", "aer")
DEVICE = "fake_fez"


def on(layer: Layer, backend: object, at: Array, **options: object) -> QuantumLayer:
    """The layer in float64 with these weights."""
    module = QuantumLayer(layer, backend=backend, **options).double()
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(at))
    return module


def pulled(module: QuantumLayer, rows: Array, cotangent: Array) -> tuple[Array, Array, Array]:
    """Outputs, and the cotangent's gradients by features and weights."""
    given = torch.tensor(rows, requires_grad=True)
    outputs = module(given)
    wanted = [given, module.weight]
    found = torch.autograd.grad(outputs, wanted, torch.tensor(cotangent), materialize_grads=True)
    return outputs.detach().numpy(), found[0].numpy(), found[1].numpy()


def close(found: tuple[Array, ...], expected: tuple[Array, ...], within: float) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=within, rtol=0)


def right(name: str, n_rows: int, cotangent: Array) -> tuple[Array, Array, Array]:
    """What `pulled` must give."""
    known = values(name)
    return (
        known.outputs[:n_rows],
        np.einsum("bm,bmf->bf", cotangent, known.by_features[:n_rows]),
        np.einsum("bm,bmw->w", cotangent, known.by_weights[:n_rows]),
    )


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("name", CIRCUITS)
def test_exact_values_and_gradients(name: str, backend: str) -> None:
    known = values(name)
    cotangent = np.random.default_rng(0).normal(size=known.outputs.shape)
    module = on(circuit_layer(name), backend, known.weights + 0.1)
    pulled(module, known.features[:2] + 0.3, cotangent[:2])
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(known.weights))
    found = pulled(module, known.features, cotangent)
    close(found, right(name, len(cotangent), cotangent), len(cotangent) * GOLDEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_two_simulators_of_one_devices_noise(name: str) -> None:
    """They agree; and without noise the compiled circuit is the user's own."""
    known = values(name)
    cotangent = np.random.default_rng(1).normal(size=known.outputs[:2].shape)
    found, silent = [], []
    for kind in ("aer", "native"):
        noisy = on(circuit_layer(name), f"{kind}:{DEVICE}", known.weights)
        found.append(pulled(noisy, known.features[:2], cotangent))
        backend = get_backend(f"{kind}:{DEVICE}", noise=NoiseSpec.only())
        ideal = on(circuit_layer(name), backend, known.weights)
        silent.append(pulled(ideal, known.features[:2], cotangent))
    close(found[0], found[1], MACHINE)
    for each in silent:
        close(each, right(name, 2, cotangent), len(cotangent) * GOLDEN)
    apart = np.abs(found[0][0] - known.outputs[:2]).max()
    assert apart > 1e-3, "the noise is off"


@pytest.mark.parametrize("name", SMALL)
def test_sampled_values(name: str) -> None:
    known = values(name)
    backend = get_backend("aer", shots=4096, seed=3)
    module = on(circuit_layer(name), backend, known.weights)
    result = module.neural_network.execute(known.features, known.weights)
    # An outcome's spread in one readout is at most the sum of its coefficients there.
    reach = [
        np.sqrt(sum(sum(abs(c) for c, _ in readout.terms[output]) ** 2 for readout in readouts))
        for readouts in [module.neural_network.compiled.readouts]
        for output in range(known.outputs.shape[1])
    ]
    assert (np.abs(result.values - known.outputs) <= 5 * np.array(reach) / 64).all()
    assert (result.stderr >= 0).all()


def wrapped(spec: LayerSpec) -> CircuitLayer:
    """A layer of the catalogue as a circuit of the user's, whose features are its angles."""
    program = spec.program()
    n_angles = int(program.inputs.by_features.sum())
    return CircuitLayer(
        program.circuit,
        features=program.parameters[:n_angles],
        weights=program.parameters[n_angles:],
        observables=program.observables,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("backend", [*EXACT, f"aer:{DEVICE}", f"native:{DEVICE}"])
def test_the_catalogue_as_circuits(backend: str, ansatz: str, encoding: str) -> None:
    """Under a device's noise, where preparations differ, with all of it at strength 0."""
    spec = LayerSpec(3, encoding, ansatz)
    noise = {"noise": NoiseSpec.only()} if ":" in backend else {}
    rows, at = features(spec, 4, 0), weights(spec, 0)
    angles = spec.program().inputs.angles(rows, at)[:, : -len(at)]
    cotangent = np.random.default_rng(2).normal(size=(4, spec.n_outputs))
    own = pulled(on(spec, get_backend(backend, **noise), at), rows, cotangent)
    other = pulled(on(wrapped(spec), get_backend(backend, **noise), at), angles, cotangent)
    kept = (0, 2) if encoding == "amplitude" else (0, 1, 2)
    close(tuple(own[k] for k in kept), tuple(other[k] for k in kept), MACHINE)


@pytest.mark.parametrize("gate", ["cp", "crx", "cry", "crz", "rx", "ry", "rz", "p", "rxx", "ryy",
                                  "rzz", "rzx", "cu1", "cu3", "u", "r", "cu", "mcp"])  # fmt: skip
@pytest.mark.parametrize("backend", [*EXACT, f"aer:{DEVICE}", f"native:{DEVICE}"])
def test_no_gate_is_lost(backend: str, gate: str) -> None:
    """Aer takes some of them for angle 0 where it binds their parameters."""
    from qiskit.circuit import library

    angles = ParameterVector("a", {"cu3": 3, "u": 3, "r": 2, "cu": 4}.get(gate, 1))
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.t([0, 1])
    if gate == "cu1":
        circuit.append(library.CU1Gate(angles[0]), [0, 1])
    elif gate == "cu3":
        circuit.append(library.CU3Gate(*angles), [0, 1])
    elif gate == "mcp":
        circuit.mcp(angles[0], [0, 1], 2)
    else:
        two = gate.startswith("c") or gate in ("rxx", "ryy", "rzz", "rzx")
        getattr(circuit, gate)(*angles, *((0, 1) if two else (0,)))
    circuit.ry(0.3, [0, 1, 2])
    read = [SparsePauliOp(name) for name in ("IIX", "IYI", "IIZ", "IXX", "ZZI", "YII")]
    layer = CircuitLayer(circuit, features=angles, observables=read)
    at = np.random.default_rng(4).uniform(0.4, 1.4, (2, len(angles)))
    noise = {"noise": NoiseSpec.only()} if ":" in backend else {}
    module = on(layer, get_backend(backend, **noise), np.zeros(0))
    state = [
        Statevector(circuit.assign_parameters(dict(zip(angles, row, strict=True)))) for row in at
    ]
    expected = [[each.expectation_value(o).real for o in read] for each in state]
    close((module(torch.from_numpy(at)).detach().numpy(),), (np.array(expected),), MACHINE)


def test_a_program_has_rotations_by_one_angle_each() -> None:
    for name in CIRCUITS:
        compiled = compile_layer(circuit_layer(name))
        seen = []
        for item in compiled.circuit.data:
            angles = [p for p in item.operation.params if getattr(p, "parameters", ())]
            assert not angles or item.operation.name in PAULI_ROTATIONS
            seen += [next(iter(angle.parameters)) for angle in angles]
            assert all(isinstance(angle, Parameter) for angle in angles)
        assert len(seen) == len(set(seen)) == len(compiled.parameters)
        moves = compiled.inputs.by_features
        assert (moves[: moves.sum()]).all()
