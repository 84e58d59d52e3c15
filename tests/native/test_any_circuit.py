"""The compiled engine for any circuit, against Qiskit's states and against the same in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit import library as gates
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp, Statevector

from experiments.bench.circuits import CIRCUITS, circuit_layer
from qbackend import CircuitLayer, QuantumLayer, errors
from qbackend.kernels.lanes import lanes
from qbackend.layers.readout import readouts_of
from qbackend.native.any_circuit.engine import CircuitEngine
from qbackend.native.any_circuit.stages import Hadamards, Pair, Phases, staged
from qbackend.native.any_circuit.strings import Frame, PauliString, clifford, letters
from qbackend.native.any_circuit.tensors import torch_layer
from qbackend.native.any_circuit.turned import turned_circuit
from qbackend.seam.backend import Forward

from ..support.cases import MACHINE
from ..support.circuits import Array, values
from ..support.random_circuits import layers

CLIFFORDS: tuple[Gate, ...] = (
    gates.HGate(), gates.SGate(), gates.SdgGate(), gates.SXGate(), gates.XGate(), gates.YGate(),
    gates.CXGate(), gates.CYGate(), gates.CZGate(), gates.SwapGate(), gates.iSwapGate(),
    gates.ECRGate(), gates.RYGate(np.pi / 2), gates.RXXGate(-np.pi / 2), gates.PhaseGate(np.pi),
)  # fmt: skip


def matrix(string: PauliString, n_qubits: int) -> Array:
    """The operator of a string."""
    bits = range(n_qubits)
    x = [bool(string.x >> bit & 1) for bit in bits]
    z = [bool(string.z >> bit & 1) for bit in bits]
    bare = Pauli((z, x, 0)).to_matrix()
    return 1j ** (string.phase - sum(a and b for a, b in zip(x, z, strict=True))) * bare


def test_a_string_is_the_product_of_its_letters() -> None:
    expected = Pauli("YXZ").to_matrix()
    np.testing.assert_allclose(matrix(letters("ZXY", (0, 1, 2)), 3), expected, atol=MACHINE)
    one, other = letters("XY", (0, 2)), letters("ZYX", (0, 1, 2))
    product = matrix(one, 3) @ matrix(other, 3)
    np.testing.assert_allclose(matrix(one.times(other), 3), product, atol=MACHINE)


@pytest.mark.parametrize("gate", CLIFFORDS, ids=lambda gate: gate.name)
def test_what_a_clifford_gate_makes_of_strings(gate: Gate) -> None:
    images = clifford(gate.to_matrix())
    assert images is not None
    qubits = (2, 0)[: gate.num_qubits]
    frame = Frame(3)
    frame.append(images, qubits)
    circuit = QuantumCircuit(3)
    circuit.append(gate, qubits)
    whole = Operator(circuit).data
    for name in ("XYZ", "ZIX", "YYI", "IZY"):
        string = letters(name.replace("I", ""), tuple(q for q in range(3) if name[q] != "I"))
        expected = whole.conj().T @ matrix(string, 3) @ whole
        np.testing.assert_allclose(matrix(frame.before(string), 3), expected, atol=MACHINE)


@pytest.mark.parametrize("gate", [gates.TGate(), gates.RZGate(0.3), gates.CSXGate()])
def test_other_gates_are_none(gate: Gate) -> None:
    assert clifford(gate.to_matrix()) is None


def by_states(layer: CircuitLayer, rows: Array, at: Array) -> Array:
    """Outputs (B, M) from Qiskit's states of the circuit as it was given."""
    found = []
    parameters = [*layer.features, *layer.weights]
    for row in rows:
        known = dict(zip(parameters, [*row, *at], strict=True))
        bound = layer.circuit.assign_parameters(
            {p: value for p, value in known.items() if p in layer.circuit.parameters}
        )
        state = Statevector(bound)
        found.append([state.expectation_value(each).real for each in layer.observables])
    return np.array(found)


def run(
    layer: CircuitLayer, rows: Array, at: Array, dtype: torch.dtype = torch.float64
) -> tuple[Forward, torch.Tensor]:
    engine = CircuitEngine(layer, torch.empty(0, dtype=dtype).numpy().dtype)
    features, weights = torch.tensor(rows, dtype=dtype), torch.tensor(at, dtype=dtype)
    done = engine.forward(features, weights, differentiate=True)
    cotangent = torch.tensor(np.random.default_rng(5).normal(size=done.values.shape), dtype=dtype)
    return done, cotangent


@settings(max_examples=150, deadline=None)
@given(layers())
def test_random_circuits(drawn: tuple[CircuitLayer, int]) -> None:
    """Values of Qiskit's states; gradients of the same circuit in torch."""
    layer, seed = drawn
    generator = np.random.default_rng(seed)
    rows, at = generator.uniform(-1.5, 1.5, (3, 3)), generator.uniform(0, 6, 3)
    done, cotangent = run(layer, rows, at)
    np.testing.assert_allclose(done.values.numpy(), by_states(layer, rows, at), atol=MACHINE)
    assert done.pullback is not None
    found = done.pullback(cotangent)
    leaves = [torch.tensor(each, requires_grad=True) for each in (rows, at)]
    outputs = torch_layer(layer, leaves[0].device)(*leaves)
    expected = torch.autograd.grad(outputs, leaves, cotangent, materialize_grads=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=10 * MACHINE)


@pytest.mark.parametrize("name", CIRCUITS)
def test_single_precision(name: str) -> None:
    """Errors add up over the gates, each a few units in the last place of numbers up to 1."""
    known = values(name)
    done, _ = run(circuit_layer(name), known.features, known.weights, torch.float32)
    n_gates = circuit_layer(name).program().circuit.size()
    assert done.values.dtype == torch.float32
    reach = max(sum(abs(o.coeffs)) for o in circuit_layer(name).observables)
    # Angles of up to 50 radians are rounded as features are.
    slack = 4 * (n_gates + 50) * 2.0**-24 * reach
    np.testing.assert_allclose(done.values, known.outputs, atol=slack)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["qcnn", "z_efficient_su2", "no_features"])
def test_a_row_depends_on_nothing_but_itself(name: str, dtype: torch.dtype) -> None:
    """Batches that fill their last block, and that do not, on one path and on the other."""
    layer = circuit_layer(name)
    known = values(name)
    n_lanes = lanes(torch.empty(0, dtype=dtype).numpy().dtype)
    rows = np.random.default_rng(0).uniform(-1, 1, (3 * n_lanes + 1, layer.n_features))
    engine = CircuitEngine(layer, torch.empty(0, dtype=dtype).numpy().dtype)
    features, weights = torch.tensor(rows, dtype=dtype), torch.tensor(known.weights, dtype=dtype)
    whole = engine.forward(features, weights, differentiate=True)
    assert whole.pullback is not None
    cotangent = torch.ones_like(whole.values)
    by_features, by_weights = whole.pullback(cotangent)
    assert by_features is not None
    assert by_weights is not None
    for count in (1, n_lanes - 1, n_lanes, n_lanes + 1):
        part = engine.forward(features[:count], weights, differentiate=False)
        assert torch.equal(part.values, whole.values[:count])
        part = engine.forward(features[:count], weights, differentiate=True)
        assert torch.equal(part.values, whole.values[:count])
        assert part.pullback is not None
        assert torch.equal(part.pullback(cotangent[:count])[0], by_features[:count])
    larger = engine._forward(features, weights.double().numpy(), True)
    assert torch.equal(larger.values, whole.values)
    assert larger.pullback is not None
    again = larger.pullback(cotangent)
    assert torch.equal(again[0], by_features)
    assert torch.equal(again[1].to(dtype), by_weights)


def test_no_rows() -> None:
    module = QuantumLayer(circuit_layer("qcnn"), backend="native")
    rows = torch.zeros((0, 4), requires_grad=True)
    outputs = module(rows)
    outputs.sum().backward()
    assert outputs.shape == (0, 1)
    assert torch.equal(module.weight.grad, torch.zeros(6))


def test_threads_do_not_matter() -> None:
    layer, known = circuit_layer("ten_qubits"), values("ten_qubits")
    rows = np.random.default_rng(1).uniform(-1, 1, (70, layer.n_features))
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            done, cotangent = run(layer, rows, known.weights)
            assert done.pullback is not None
            found.append((done.values, *done.pullback(cotangent)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_stages_are_few() -> None:
    """A feature map that commutes is two stages of phases, with Hadamard gates between them."""
    layer = circuit_layer("zz_real_amplitudes_8")
    circuit = turned_circuit(layer.program())
    n_moving = int(layer.program().inputs.by_features.sum())
    stages, _ = staged(
        circuit.turns, circuit.observables, circuit.n_qubits, lambda t: t.angle < n_moving
    )
    kinds = [type(stage) for stage in stages]
    assert kinds[:3] == [Phases, Hadamards, Phases]
    assert sum(kind is Pair for kind in kinds) == 24
    assert [len(stage.turns) for stage in stages if isinstance(stage, Phases)] == [36, 36]


def test_turns_that_nothing_depends_on_are_left_out() -> None:
    circuit = QuantumCircuit(2)
    w = ParameterVector("w", 3)
    circuit.ry(w[0], 0)
    circuit.ry(w[1], 1)
    circuit.rz(w[2], 0)
    layer = CircuitLayer(circuit, weights=w, observables=[SparsePauliOp("IZ")])
    assert [turn.angle for turn in turned_circuit(layer.program()).turns] == [0]
    module = QuantumLayer(layer, backend="native").double()
    module(torch.zeros((1, 0), dtype=torch.float64)).sum().backward()
    assert module.weight.grad[1:].tolist() == [0, 0]


def test_further_derivatives() -> None:
    module = QuantumLayer(circuit_layer("reuploading"), backend="native").double()
    rows = torch.tensor(values("reuploading").features[:2], requires_grad=True)
    assert torch.autograd.gradcheck(module, (rows,))
    assert torch.autograd.gradgradcheck(module, (rows,))


@pytest.mark.parametrize("backend", ["native", "aer"])
def test_what_is_not_finite_is_named(backend: str) -> None:
    x = Parameter("x")
    circuit = QuantumCircuit(1)
    circuit.ry(1 / x, 0)
    module = QuantumLayer(CircuitLayer(circuit, features=[x]), backend=backend)
    with pytest.raises(errors.InputError, match="features row 1 has an entry that is not finite"):
        module(torch.tensor([[1.0], [float("nan")]], requires_grad=True))
    with pytest.raises(errors.InputError, match="features row 2 gives the circuit's angle 0"):
        module(torch.tensor([[1.0], [2.0], [0.0]], requires_grad=True))
    with pytest.raises(errors.InputError, match="features row 2"):
        module(torch.tensor([[1.0], [2.0], [0.0]]))
    ansatz = CircuitLayer(circuit, weights=[x])
    module = QuantumLayer(ansatz, backend=backend)
    with torch.no_grad():
        module.weight.fill_(float("inf"))
    with pytest.raises(errors.InputError, match="weights row 0 has an entry that is not finite"):
        module(torch.zeros((1, 0)))


def test_probabilities() -> None:
    """Qubit 0 is the least significant bit of a basis state."""
    circuit = QuantumCircuit(3)
    x = ParameterVector("x", 3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
    circuit.cx(0, 2)
    layer = CircuitLayer(circuit, features=x, outputs="probabilities")
    rows = np.random.default_rng(3).uniform(-1, 1, (2, 3))
    states = [Statevector(circuit.assign_parameters(row)) for row in rows]
    expected = np.array([state.probabilities() for state in states])
    for backend in ("native", "aer"):
        module = QuantumLayer(layer, backend=backend)
        found = module(torch.tensor(rows)).detach()
        np.testing.assert_allclose(found, expected, atol=MACHINE)
    assert len(readouts_of(layer.observables)) == 1


def test_wide_circuits() -> None:
    """Angles of qubits that do not meet: cosines, and their product at the far ends."""
    n_qubits = 14
    x = ParameterVector("x", n_qubits)
    circuit = QuantumCircuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(x[qubit], qubit)
    read = [SparsePauliOp("Z" + "I" * 12 + "Z"), SparsePauliOp("I" * 13 + "X")]
    module = QuantumLayer(CircuitLayer(circuit, features=x, observables=read), backend="native")
    rows = torch.rand((2, n_qubits), dtype=torch.float64, requires_grad=True)
    outputs = module(rows)
    expected = torch.stack([rows[:, 0].cos() * rows[:, -1].cos(), rows[:, 0].sin()], dim=1)
    torch.testing.assert_close(outputs, expected, atol=MACHINE, rtol=0)
    (found,) = torch.autograd.grad(outputs.sum(), rows)
    (right,) = torch.autograd.grad(expected.sum(), rows)
    torch.testing.assert_close(found, right, atol=MACHINE, rtol=0)
