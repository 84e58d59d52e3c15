"""Circuits as text, and their parameters by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter, ParameterVector

from qbackend import CircuitLayer
from qbackend.errors import SpecError
from qbackend.layers.circuit_layer import parameters_named, stems
from qbackend.layers.circuit_text import circuit_of, is_circuit_text, text_of
from qbackend.layers.definitions import layer_of
from tests.support.own_circuit import QASM, circuit


def test_openqasm_and_qpy_are_told_from_the_names_of_files() -> None:
    assert is_circuit_text(QASM)
    assert is_circuit_text(text_of(circuit()))
    assert not any(map(is_circuit_text, ("my.qasm", "my.qpy", "module:function", "a/b.py:f")))


def test_openqasm_and_qpy_hold_the_same_layer() -> None:
    layers = [
        CircuitLayer(circuit_of(text), features="x", weights="w")
        for text in (QASM, text_of(circuit()))
    ]
    features, weights = np.array([[0.3, -1.2]]), np.array([0.5, 1.5, -0.7])
    one, other = (layer.program().inputs.angles(features, weights) for layer in layers)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


@pytest.mark.parametrize("text", [QASM, text_of(circuit())])
def test_a_description_stays_as_it_was(text: str) -> None:
    given = CircuitLayer(circuit_of(text), features="x", weights="w", observables=["ZZI"])
    values = {**given.to_dict(), "circuit": text, "name": "mine"}
    layer = layer_of(json.loads(json.dumps(values)))
    assert layer.to_dict() == values
    assert layer == given
    assert layer.title == "circuit 'mine'"


def test_default_observables_are_left_out() -> None:
    """TOML has no word for nothing."""
    values = CircuitLayer(circuit(), features="x", weights="w").to_dict()
    assert None not in values.values()
    assert layer_of(values).n_outputs == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OPENQASM 3.0;\nqubit q\nh q;", "line 3, column 1: 'h' is not expected there"),
        ("OPENQASM 2.0; qreg q[1];", "qasm3.dump"),
        ("OPENQASM 3.0; qubit q; foo q;", "'foo' is not defined"),
        (QASM.replace("x0", "x"), "call it x0 rather than x"),
        ("UUlTS0lUnonsense", "QPY that cannot be read"),
    ],
)
def test_what_holds_no_circuit_is_explained(
    text: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError, match=words):
        circuit_of(text)
    assert capfd.readouterr() == ("", "")


def names(name: str, given: QuantumCircuit) -> list[str]:
    return [parameter.name for parameter in parameters_named("features", name, given)]


def test_a_vectors_name_stands_for_its_elements_in_their_order() -> None:
    given = QuantumCircuit(1)
    for parameter in ParameterVector("x", 12):
        given.rx(parameter, 0)
    expected = [f"x[{index}]" for index in range(12)]
    assert names("x", given) == expected
    assert stems(given) == ["x"]
    written = qasm3.loads(qasm3.dumps(given))
    assert names("x", written) == [f"_x_{index}_" for index in range(12)]
    assert stems(written) == ["x"]


def test_a_parameters_own_name_comes_first() -> None:
    given = QuantumCircuit(1)
    for name in ("x", "x1", "x_2", "xy3", "x1_4"):
        given.rx(Parameter(name), 0)
    assert names("x", given) == ["x"]
    assert names("xy", given) == ["xy3"]
    assert names("x1", given) == ["x1"]
    with pytest.raises(SpecError, match=r"features: the circuit has no parameter 'z': known"):
        names("z", given)
