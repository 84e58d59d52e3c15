"""Noise models: Aer's own at strength 1, nothing at 0, and each part by its law between."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit.providers import BackendV2
from qiskit.quantum_info import DensityMatrix, SparsePauliOp, SuperOp, average_gate_fidelity
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from qbackend import LayerSpec
from qbackend.devices.noise import (
    WAIT,
    add_noise,
    assignment_matrices,
    build_noise_model,
    channel_after,
)
from qbackend.devices.noise_spec import NoiseSpec, SavedNoise, load_noise, save_noise
from qbackend.devices.properties import DeviceProperties, read_properties
from qbackend.errors import OptionError, RecordError
from qbackend.seam.requests import CompiledLayer

from ..support.reference import aers_model, aers_model_of, fake_backend

ROUNDING = 1e-12
DEVICES = ("brisbane", "sherbrooke", "torino", "fez", "marrakesh", "nighthawk")


def properties(backend: BackendV2, qubits: list[int] | None = None) -> DeviceProperties:
    return read_properties(
        backend.target,
        device=backend.name,
        source="snapshot",
        calibrated_at=datetime(2025, 1, 1, tzinfo=UTC),
        qubits=qubits,
    )


@pytest.fixture(scope="module")
def line() -> DeviceProperties:
    """Three coupled qubits of fake_brisbane, ECR from the middle one outwards or inwards."""
    return properties(fake_backend("fake_brisbane"), [0, 1, 2])


def two_qubit_gate(reported: DeviceProperties) -> tuple[str, tuple[int, ...]]:
    return next((gate.name, gate.qubits) for gate in reported.gates if len(gate.qubits) == 2)


def depolarised_gate(reported: DeviceProperties, n_qubits: int) -> tuple[str, tuple[int, ...]]:
    """A gate whose error relaxation alone does not explain."""
    model = build_noise_model(reported, NoiseSpec.only(one_qubit=1.0, two_qubit=1.0))
    return next(
        (name, where)
        for name, errors in model._local_quantum_errors.items()
        for where in errors
        if len(where) == n_qubits
    )


def fidelity(
    reported: DeviceProperties, noise: NoiseSpec, name: str, where: tuple[int, ...]
) -> float:
    """Average gate fidelity of the channel after a gate."""
    errors = build_noise_model(reported, noise)._local_quantum_errors.get(name, {})
    return average_gate_fidelity(errors[where]) if where in errors else 1.0


def circuit_of(reported: DeviceProperties) -> QuantumCircuit:
    """Every reported gate once, in an order that makes qubits wait for each other."""
    target = reported.target()
    circuit = QuantumCircuit(len(reported.qubits))
    for gate in reported.gates:
        if gate.name in ("sx", "ecr"):
            circuit.append(target.operation_from_name(gate.name), list(gate.qubits))
    return circuit


def layer_of(circuit: QuantumCircuit) -> CompiledLayer:
    n_wires = circuit.num_qubits
    spec = LayerSpec(n_wires, "angle", n_layers=1)
    observables = tuple(map(SparsePauliOp, spec.observables))
    return CompiledLayer(spec, circuit, observables, (), spec.program().inputs)


@pytest.mark.parametrize("device", DEVICES)
def test_at_strength_one_it_is_aers_model(device: str) -> None:
    """On qubits that include the device's worst gate, whose error Aer truncates."""
    backend = fake_backend(f"fake_{device}")
    target = backend.target
    name = next(n for n in ("ecr", "cz") if n in target.operation_names)
    worst = max(target[name], key=lambda where: target[name][where].error)
    chosen = [*range(8), *(q for q in worst if q > 7)]
    expected = aers_model_of(backend, chosen)
    model = build_noise_model(properties(backend, chosen), NoiseSpec())
    assert model.basis_gates == expected.basis_gates
    position = {number: index for index, number in enumerate(chosen)}
    for gate, errors in expected._local_quantum_errors.items():
        theirs = {tuple(position[q] for q in where): error for where, error in errors.items()}
        ours = model._local_quantum_errors[gate]
        assert ours.keys() == theirs.keys()
        for where, error in theirs.items():
            np.testing.assert_allclose(
                SuperOp(ours[where]).data, SuperOp(error).data, atol=ROUNDING, rtol=0
            )
    assert set(model._local_quantum_errors) == set(expected._local_quantum_errors)
    matrices = assignment_matrices(model, len(chosen))
    for number, index in position.items():
        theirs = expected._local_readout_errors[(number,)].probabilities
        np.testing.assert_allclose(matrices[index], theirs, atol=ROUNDING, rtol=0)


def test_at_strength_zero_there_is_no_noise(line: DeviceProperties) -> None:
    assert build_noise_model(line, NoiseSpec.only()).is_ideal()


def test_parts_act_where_they_belong(line: DeviceProperties) -> None:
    pair = two_qubit_gate(line)
    acts = {
        part: set(build_noise_model(line, NoiseSpec.only(**{part: 1.0}))._noise_instructions)
        for part in ("one_qubit", "two_qubit", "relaxation", "readout")
    }
    assert acts == {
        "one_qubit": {"id", "sx", "x"},
        "two_qubit": {pair[0]},
        "relaxation": {"id", "sx", "x", "reset", pair[0]},
        "readout": {"measure"},
    }


@pytest.mark.parametrize("part", ["one_qubit", "two_qubit", "relaxation"])
@given(strengths=st.tuples(st.floats(0, 8), st.floats(0, 8)))
def test_stronger_noise_never_makes_a_gate_better(
    line: DeviceProperties, part: str, strengths: tuple[float, float]
) -> None:
    name, where = depolarised_gate(line, n_qubits=1 if part == "one_qubit" else 2)
    weak, strong = (
        fidelity(line, NoiseSpec.only(**{part: s}), name, where) for s in sorted(strengths)
    )
    assert strong <= weak + ROUNDING
    assert weak <= 1 + ROUNDING


def test_relaxation_rates_scale(line: DeviceProperties) -> None:
    """Relaxing twice as fast is relaxing twice: the channels are a semigroup."""
    name, where = two_qubit_gate(line)
    once, twice = (
        SuperOp(
            build_noise_model(line, NoiseSpec.only(relaxation=s))._local_quantum_errors[name][where]
        )
        for s in (1.0, 2.0)
    )
    np.testing.assert_allclose(twice.data, (once @ once).data, atol=ROUNDING)


def test_depolarising_probability_scales_up_to_its_largest(line: DeviceProperties) -> None:
    """The infidelity of depolarisation is p (1 - 1/D), linear in p, and p is at most 16/15."""
    name, where = depolarised_gate(line, n_qubits=2)
    infidelity = {
        s: 1 - fidelity(line, NoiseSpec.only(two_qubit=s), name, where)
        for s in (0.5, 1.0, 3.0, 1e6)
    }
    assert infidelity[0.5] == pytest.approx(0.5 * infidelity[1.0], abs=ROUNDING)
    assert infidelity[3.0] == pytest.approx(3 * infidelity[1.0], abs=ROUNDING)
    assert infidelity[1e6] == pytest.approx(16 / 15 * 3 / 4, abs=ROUNDING)


def test_readout_error_scales_up_to_one_half(line: DeviceProperties) -> None:
    reported = line.qubits[0].prob_meas1_prep0
    assert reported is not None
    for strength, expected in ((0.5, reported / 2), (2.0, 2 * reported), (1e6, 0.5)):
        model = build_noise_model(line, NoiseSpec.only(readout=strength))
        assert assignment_matrices(model, 3)[0, 0, 1] == pytest.approx(expected, abs=ROUNDING)


def test_idle_relaxation_is_that_of_aers_own_pass() -> None:
    """The scheduled circuit under Aer's device model, which relaxes what its delays last."""
    backend = fake_backend("fake_brisbane")
    reported = properties(backend, [0, 1, 2])
    compiled = layer_of(circuit_of(reported))
    noisy = add_noise(compiled, reported, NoiseSpec(idle=1.0))
    waits = [item for item in noisy.circuit.data if item.operation.label]
    assert waits
    full = QuantumCircuit(3)
    for item in noisy.circuit.data:
        operation = item.operation
        if operation.label:
            operation = Delay(float(operation.label.removeprefix(WAIT)), unit="s")
        full.append(operation, [noisy.circuit.find_bit(q).index for q in item.qubits])
    expected = density(full, aers_model("fake_brisbane"))
    np.testing.assert_allclose(density(noisy.circuit, noisy.model), expected, atol=ROUNDING)
    quiet = add_noise(compiled, reported, NoiseSpec())
    assert np.abs(density(quiet.circuit, quiet.model) - expected).max() > 1e-6


def density(circuit: QuantumCircuit, model: NoiseModel) -> np.ndarray:
    saved = circuit.copy()
    saved.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model, fusion_enable=False)
    return np.asarray(simulator.run(saved).result().data()["density_matrix"])


def test_channel_after_is_what_aer_applies(line: DeviceProperties) -> None:
    """An independent density matrix, gate by gate, for every part at once, delays too."""
    noisy = add_noise(layer_of(circuit_of(line)), line, NoiseSpec(idle=2.0))
    state = DensityMatrix.from_label("000")
    for item in noisy.circuit.data:
        where = [noisy.circuit.find_bit(q).index for q in item.qubits]
        state = state.evolve(item.operation, where)
        channel = channel_after(noisy.model, item.operation, where)
        if channel is not None:
            state = state.evolve(SuperOp(channel), where)
    np.testing.assert_allclose(density(noisy.circuit, noisy.model), state.data, atol=ROUNDING)


@pytest.mark.parametrize("strength", [-0.1, math.inf, math.nan, "much"])
def test_strengths_that_are_none(strength: object) -> None:
    with pytest.raises(OptionError, match="'readout' must be a number of at least 0"):
        NoiseSpec(readout=strength)  # type: ignore[arg-type]


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(OptionError, match="did you mean 'readout'"):
        NoiseSpec.only(readuot=1.0)


def test_scaled() -> None:
    assert NoiseSpec(idle=0.5).scaled(2) == NoiseSpec(2, 2, 2, 2, 1)


def test_a_gate_without_calibration_is_named(line: DeviceProperties) -> None:
    compiled = layer_of(circuit_of(line))
    name, where = two_qubit_gate(line)
    for lacking, field in (("error", "error"), ("duration", "duration")):
        gates = tuple(
            replace(gate, **{field: None}) if gate.qubits == where else gate for gate in line.gates
        )
        words = f"no {lacking} for gate '{name}' on qubits {where[0]}, {where[1]}"
        with pytest.raises(OptionError, match=words):
            add_noise(compiled, replace(line, gates=gates), NoiseSpec())
        add_noise(compiled, replace(line, gates=gates), NoiseSpec.only(readout=1.0))


def test_a_qubit_without_calibration_is_named(line: DeviceProperties) -> None:
    compiled = layer_of(circuit_of(line))
    unread = replace(line.qubits[1], prob_meas1_prep0=None)
    bare = replace(line, qubits=(line.qubits[0], unread, line.qubits[2]))
    with pytest.raises(OptionError, match="'measure' on qubit 1"):
        add_noise(compiled, bare, NoiseSpec())
    timeless = replace(line.qubits[2], t1=None, t2=None)
    bare = replace(line, qubits=(*line.qubits[:2], timeless))
    with pytest.raises(OptionError, match="T1 or T2 on qubit 2"):
        add_noise(compiled, bare, NoiseSpec())


def test_a_saved_model_is_built_again(line: DeviceProperties, tmp_path: Path) -> None:
    saved = SavedNoise(NoiseSpec(two_qubit=0.3, idle=1.0), line)
    save_noise(tmp_path / "noise.json", saved)
    loaded = load_noise(tmp_path / "noise.json")
    assert loaded == saved
    assert build_noise_model(loaded.properties, loaded.noise) == build_noise_model(
        saved.properties, saved.noise
    )


def test_the_properties_make_a_target_that_reads_the_same(line: DeviceProperties) -> None:
    again = read_properties(
        line.target(), device=line.device, source=line.source, calibrated_at=line.calibrated_at
    )
    assert set(again.gates) == set(line.gates)
    assert again.qubits == line.qubits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "Invalid JSON"),
        ("[1, 2]", "the file"),
        ("{}", "noise: Field required"),
        ('{"noise": {"readout": -1}, "properties": {}}', "properties.gates: Field required"),
        ('{"noise": {"readout": -1}, "properties": {}}', "at least 0"),
    ],
)
def test_files_that_are_none(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "noise.json").write_text(text)
    with pytest.raises(OptionError, match=words):
        load_noise(tmp_path / "noise.json")


def test_a_file_without_a_strength(line: DeviceProperties, tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    save_noise(path, SavedNoise(NoiseSpec(), line))
    values = json.loads(path.read_text())
    del values["noise"]["relaxation"]
    path.write_text(json.dumps(values))
    with pytest.raises(OptionError, match="no strength for relaxation"):
        load_noise(path)


def test_files_out_of_reach(line: DeviceProperties, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot read noise file"):
        load_noise(tmp_path / "none.json")
    with pytest.raises(RecordError, match="cannot write noise file"):
        save_noise(tmp_path / "none" / "noise.json", SavedNoise(NoiseSpec(), line))
