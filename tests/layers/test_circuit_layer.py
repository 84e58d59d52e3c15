"""What a circuit layer takes, what it refuses, and that it is the same when made again."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from math import pi

import numpy as np
import pytest
import torch
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import AnnotatedOperation, Gate, Parameter, ParameterVector, PowerModifier
from qiskit.circuit import library as gates
from qiskit.circuit.library import PauliEvolutionGate, UnitaryGate
from qiskit.quantum_info import Pauli, SparsePauliOp, Statevector, random_unitary

from experiments.bench.circuits import CIRCUITS, circuit_layer
from qbackend import CircuitLayer, QuantumLayer, errors
from qbackend.layers.definitions import layer_of
from qbackend.layers.tape import record

from ..support.cases import MACHINE

X, W = Parameter("x"), Parameter("w")


def one_qubit() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(X, 0)
    return circuit


def outputs(layer: CircuitLayer, rows: np.ndarray, backend: str = "native") -> np.ndarray:
    return QuantumLayer(layer, backend=backend)(torch.tensor(rows)).detach().numpy()


def by_states(layer: CircuitLayer, rows: np.ndarray) -> np.ndarray:
    found = []
    for row in rows:
        state = Statevector(
            layer.circuit.assign_parameters(dict(zip(layer.features, row, strict=True)))
        )
        found.append([state.expectation_value(each).real for each in layer.observables])
    return np.array(found)


@pytest.mark.parametrize("name", CIRCUITS)
def test_it_is_the_same_when_read_again(name: str) -> None:
    layer = circuit_layer(name)
    for again in (layer_of(layer.to_dict()), pickle.loads(pickle.dumps(layer))):
        assert again == layer
        assert hash(again) == hash(layer)
        assert again.to_dict().keys() == layer.to_dict().keys()
    assert layer != circuit_layer("no_features" if name != "no_features" else "qcnn")


def test_the_key_is_the_same_in_another_process() -> None:
    code = (
        "from experiments.bench.circuits import circuit_layer\n"
        "print(circuit_layer('controlled_rotations').key)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert found.strip() == circuit_layer("controlled_rotations").key


def test_the_key_tells_near_angles_apart() -> None:
    keys = set()
    for angle in (1e6, 1e6 + 4e-7):
        circuit = QuantumCircuit(1)
        circuit.ry(angle, 0)
        keys.add(CircuitLayer(circuit).key)
    assert len(keys) == 2


def test_a_matrix_is_always_decomposed_alike() -> None:
    circuit = QuantumCircuit(2)
    circuit.append(UnitaryGate(random_unitary(4, seed=0)), [0, 1])
    assert len({CircuitLayer(circuit).key for _ in range(6)}) == 1


def test_later_changes_of_the_circuit_do_not_reach_the_layer() -> None:
    circuit = one_qubit()
    layer = CircuitLayer(circuit, features=[X])
    circuit.ry(1.0, 0)
    layer.circuit.ry(1.0, 0)
    assert layer.circuit.count_ops() == {"rx": 1}


class Impostor(Gate):
    """A rotation about Y under the name of another."""

    def __init__(self, angle: Parameter) -> None:
        super().__init__("rx", 1, [angle])

    def _define(self) -> None:
        self.definition = QuantumCircuit(1)
        self.definition.ry(self.params[0], 0)


def named(name: str, *, nested: bool = False) -> QuantumCircuit:
    inner = QuantumCircuit(1, name=name)
    inner.ry(X, 0)
    circuit = QuantumCircuit(1)
    if nested:
        middle = QuantumCircuit(1, name="middle")
        middle.append(inner.to_gate(), [0])
        inner = middle
    circuit.append(inner.to_gate(), [0])
    return circuit


def impostor() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.append(Impostor(X), [0])
    return circuit


@pytest.mark.parametrize("backend", ["native", "aer"])
@pytest.mark.parametrize(
    "circuit",
    [named("p"), named("h"), named("rx", nested=True), named("swap"), impostor()],
    ids=["p", "h", "nested", "swap", "class"],
)
def test_a_gate_is_what_it_consists_of(circuit: QuantumCircuit, backend: str) -> None:
    """Whatever it is called."""
    layer = CircuitLayer(circuit, features=[X])
    rows = np.array([[0.3], [1.2]])
    np.testing.assert_allclose(outputs(layer, rows, backend), np.cos(rows), atol=MACHINE)


def built(build: Callable[[QuantumCircuit], object]) -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(X, [0, 1, 2])
    build(circuit)
    return circuit


def powered(circuit: QuantumCircuit) -> None:
    circuit.append(AnnotatedOperation(gates.RYGate(0.7), [PowerModifier(2)]), [0])


@pytest.mark.parametrize(
    "build",
    [
        lambda c: c.append(gates.MCXGate(2), [0, 1, 2]),
        lambda c: c.append(gates.CXGate(ctrl_state=0), [0, 1]),
        lambda c: c.append(gates.RYGate(X).control(2), [0, 1, 2]),
        lambda c: c.append(UnitaryGate(random_unitary(8, seed=1)), [0, 1, 2]),
        lambda c: c.append(gates.QFTGate(3), [0, 1, 2]),
        lambda c: c.append(gates.PermutationGate([2, 0, 1]), [0, 1, 2]),
        lambda c: c.append(gates.MSGate(2, 0.3), [0, 1]),
        lambda c: c.append(gates.Isometry(random_unitary(2, seed=2).data, 0, 0), [0]),
        lambda c: (c.delay(3, 0, "ns"), c.barrier(), c.delay(2, 1, "dt"), c.cx(0, 2)),
        powered,
    ],
)
def test_composite_gates(build: Callable[[QuantumCircuit], object]) -> None:
    layer = CircuitLayer(built(build), features=[X], observables=["ZII", "XYI", "IZX"])
    rows = np.array([[0.4], [2.1]])
    np.testing.assert_allclose(outputs(layer, rows), by_states(layer, rows), atol=MACHINE)
    again = pickle.loads(pickle.dumps(layer))
    np.testing.assert_allclose(outputs(again, rows), by_states(layer, rows), atol=MACHINE)


def test_evolution_is_its_definition() -> None:
    """Terms that do not commute follow one another."""
    operator = SparsePauliOp(["XI", "ZZ"], [0.7, 0.4])
    circuit = QuantumCircuit(2)
    circuit.append(PauliEvolutionGate(operator, time=X), [0, 1])
    steps = QuantumCircuit(2)
    for name, factor in (("XI", 0.7), ("ZZ", 0.4)):
        steps.append(PauliEvolutionGate(SparsePauliOp(name, factor), time=X), [0, 1])
    read = ["ZI", "YZ"]
    rows = np.array([[0.9]])
    expected = by_states(CircuitLayer(steps, features=[X], observables=read), rows)
    found = outputs(CircuitLayer(circuit, features=[X], observables=read), rows)
    np.testing.assert_allclose(found, expected, atol=MACHINE)


@pytest.mark.parametrize("given", [[0.6, 0.8j], "1", 1, "+"])
def test_initialize_in_front(given: object) -> None:
    circuit = QuantumCircuit(1)
    circuit.initialize(given, 0)
    circuit.ry(X, 0)
    layer = CircuitLayer(circuit, features=[X], observables=["Z", "X", "Y"])
    rows = np.array([[0.4]])
    np.testing.assert_allclose(outputs(layer, rows), by_states(layer, rows), atol=MACHINE)


def test_registers_of_all_kinds() -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "a"), QuantumRegister(2, "b"), ClassicalRegister(2))
    circuit.ry(X, [0, 1, 2])
    circuit.cx(0, 2)
    layer = CircuitLayer(circuit, features=[X])
    rows = np.array([[0.7]])
    np.testing.assert_allclose(outputs(layer, rows), by_states(layer, rows), atol=MACHINE)


def test_global_phases_under_a_control() -> None:
    inner = QuantumCircuit(1, global_phase=X)
    inner.rz(0.3, 0)
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.append(inner.to_gate().control(1), [0, 1])
    layer = CircuitLayer(circuit, features=[X], observables=["IX", "IY"])
    rows = np.array([[0.4], [1.7]])
    np.testing.assert_allclose(outputs(layer, rows), by_states(layer, rows), atol=MACHINE)


@pytest.mark.parametrize(
    "angle",
    [
        X.sin(), X.cos(), X.tan(), X.arcsin(), X.arccos(), X.arctan(), X.exp(), X.log(), X.abs(),
        X.sign() * X, X.conjugate(), X**3, 1 / X, X**X, (X * X.exp()).abs(), X - X + 1,
    ],
    ids=str,
)  # fmt: skip
def test_every_function(angle: object) -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    module = QuantumLayer(CircuitLayer(circuit, features=[X]), backend="native").double()
    rows = torch.tensor([[0.35], [0.8]], dtype=torch.float64, requires_grad=True)
    expected = by_states(CircuitLayer(circuit, features=[X]), rows.detach().numpy())
    np.testing.assert_allclose(module(rows).detach(), expected, atol=MACHINE)
    assert torch.autograd.gradcheck(module, (rows,))
    aer = QuantumLayer(CircuitLayer(circuit, features=[X]), backend="aer").double()
    assert torch.autograd.gradcheck(aer, (rows,))


def test_where_an_expression_has_no_slope() -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(X.abs() + X**W, 0)
    for backend in ("native", "aer"):
        module = QuantumLayer(CircuitLayer(circuit, features=[X], weights=[W]), backend=backend)
        with torch.no_grad():
            module.weight.fill_(2.0)
        rows = torch.zeros((1, 1), requires_grad=True)
        module(rows).sum().backward()
        assert rows.grad.item() == module.weight.grad.item() == 0.0


@pytest.mark.parametrize("angle", [1e3, 1e7, 1e12, 1e20])
@pytest.mark.parametrize("backend", ["native", "aer"])
def test_large_angles(angle: float, backend: str) -> None:
    layer = CircuitLayer(one_qubit(), features=[X])
    found = outputs(layer, np.array([[angle]]), backend)
    np.testing.assert_allclose(found, np.cos([[angle]]), atol=MACHINE)


def test_observables_to_the_last_term() -> None:
    read = [
        SparsePauliOp("Z", 1e-9),
        SparsePauliOp(["Z", "X"], [1.0, 9e-9]),
        SparsePauliOp("Z", 1 + 1e-17j),
        SparsePauliOp(["Z", "Z"], [1.0, -1.0]),
        Pauli("-Z"),
        "Y",
    ]
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.ry(X, 0)
    layer = CircuitLayer(circuit, features=[X], observables=read)
    found = outputs(layer, np.array([[0.5]]))[0]
    z, x = -np.sin(0.5), np.cos(0.5)
    expected = [1e-9 * z, z + 9e-9 * x, z, 0.0, -z, 0.0]
    np.testing.assert_allclose(found, expected, atol=1e-16, rtol=1e-12)


def test_all_observables_zero_and_no_parameters() -> None:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    for backend in ("native", "aer", "aer:fake_fez", "native:fake_fez"):
        module = QuantumLayer(
            CircuitLayer(circuit, observables=[SparsePauliOp("Z", 0.0)]), backend=backend
        )
        rows = torch.zeros((2, 0), requires_grad=True)
        found = module(rows)
        found.sum().backward()
        assert found.tolist() == [[0.0], [0.0]]


def test_unused_parameters_have_no_slope() -> None:
    for backend in ("native", "aer", "aer:fake_fez", "native:fake_fez"):
        layer = CircuitLayer(one_qubit(), features=[X, Parameter("y")], weights=[W])
        module = QuantumLayer(layer, backend=backend).double()
        rows = torch.full((1, 2), 0.4, dtype=torch.float64, requires_grad=True)
        module(rows).sum().backward()
        assert rows.grad[0, 1] == module.weight.grad[0] == 0
        with torch.no_grad():
            module.weight.fill_(float("nan"))
        with pytest.raises(errors.InputError, match="weights row 0"):
            module(rows)


def test_parameters_by_name_and_order() -> None:
    """In the order of the user's lists, never of the circuit's."""
    x = ParameterVector("x", 12)
    circuit = QuantumCircuit(12)
    for qubit in range(12):
        circuit.ry(x[qubit], qubit)
    assert CircuitLayer(circuit, features=["x"]).features == tuple(x)
    reverse = CircuitLayer(circuit, features=list(reversed(x)))
    rows = np.zeros((1, 12))
    rows[0, 0] = pi
    assert np.argmin(outputs(reverse, rows)) == 11


@pytest.mark.parametrize("given", [np.zeros((1, 1)), [[1.0]]])
def test_what_is_no_tensor(given: object) -> None:
    module = QuantumLayer(CircuitLayer(one_qubit(), features=[X]), backend="native")
    with pytest.raises(errors.InputError, match="takes a torch tensor"):
        module(given)


def test_a_tape_without_outputs() -> None:
    tape = record([], {"x": 0})
    assert tape.pull(tape.nodes(np.ones((1, 3))), np.zeros((0, 3))).tolist() == [[0.0, 0.0, 0.0]]
