"""What no layer can be, refused where it is made, with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from qbackend import CircuitLayer, errors

X = Parameter("x")


def one_qubit() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.rx(X, 0)
    return circuit


def measured_at_the_end() -> CircuitLayer:
    circuit = one_qubit()
    circuit.measure_all()
    return CircuitLayer(circuit, features=[X])


def measured_before() -> CircuitLayer:
    circuit = QuantumCircuit(2, 1)
    circuit.ry(X, 0)
    circuit.measure(0, 0)
    circuit.cx(0, 1)
    return CircuitLayer(circuit, features=[X])


def with_reset() -> CircuitLayer:
    circuit = one_qubit()
    circuit.reset(0)
    return CircuitLayer(circuit, features=[X])


def with_condition() -> CircuitLayer:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 1)):
        circuit.x(0)
    return CircuitLayer(circuit)


def initialised_late() -> CircuitLayer:
    circuit = one_qubit()
    circuit.initialize([1, 0], 0)
    return CircuitLayer(circuit, features=[X])


def within() -> CircuitLayer:
    inner = QuantumCircuit(1, 1)
    inner.measure(0, 0)
    circuit = QuantumCircuit(1, 1)
    circuit.append(inner.to_instruction(), [0], [0])
    return CircuitLayer(circuit)


def power_of_two() -> CircuitLayer:
    circuit = QuantumCircuit(1)
    circuit.ry(2**X, 0)
    return CircuitLayer(circuit, features=[X])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (measured_at_the_end, "'measure' on qubit 0 .*remove_final_measurements"),
        (measured_before, r"'measure' on qubit 0 \(instruction 1\).*before its end"),
        (with_reset, r"'reset' on qubit 0 \(instruction 1\)"),
        (with_condition, "'if_else' on qubit 0 .*no conditions"),
        (initialised_late, "'initialize' on qubits 0 .*StatePreparation"),
        (within, "measure"),
        (power_of_two, "2\\*\\*x"),
        (lambda: CircuitLayer("circuit"), "a circuit is a QuantumCircuit"),
        (lambda: CircuitLayer(QuantumCircuit(0)), "no qubits"),
        (lambda: CircuitLayer(one_qubit()), "'x' is neither feature nor weight"),
        (lambda: CircuitLayer(one_qubit(), features=[Parameter("x")]), "others of the same name"),
        (lambda: CircuitLayer(one_qubit(), features=[X], weights=[X]), "'x' is listed twice"),
        (lambda: CircuitLayer(one_qubit(), features=["y"]), "no parameter 'y'"),
        (lambda: CircuitLayer(one_qubit(), features=[3]), "got 3 in it"),
        (lambda: CircuitLayer(one_qubit(), features=[X], observables=5), "observables are a list"),
        (lambda: CircuitLayer(one_qubit(), features=[X], observables=[]), "at least one"),
        (lambda: CircuitLayer(one_qubit(), features=[X], observables=["ZZ"]), "acts on 2 qubits"),
        (lambda: CircuitLayer(one_qubit(), features=[X], observables=["A"]), "0 is none"),
        (
            lambda: CircuitLayer(QuantumCircuit(1), observables=[SparsePauliOp("Z", 1j)]),
            "complex coefficients",
        ),
        (
            lambda: CircuitLayer(
                one_qubit(), features=[X], observables=[SparsePauliOp("Z", float("nan"))]
            ),
            "not finite",
        ),
        (lambda: CircuitLayer(one_qubit(), features=[X], outputs="counts"), "unknown outputs"),
        (
            lambda: CircuitLayer(QuantumCircuit(9), outputs="probabilities"),
            "512 probabilities",
        ),
        (
            lambda: CircuitLayer(
                one_qubit(), features=[X], observables=["Z"], outputs="probabilities"
            ),
            "leave one out",
        ),
    ],
)  # fmt: skip
def test_what_no_layer_can_be(make: Callable[[], CircuitLayer], words: str) -> None:
    with pytest.raises(errors.SpecError, match=words):
        make()
