"""All forms of a layer mean the same, cost what they should, and fail with words."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CZGate, RZGate, SXGate, XGate
from qiskit.quantum_info import Statevector
from qiskit.transpiler import InstructionProperties, Target

from qbackend.circuits.device_form import (
    Preparation,
    choose_preparation,
    compile_for_target,
    drop_idle_qubits,
    logical_layer,
)
from qbackend.circuits.line_plan import plan_line
from qbackend.circuits.logical import compile_layer
from qbackend.circuits.placement import line_layer
from qbackend.circuits.preparation import N_ANGLES
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import OptionError, UnknownNameError
from qbackend.layers.spec import LayerSpec
from qbackend.seam.requests import CompiledLayer
from tests.support.cases import ANSATZE, ENCODINGS, MACHINE, weights

Array = NDArray[np.float64]

ONE_SEED = (3,)
device = cache(load_snapshot)


def compiled(
    spec: LayerSpec, name: str, preparation: Preparation = "auto", *, move: bool = True
) -> CompiledLayer:
    target = device(name).target
    return compile_for_target(
        spec,
        target,
        device=name,
        preparation=preparation,
        move_final_cliffords=move,
        seeds=ONE_SEED,
    )


def features(spec: LayerSpec) -> Array:
    """Random signs, sparse, uniform, equal singular values, one amplitude."""
    rng, size = np.random.default_rng(spec.n_wires), spec.n_features
    rows = rng.normal(size=(5, size))
    rows[1, 1::2] = 0.0
    rows[2] = 1.0
    rows[3] = np.eye(2 ** (-(-spec.n_wires // 2)))[: size // 2].ravel()[:size] if size > 2 else 1.0
    rows[4] = -2.0 * np.eye(size)[-1]
    return rows


def expectations(layer: CompiledLayer, inputs: Array, angles: Array) -> Array:
    values = []
    for row in layer.rows(inputs, angles):
        bound = layer.circuit.assign_parameters(dict(zip(layer.parameters, row, strict=True)))
        state = Statevector(bound)
        values.append([state.expectation_value(o).real for o in layer.observables])
    return np.array(values)


def assert_same(layer: CompiledLayer) -> None:
    spec = layer.spec
    inputs, angles = features(spec), weights(spec, seed=5)
    expected = expectations(compile_layer(spec), inputs, angles)
    np.testing.assert_allclose(expectations(layer, inputs, angles), expected, atol=MACHINE)


@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize("preparation", ["textbook", "compact"])
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [1, 2, 3, 4, 5, 6])
def test_logical_forms_agree(
    n_wires: int, ansatz: str, preparation: Preparation, move: bool
) -> None:
    spec = LayerSpec(n_wires, ansatz=ansatz)
    assert_same(logical_layer(spec, preparation=preparation, move_final_cliffords=move))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize(
    ("n_wires", "n_layers"),
    [(2, 3), (3, 1), (3, 3), (4, 2), pytest.param(4, 3, marks=pytest.mark.slow)],
)
def test_lines_and_rings_agree(n_wires: int, n_layers: int, ansatz: str, encoding: str) -> None:
    spec = LayerSpec(n_wires, encoding=encoding, ansatz=ansatz, n_layers=n_layers)
    for closed in (False, True)[: 1 + (n_wires > 2)]:
        assert_same(line_layer(spec, plan_line(spec, closed=closed)))


@pytest.mark.parametrize("name", ["fake_brisbane", "fake_nighthawk"])
@pytest.mark.parametrize("ansatz", ANSATZE)
@pytest.mark.parametrize("n_wires", [1, 2, 3, 4, 5])
def test_compact_device_forms_agree(n_wires: int, ansatz: str, name: str) -> None:
    assert_same(drop_idle_qubits(compiled(LayerSpec(n_wires, ansatz=ansatz), name)))


@pytest.mark.parametrize(
    ("preparation", "move"), [("textbook", False), ("textbook", True), ("compact", False)]
)
def test_routed_device_forms_agree(preparation: Preparation, move: bool) -> None:
    assert_same(drop_idle_qubits(compiled(LayerSpec(3), "fake_brisbane", preparation, move=move)))


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_angle_encoding_on_a_device(ansatz: str) -> None:
    spec = LayerSpec(4, encoding="angle", ansatz=ansatz)
    assert_same(drop_idle_qubits(compiled(spec, "fake_fez")))


def test_other_observables() -> None:
    spec = LayerSpec(4, observables=("ZZZZ", "IZIZ", "IIII"))
    assert_same(drop_idle_qubits(compiled(spec, "fake_torino")))


@pytest.mark.parametrize(
    ("name", "ansatz", "n_gates"),
    [
        ("fake_brisbane", "basic_entangler", 11),
        ("fake_torino", "basic_entangler", 11),
        ("fake_fez", "basic_entangler", 11),
        ("fake_nighthawk", "basic_entangler", 11),
        ("fake_brisbane", "strongly_entangling", 13),
        ("fake_nighthawk", "strongly_entangling", 11),
        ("fake_brisbane", "rotation_only", 7),
    ],
)
def test_two_qubit_gates_of_four_wires(name: str, ansatz: str, n_gates: int) -> None:
    layer = compiled(LayerSpec(4, ansatz=ansatz), name)
    assert layer.record["two_qubit_gates"] == n_gates
    assert layer.circuit.num_nonlocal_gates() == n_gates


def test_auto_is_compact_where_that_is_less() -> None:
    for n_wires in range(1, 8):
        spec = LayerSpec(n_wires)
        counts = {
            preparation: logical_layer(spec, preparation=preparation).record["two_qubit_gates"]
            for preparation in (("textbook", "compact") if n_wires in N_ANGLES else ("textbook",))
        }
        fewest = min(
            counts, key=lambda preparation: (counts[preparation], preparation != "textbook")
        )
        assert choose_preparation(spec, "auto") == fewest


def test_circuit_is_in_the_device_gates() -> None:
    layer, target = compiled(LayerSpec(4), "fake_brisbane"), device("fake_brisbane").target
    for item in layer.circuit.data:
        qubits = tuple(layer.circuit.find_bit(qubit).index for qubit in item.qubits)
        assert target.instruction_supported(item.operation.name, qubits)


def test_record() -> None:
    layer, target = compiled(LayerSpec(4), "fake_torino"), device("fake_torino").target
    record = layer.record
    ends, fidelity = dict.fromkeys(range(133), 0.0), 1.0
    for item in layer.circuit.data:
        qubits = tuple(layer.circuit.find_bit(qubit).index for qubit in item.qubits)
        reported = target[item.operation.name][qubits]
        fidelity *= 1 - reported.error
        ends.update(dict.fromkeys(qubits, max(ends[q] for q in qubits) + reported.duration))
    readout = np.prod([1 - target["measure"][q,].error for q in record["physical_qubits"]])
    assert record["gate_fidelity"] == pytest.approx(fidelity)
    assert record["readout_fidelity"] == pytest.approx(readout)
    assert record["duration"] == pytest.approx(max(ends.values()))
    assert record["two_qubit_depth"] <= record["two_qubit_gates"]
    assert (record["device"], record["preparation"]) == ("fake_torino", "compact")
    assert record["final_cliffords_moved"] is True


def test_place_is_the_best_that_is_reported() -> None:
    """No other line of qubits does better, by the record's own numbers."""
    target = line_target(errors=[0.02, 0.01, 0.001, 0.002, 0.03], readout=[0.1] + 5 * [0.01])
    layer = compile_for_target(LayerSpec(3), target)
    assert layer.record["physical_qubits"] == [2, 3, 4]


def test_dropping_idle_qubits() -> None:
    layer = compiled(LayerSpec(4), "fake_brisbane")
    dropped = drop_idle_qubits(layer)
    assert layer.circuit.num_qubits == 127
    assert dropped.circuit.num_qubits == 4
    assert dropped.circuit.count_ops() == layer.circuit.count_ops()
    assert dropped.record["physical_qubits"] == layer.record["physical_qubits"]
    assert {o.num_qubits for o in dropped.observables} == {4}
    assert drop_idle_qubits(dropped).circuit == dropped.circuit


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
def test_compilation_is_deterministic(preparation: Preparation) -> None:
    first = compiled(LayerSpec(3), "fake_fez", preparation)
    plan_line.cache_clear()
    second = compiled(LayerSpec(3), "fake_fez", preparation)
    row = np.arange(len(first.parameters), dtype=float)
    circuits = [
        layer.circuit.assign_parameters(dict(zip(layer.parameters, row, strict=True)))
        for layer in (first, second)
    ]
    assert circuits[0] == circuits[1]
    assert first.observables == second.observables
    assert first.record == second.record


def test_routing_records_its_seeds_and_takes_the_best() -> None:
    target = device("fake_fez").target
    each = [
        compile_for_target(LayerSpec(3), target, preparation="textbook", seeds=(seed,)).record
        for seed in (0, 1, 2)
    ]
    best = compile_for_target(LayerSpec(3), target, preparation="textbook", seeds=(0, 1, 2)).record
    fidelities = [record["gate_fidelity"] * record["readout_fidelity"] for record in each]
    assert best["gate_fidelity"] * best["readout_fidelity"] == max(fidelities)
    assert best["seeds"] == [0, 1, 2]
    assert best["seed"] in best["seeds"]


def test_compiled_layer_pickles() -> None:
    layer = drop_idle_qubits(compiled(LayerSpec(4), "fake_brisbane"))
    copy = pickle.loads(pickle.dumps(layer))
    inputs, angles = features(layer.spec), weights(layer.spec, seed=1)
    np.testing.assert_array_equal(copy.rows(inputs, angles), layer.rows(inputs, angles))
    np.testing.assert_array_equal(
        expectations(copy, inputs, angles), expectations(layer, inputs, angles)
    )


def test_zero_row_has_zero_angles() -> None:
    layer = logical_layer(LayerSpec(4), preparation="compact")
    rows = layer.rows(np.zeros((1, 16)), np.ones(8))
    assert not rows[0, :15].any()


def line_target(
    errors: list[float | None], readout: list[float | None], duration: float | None = 7e-8
) -> Target:
    """CZ between neighbours of a line; None is a value that is not reported."""
    qubits = [(q,) for q in range(len(readout))]
    single = {q: InstructionProperties(error=1e-4, duration=3e-8) for q in qubits}
    target = Target(num_qubits=len(qubits))
    target.add_instruction(SXGate(), single)
    target.add_instruction(XGate(), single)
    free = {q: InstructionProperties(error=0.0, duration=0.0) for q in qubits}
    target.add_instruction(RZGate(Parameter("angle")), free)
    target.add_instruction(
        CZGate(),
        {
            (q, q + 1): InstructionProperties(error=error, duration=duration)
            for q, error in enumerate(errors)
        },
    )
    target.add_instruction(
        Measure(), {q: InstructionProperties(error=readout[q[0]]) for q in qubits}
    )
    return target


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
@pytest.mark.parametrize(
    ("errors", "duration", "says"),
    [
        ([0.01, None, 0.01], 7e-8, "'cz' on qubits 1, 2: it reports error None"),
        ([0.01, 1.0, 0.01], 7e-8, "'cz' on qubits 1, 2: it reports error 1.0"),
        ([0.01, 0.01, 0.01], None, "'cz' on qubits .*duration None"),
    ],
)
def test_uncalibrated_gate(
    errors: list[float | None], duration: float | None, says: str, preparation: Preparation
) -> None:
    target = line_target(errors, 4 * [0.01], duration)
    with pytest.raises(OptionError, match=f"'mine' has no usable calibration of {says}"):
        compile_for_target(
            LayerSpec(4), target, device="mine", preparation=preparation, seeds=ONE_SEED
        )


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
def test_uncalibrated_readout(preparation: Preparation) -> None:
    target = line_target(3 * [0.01], [0.01, 0.01, None, 0.01])
    with pytest.raises(OptionError, match="'measure' on qubit 2"):
        compile_for_target(
            LayerSpec(4), target, device="mine", preparation=preparation, seeds=ONE_SEED
        )


def test_uncalibrated_gate_is_avoided() -> None:
    target = line_target([0.01, None, 0.01, 0.01], 5 * [0.01])
    assert compile_for_target(LayerSpec(3), target).record["physical_qubits"] == [2, 3, 4]


def test_no_line() -> None:
    target = line_target([0.01], 4 * [0.01])
    with pytest.raises(OptionError, match="'mine' has no line of 4 neighbouring qubits"):
        compile_for_target(LayerSpec(4), target, device="mine")


def test_fewer_qubits_than_wires() -> None:
    with pytest.raises(OptionError, match=r"4 wires, more than the qubits of 'fake_armonk' \(1\)"):
        compiled(LayerSpec(4), "fake_armonk")


def test_preparation_too_narrow() -> None:
    with pytest.raises(OptionError, match="the compact preparation takes 1 to 6 wires"):
        logical_layer(LayerSpec(7), preparation="compact")


def test_unknown_preparation() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown preparation 'compct': did you mean 'compact'"
    ):
        compiled(LayerSpec(2), "fake_fez", "compct")  # type: ignore[arg-type]
