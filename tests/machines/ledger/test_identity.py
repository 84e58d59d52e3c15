"""What is asked for again is recognised, whatever process asks and however texts are written."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qbackend import CircuitLayer
from qbackend.circuits.device_form import compile_for_target
from qbackend.circuits.measuring import turned_circuits
from qbackend.layers.program import Layer
from qbackend.layers.spec import LayerSpec
from qbackend.machines.ledger.identity import content_key, layer_key, request_key, what_key
from qbackend.machines.ledger.layers import from_text, to_text
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.requests import CompiledLayer
from tests.support.any_circuit import FEATURES, WEIGHTS, own_layer
from tests.support.cases import ANSATZE, ENCODINGS, features, weights

from ..fakes import MACHINE, small_target

SPECS = [
    LayerSpec(n_wires, encoding, ansatz)
    for n_wires in (1, 2, 4)
    for encoding in ENCODINGS
    for ansatz in ANSATZE
]

PRINT_KEY = """
from qbackend.circuits.device_form import compile_for_target
from tests.machines.ledger.test_identity import key_of
from tests.machines.fakes import small_target
from qbackend.layers.spec import LayerSpec
from tests.support.any_circuit import own_layer
print(key_of(compile_for_target({layer}, small_target())))
"""


def key_of(compiled: CompiledLayer, **change: object) -> str:
    given = {"machine": MACHINE, "shots": 64, "seed": 1, "options": ExecutionOptions(), **change}
    return content_key(compiled, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s.n_wires}-{s.encoding}-{s.ansatz}")
def test_a_compiled_layer_comes_back_from_text(spec: LayerSpec) -> None:
    compiled = compile_for_target(spec, small_target())
    back = from_text(to_text(compiled))
    assert back.circuit == compiled.circuit
    assert back.observables == compiled.observables
    assert [p.name for p in back.parameters] == [p.name for p in compiled.parameters]
    assert (back.spec, back.record) == (compiled.spec, compiled.record)
    rows = features(spec, 3, 0), weights(spec, 0)
    np.testing.assert_array_equal(back.rows(*rows), compiled.rows(*rows))
    assert key_of(back) == key_of(compiled)


def test_a_circuit_of_ones_own_comes_back_from_text() -> None:
    compiled = compile_for_target(own_layer(), small_target())
    back = from_text(to_text(compiled))
    assert back.spec == compiled.spec
    assert back.observables == compiled.observables
    assert (back.readouts, back.record) == (compiled.readouts, compiled.record)
    assert turned_circuits(back) == turned_circuits(compiled)
    np.testing.assert_array_equal(back.rows(FEATURES, WEIGHTS), compiled.rows(FEATURES, WEIGHTS))
    assert key_of(back) == key_of(compiled)
    assert layer_key(back.spec, MACHINE, "auto") == layer_key(compiled.spec, MACHINE, "auto")


@pytest.mark.parametrize("layer", [LayerSpec(2), own_layer()], ids=["catalogue", "own"])
def test_another_process_finds_the_same_key(layer: Layer) -> None:
    kind = "own_layer()" if isinstance(layer, CircuitLayer) else "LayerSpec(2)"
    command = [sys.executable, "-c", PRINT_KEY.format(layer=kind)]
    root = Path(__file__).parents[3]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == key_of(compile_for_target(layer, small_target()))


def test_a_result_is_of_the_bases_that_it_was_measured_in() -> None:
    """Whatever else another version of Qiskit would read together."""
    compiled = compile_for_target(own_layer(), small_target())
    other = replace(compiled)
    other.__dict__["readouts"] = compiled.readouts[::-1]
    assert key_of(other) != key_of(compiled)


def test_another_circuit_has_another_key() -> None:
    # On one wire several specs are one circuit.
    specs = [spec for spec in SPECS if spec.n_wires > 1]
    keys = {key_of(compile_for_target(spec, small_target())) for spec in specs}
    assert len(keys) == len(specs)


@pytest.mark.parametrize(
    "change", [{"machine": "ibm_other"}, {"shots": 65}, {"seed": None}, {"seed": 2}], ids=str
)
def test_all_that_matters_is_in_the_key(change: dict[str, object]) -> None:
    compiled = compile_for_target(LayerSpec(2), small_target())
    assert key_of(compiled, **change) != key_of(compiled)


def test_keys_of_layers_and_rows() -> None:
    spec = LayerSpec(2)
    keys = {
        layer_key(spec, MACHINE, "auto"),
        layer_key(spec, MACHINE, "textbook"),
        layer_key(spec, "ibm_other", "auto"),
        layer_key(LayerSpec(3), MACHINE, "auto"),
        layer_key(spec, MACHINE, "auto", ExecutionOptions(fractional_gates=True)),
    }
    assert len(keys) == 5
    rows = np.arange(6.0)
    assert request_key("c", rows.reshape(2, 3)) != request_key("c", rows.reshape(3, 2))


MITIGATED = ExecutionOptions(
    "estimator",
    "client",
    precision=0.05,
    dynamical_decoupling="XY4",
    gate_twirling=True,
    readout_mitigation="trex",
    zne=(1.0, 3.0),
    deadline=7.0,
)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (ExecutionOptions(), "ab90bf38a3483de2f955a2082ead6731655a74552ff7ae628a1de43445bb19d5"),
        (MITIGATED, "6ed19ec8c7617e9d4a33a61f2cbeaa48879be48c307e5e14299247bc8f0d42fe"),
    ],
)
def test_keys_are_those_of_ledgers_that_are_there(options: ExecutionOptions, key: str) -> None:
    """Under any other, what was paid for would be paid for once more."""
    assert what_key(LayerSpec(2), MACHINE, 3, 64, 5, options) == key
    layer = "ddcfed2b139598b9e671d1b5ed3150d833494ce15288fe14ad9f224bd47ff1c1"
    assert layer_key(LayerSpec(2), MACHINE, "auto") == layer
    assert layer_key(LayerSpec(2), MACHINE, "auto", ExecutionOptions()) == layer
