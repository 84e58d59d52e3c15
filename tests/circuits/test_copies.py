"""Copies of a layer on a device: where they are, and that each is the layer."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import rustworkx
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qbackend import CircuitLayer, LayerSpec, get_backend
from qbackend.circuits.copied import with_copies
from qbackend.circuits.copying import Copying
from qbackend.circuits.device_form import compile_for_target, drop_idle_qubits
from qbackend.circuits.placement import active_qubits
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import OptionError
from qbackend.layers.program import Layer
from qbackend.machines.planning import lost_places
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.side_by_side import side_by_side, widened
from tests.support.any_circuit import FEATURES, WEIGHTS, exact, own_layer

DEVICES = ("fake_fez", "fake_marrakesh", "fake_torino", "fake_brisbane")
ROUNDING = 1e-10


def loose() -> CircuitLayer:
    """Two qubits that are joined and one that is not."""
    x, w, circuit = ParameterVector("x", 3), ParameterVector("w", 2), QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
    circuit.cx(0, 2)
    circuit.rx(w[0], 1)
    circuit.rx(w[1], 2)
    return CircuitLayer(circuit, features=[x], weights=[w], observables=["ZIZ", "IXI"])


LAYERS: dict[str, Layer] = {
    "line": LayerSpec(4, encoding="amplitude", ansatz="basic_entangler", n_layers=2),
    "ring": own_layer(),
    "loose": loose(),
}


@cache
def copied(device: str, name: str, border: int, copies: int | None = None) -> CompiledLayer:
    target = load_snapshot(device).target
    compiled = compile_for_target(LAYERS[name], target, device=device)
    return with_copies(compiled, target, Copying(copies or "auto", border))


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("device", DEVICES)
def test_places_are_apart_and_nearly_as_good_as_the_best(
    device: str, name: str, border: int
) -> None:
    layer = copied(device, name, border)
    target = load_snapshot(device).target
    distances = rustworkx.distance_matrix(target.build_coupling_map().graph.to_undirected())
    places = [active_qubits(copy) for copy in layer.copies]
    assert len(places) > 5
    for index, one in enumerate(places):
        for other in places[:index]:
            assert distances[np.ix_(one, other)].min() > border
    fidelities = [
        copy["gate_fidelity"] * copy["readout_fidelity"] for copy in layer.record["copies"]
    ]
    assert fidelities[0] == max(fidelities)
    # What gates are turned round by on a device with a direction comes on top of the costs.
    assert min(fidelities) > (0.9 - 0.02) * fidelities[0]
    assert [copy["physical_qubits"] for copy in layer.record["copies"]] == places
    assert lost_places(side_by_side(layer), target) == []


@pytest.mark.parametrize("name", ["ring", "loose"])
@pytest.mark.parametrize("device", ["fake_fez", "fake_brisbane"])
def test_every_copy_has_the_layers_values(device: str, name: str) -> None:
    """Without noise; three bases, and qubits whose order changes from place to place."""
    layer, backend = copied(device, name, 1), get_backend("aer")
    features = FEATURES if name == "ring" else np.array([[0.3, -0.8, 1.1], [1.2, 0.4, 2.0]])
    rows = layer.rows(features, WEIGHTS)
    ideal = backend.compile(LAYERS[name])
    expected = backend.evaluate(Request(ideal, ideal.rows(features, WEIGHTS))).values
    for copy in layer.copies:
        small = drop_idle_qubits(copy)
        found = backend.evaluate(Request(small, rows)).values
        np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_all_copies_are_one_layer() -> None:
    """Of each copy its own observables at its own angles, read in the first one's bases."""
    layer = copied("fake_brisbane", "ring", 1, copies=3)
    request = Request(layer, layer.rows(FEATURES, WEIGHTS), shots=1)
    wide = widened(request)
    backend, small = get_backend("aer"), drop_idle_qubits(wide.compiled)
    found = backend.evaluate(Request(small, wide.parameters)).values
    np.testing.assert_allclose(found.reshape(3, -1), exact(own_layer()), atol=ROUNDING)
    assert [len(each.basis) for each in wide.compiled.readouts] == [
        3 * len(each.basis) for each in layer.readouts
    ]


def test_copies_are_the_same_every_time_and_the_better_ones_where_few_are_wanted() -> None:
    every = copied("fake_fez", "line", 1).record["copies"]
    copied.cache_clear()
    assert copied("fake_fez", "line", 1).record["copies"] == every
    few = copied("fake_fez", "line", 1, copies=4).record["copies"]
    assert len(few) == 4
    quality = [np.mean([copy["gate_fidelity"] for copy in each]) for each in (few, every)]
    assert quality[0] > quality[1]


def test_a_chip_that_is_too_small_says_how_many_fit() -> None:
    with pytest.raises(OptionError, match=r"has 2[0-9] places .* take --copies 2[0-9] or auto"):
        copied("fake_fez", "line", 1, copies=60)


def test_one_copy_is_the_layer_alone() -> None:
    alone = copied("fake_fez", "line", 1, copies=1)
    assert alone.copies == ()
    assert "copies" not in alone.record
    assert side_by_side(alone) is alone


@pytest.mark.parametrize("device", ["fake_hanoi", "fake_cairo"])
def test_places_where_a_gate_cannot_be_turned_round_are_left_out(device: str) -> None:
    """One direction is reported to be broken, or there are two kinds of gates."""
    layer, target = copied(device, "line", 1), load_snapshot(device).target
    assert lost_places(side_by_side(layer), target) == []


def test_a_wide_layer_is_placed_in_seconds_and_no_worse_than_alone() -> None:
    """It has more embeddings than are looked at: where it was compiled to is one of them."""
    angles, circuit = ParameterVector("x", 30), QuantumCircuit(30)
    for qubit in range(30):
        circuit.ry(angles[qubit], qubit)
    for qubit in range(29):
        circuit.cx(qubit, qubit + 1)
    target = load_snapshot("fake_fez").target
    layer = CircuitLayer(circuit, features=[angles])
    alone = compile_for_target(layer, target, device="fake_fez", seeds=(0,))
    found = with_copies(alone, target, Copying())
    fidelities = [
        each.record["gate_fidelity"] * each.record["readout_fidelity"] for each in (found, alone)
    ]
    assert len(found.copies) >= 2
    assert fidelities[0] >= 0.9 * fidelities[1]
