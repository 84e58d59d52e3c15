"""Circuits of the user's own by the fused kernels, through the layer's own passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from experiments.bench.circuits import CIRCUITS, circuit_layer
from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.layers.ansatze import ANSATZE
from qbackend.native.any_circuit import tensors as in_torch
from qbackend.native.cuda.engine import Engine

from ...support.any_circuit import bell, own_layer
from ...support.no_synchronisation import no_synchronisation
from ...support.random_circuits import layers
from .agreement import EXACT, Fused, check, outputs_and_gradients, rows_of
from .emulator import Emulator, needs_compiler

pytestmark = needs_compiler


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CIRCUITS)
def test_circuits_as_people_bring_them(name: str, dtype: torch.dtype) -> None:
    spec = circuit_layer(name)
    check(spec, rows_of(spec, 40 if spec.n_wires < 5 else 3), dtype)


@settings(max_examples=60, deadline=None)
@given(layers())
def test_random_circuits(drawn: tuple[CircuitLayer, int]) -> None:
    spec, seed = drawn
    generator = np.random.default_rng(seed)
    check(spec, generator.uniform(-1.5, 1.5, (3, 3)), weights=generator.uniform(0, 6, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_strings(dtype: torch.dtype) -> None:
    """Over three bases and in one, a constant, nothing, and one string scaled and shifted."""
    spec = own_layer()
    check(spec, rows_of(spec), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_wires", [2, 6, pytest.param(8, marks=pytest.mark.slow)])
def test_probabilities(n_wires: int, dtype: torch.dtype) -> None:
    x, w = ParameterVector("x", n_wires), ParameterVector("w", n_wires)
    circuit = QuantumCircuit(n_wires)
    for qubit in range(n_wires):
        circuit.ry(x[qubit], qubit)
    for qubit in range(1, n_wires):
        circuit.cx(qubit - 1, qubit)
        circuit.rx(w[qubit], qubit)
    circuit.h([0, n_wires - 1])
    spec = CircuitLayer(circuit, features=x, weights=w, outputs="probabilities")
    check(spec, rows_of(spec, 3), dtype)


def test_starts_of_any_kind() -> None:
    w = Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.h([0, 1])
    circuit.t(0)
    circuit.rx(0.3, 1)
    circuit.ccx(0, 1, 2)
    circuit.ry(1.1, 2)
    circuit.rxx(w, 0, 2)
    circuit.rz(0.4, 2)
    circuit.t(0)
    circuit.ry(w * w, 0)
    circuit.rx(0.7, 2)
    spec = CircuitLayer(circuit, weights=[w], observables=["IZZ", "XIY", "IIX", "YII"])
    check(spec, torch.zeros(3, 0))


def test_nothing_to_turn() -> None:
    check(bell(SparsePauliOp("XX"), SparsePauliOp("YY"), SparsePauliOp("IZ")), torch.zeros(3, 0))


def far_observables(n_wires: int) -> list[str]:
    """More X than a block holds, and strings that need others at once."""
    single = ["I" * (n_wires - 1 - q) + "X" + "I" * q for q in range(n_wires)]
    return [*single, "X" * n_wires, "YY" + "I" * (n_wires - 2), "Z" * n_wires, "I" * n_wires]


@pytest.mark.parametrize("observables", [None, far_observables(9)], ids=["Z", "X"])
def test_rows_wider_than_a_block(
    observables: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qbackend.native.cuda.launches.LARGEST_TILE", 6)
    x, w = ParameterVector("x", 9), ParameterVector("w", 18)
    circuit = QuantumCircuit(9)
    circuit.h(0)
    for qubit in range(9):
        circuit.ry(x[qubit], qubit)
        circuit.rz(w[qubit], qubit)
        circuit.cx(qubit, (qubit + 1) % 9)
        circuit.rx(w[9 + qubit] * x[qubit], qubit)
    spec = CircuitLayer(circuit, features=x, weights=w, observables=observables)
    check(spec, rows_of(spec, 3))


def test_wide_ones_with_nothing_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.launches.LARGEST_TILE", 6)
    circuit = QuantumCircuit(9)
    circuit.h(0)
    for qubit in range(8):
        circuit.cx(qubit, qubit + 1)
    check(CircuitLayer(circuit, observables=far_observables(9)), torch.zeros(2, 0))


def test_more_rotations_than_a_launch_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.passes.MOST_TURNS", 7)
    for name in ("zz_real_amplitudes_4", "ising_rotations"):
        check(circuit_layer(name), rows_of(circuit_layer(name)))


def test_threads_that_hold_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.engine.MANY_AMPLITUDES", 0)
    spec = circuit_layer("zz_real_amplitudes_8")
    mixed = CircuitLayer(
        spec.circuit,
        features=spec.features,
        weights=spec.weights,
        observables=[*far_observables(8), SparsePauliOp(["XYZXYZXY", "ZIIIIIIX"], [0.5, -2])],
    )
    check(mixed, rows_of(spec, 2))


def test_words_that_are_read_from_memory() -> None:
    spec = circuit_layer("ising_rotations")
    check(spec, rows_of(spec), emulator=Emulator(has_long_launches=False))


def test_more_rows_than_blocks_at_once() -> None:
    """Sums over rows that several blocks have added to, of weights that each row uses otherwise."""
    spec = circuit_layer("reuploading")
    check(spec, rows_of(spec, 300))


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("ansatz", list(ANSATZE))
def test_the_catalogues_layers_as_circuits(ansatz: str, encoding: str) -> None:
    """Those of amplitudes by the angles of their preparation."""
    for dtype in (torch.float32, torch.float64):
        spec = LayerSpec(3, encoding, ansatz, 2, observables=("ZII", "IZZ"))
        program, rule = spec.program(), spec.encoding_rule
        n_angles = rule.n_angles(3)
        own = CircuitLayer(
            program.circuit,
            features=program.parameters[:n_angles],
            weights=program.parameters[n_angles:],
            observables=program.observables,
        )
        rows = torch.randn(5, spec.n_features, generator=torch.manual_seed(0)).double()
        angles = rows if rule.is_product else torch.from_numpy(rule.angles(rows.numpy()))
        cotangent = torch.randn(5, 2, generator=torch.manual_seed(1))
        found = []
        for layer, features in ((spec, rows), (own, angles)):
            module = QuantumLayer(layer, Fused(Emulator()), seed=1).float().to(dtype)
            found.append(outputs_and_gradients(module, features, cotangent))
        # An amplitude's features are not its angles: their gradients are something else.
        kept = slice(None) if rule.is_product else slice(None, None, 2)
        for mine, catalogue in zip(found[1][kept], found[0][kept], strict=True):
            scale = max(1.0, float(catalogue.abs().max()))
            assert (mine - catalogue).abs().max() <= EXACT[dtype] * scale


def test_equal_inputs_give_equal_bits_and_rows_do_not_meet() -> None:
    spec = circuit_layer("ising_rotations")
    layer, rows = QuantumLayer(spec, Fused(Emulator()), seed=0), rows_of(spec, 70)
    cotangent = torch.randn(70, spec.n_outputs)
    once, again = (outputs_and_gradients(layer, rows, cotangent) for _ in range(2))
    assert all(map(torch.equal, once, again))
    part = outputs_and_gradients(layer, rows[40:43], cotangent[40:43])
    assert torch.equal(part[0], once[0][40:43])
    assert torch.equal(part[1], once[1][40:43])


@pytest.mark.parametrize("name", ["reuploading", "no_features", "no_weights"])
def test_a_step_waits_for_nothing(name: str) -> None:
    spec = circuit_layer(name)
    layer = QuantumLayer(spec, Fused(Emulator()), seed=0)
    features, cotangent = rows_of(spec, 4), torch.ones(4, spec.n_outputs)

    def step() -> tuple[torch.Tensor, ...]:
        return outputs_and_gradients(layer, features, cotangent)

    step()
    with no_synchronisation():
        step()


@pytest.mark.parametrize("name", ["reuploading", "no_features", "no_weights"])
def test_nor_does_one_in_plain_torch(name: str) -> None:
    """What runs there in place of the kernels; a row that is not finite shows in its outputs."""
    spec = circuit_layer(name)
    features, weights = rows_of(spec, 4), torch.rand(spec.n_weights)
    features[2] = float("nan")

    def step() -> torch.Tensor:
        done = in_torch.forward(spec, features, weights, differentiate=True)
        assert done.pullback is not None
        done.pullback(torch.ones_like(done.values))
        return done.values

    step()
    with no_synchronisation():
        values = step()
    is_finite = [True, True, spec.n_features == 0, True]
    assert values.isfinite().all(dim=1).tolist() == is_finite


def test_what_has_no_room_is_not_taken() -> None:
    x, w = Parameter("x"), ParameterVector("w", 400)
    circuit = QuantumCircuit(2)
    for weight in w:
        circuit.rx(weight * x, 0)
        circuit.rz(weight, 0)
    spec = CircuitLayer(circuit, features=[x], weights=w)
    assert Engine(Emulator()).takes(spec, torch.float32)
    assert not Engine(Emulator(48 * 1024)).takes(spec, torch.float32)
    assert not Engine(Emulator()).takes(spec, torch.float16)


def test_outputs_can_be_changed_in_place() -> None:
    spec = circuit_layer("reuploading")
    layer = QuantumLayer(spec, Fused(Emulator()), seed=0)
    features = rows_of(spec).requires_grad_(True)
    layer(features).mul_(2).sum().backward()
    assert features.grad is not None
