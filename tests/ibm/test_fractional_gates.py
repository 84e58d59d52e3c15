"""Fractional gates at IBM: asked for where they are wanted, sent as they are calibrated."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

from experiments.records.lines import Compiled
from experiments.report.facts import compiled_words
from qbackend import CircuitLayer, LayerSpec, errors, get_backend
from qbackend.aer.noisy import AerNoisy
from qbackend.circuits.device_form import compile_for_target
from qbackend.circuits.pulses import count_pulses
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm.limits import check_fractional_gates
from qbackend.ibm.local import LocalService
from qbackend.ibm.results import decode
from qbackend.ibm.service import connect
from qbackend.layers.inputs import Array
from qbackend.machines.consent import approve_all
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.requests import Request
from tests.loopback import Machine
from tests.loopback.client import served

from .calls import NAME, SHOTS

FAKE = "fake_fez"
ON = ExecutionOptions(fractional_gates=True)
EVERY_PRIMITIVE = [
    ON,
    ExecutionOptions(generation="client", fractional_gates=True),
    ExecutionOptions("estimator", fractional_gates=True),
    ExecutionOptions("estimator", "client", fractional_gates=True),
]
ROW = (0.4, -2.0)
WEIGHTS = (2.5, -1.0, math.pi / 2)


@cache
def own_layer() -> CircuitLayer:
    """Angles of two-qubit rotations in every quadrant, by feature and weight."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(0.3 + qubit, qubit)
    circuit.rzz(w[0] * x[0], 0, 1)
    circuit.crx(w[1], 1, 2)
    circuit.rxx(w[2] + x[1], 0, 1)
    return CircuitLayer(circuit, features=x, weights=w)


def machine() -> Machine:
    return Machine.load(NAME, n_qubits=5, noisy=False, fractional_gates=True)


def rows() -> Array:
    return np.array([ROW, ROW[::-1], (3.0, math.pi)])


def ideal() -> Array:
    exact = get_backend("native")
    made = exact.compile(own_layer())
    return exact.evaluate(Request(made, made.rows(rows(), np.array(WEIGHTS)))).values


def call(options: ExecutionOptions) -> Call:
    compiled = compile_for_target(own_layer(), machine().target, device=NAME)
    assert compiled.circuit.count_ops()["rzz"] == compiled.record["two_qubit_gates"] == 3
    return Call(compiled, compiled.rows(rows(), np.array(WEIGHTS)), SHOTS, None, options)


@pytest.mark.parametrize("options", EVERY_PRIMITIVE)
def test_the_service_receives_angles_that_are_calibrated(options: ExecutionOptions) -> None:
    with served([machine()]) as server:
        service = connect(fractional_gates=True)
        assert {"rx", "rzz"} <= set(service.device(NAME).target.operation_names)
        workload = service.open_workload(NAME, session=False)
        asked = call(options)
        # Another process goes on with the batch.
        later = service.reconnect()
        job_id = later.start(NAME, asked, "mine", workload)
        while not later.state(job_id).status.is_final:
            pass
        values, stderr = decode(later.fetch(job_id), asked)
        (job,) = server.jobs
        sent = [angle for work in job.program.work for angle in rzz_angles(work.circuit)]
    assert (np.abs(values - ideal()) <= 5 * stderr + 1e-9).all()
    # Numbers are sent, and no functions of numbers.
    assert len(sent) >= 3
    assert all(isinstance(angle, Parameter) for angle in sent)


def rzz_angles(circuit: QuantumCircuit) -> list[object]:
    return [each.operation.params[0] for each in circuit.data if each.operation.name == "rzz"]


def test_they_are_asked_for_and_refused_where_there_are_none() -> None:
    with served([machine(), Machine.load("ibm_plain", n_qubits=4, noisy=False)]):
        assert not {"rx", "rzz"} & set(connect().device(NAME).target.operation_names)
        with pytest.raises(errors.OptionError, match="'ibm_plain' has no fractional gates"):
            connect(fractional_gates=True).device("ibm_plain")


def test_a_machine_keeps_apart_what_is_done_with_them_and_without(tmp_path: Path) -> None:
    found = []
    with served([machine()]) as server:
        for wanted in (True, False, True):
            backend = get_backend(
                NAME,
                shots=SHOTS,
                machine=ExecutionOptions(fractional_gates=wanted, poll=(0.02, 0.05)),
                ledger=tmp_path / "jobs.sqlite",
                approve=approve_all,
            )
            made = backend.compile(own_layer())
            request = Request(made, made.rows(rows(), np.array(WEIGHTS)), shots=SHOTS)
            result = backend.submit(request).result()
            assert (np.abs(result.values - ideal()) <= 5 * result.stderr + 1e-9).all()
            found.append((made, result))
            backend.close()
        # The third request is the first one, and is not paid for again.
        assert len(server.jobs) == 2
    assert [made.record["two_qubit_gates"] for made, _ in found] == [3, 6, 3]
    assert "fractional_gates" not in found[1][0].record
    np.testing.assert_array_equal(found[0][1].values, found[2][1].values)


@pytest.mark.parametrize("options", EVERY_PRIMITIVE)
@pytest.mark.parametrize("layer", [LayerSpec(3), own_layer()], ids=["catalogue", "own"])
def test_a_fake_device_gives_its_noisy_values(
    options: ExecutionOptions, layer: LayerSpec | CircuitLayer
) -> None:
    service = LocalService(fractional_gates=True)
    compiled = compile_for_target(layer, service.device(FAKE).target, device=FAKE)
    rng = np.random.default_rng(0)
    parameters = rng.uniform(-4, 4, (3, len(compiled.parameters)))
    asked = Call(compiled, parameters, SHOTS, 1, options)
    values, stderr = decode(service.fetch(service.start(FAKE, asked, "tag", None)), asked)
    aer = AerNoisy(load_snapshot(FAKE, fractional_gates=True))
    expected = aer.evaluate(Request(aer.compile(layer), parameters)).values
    # The two RX of a fold are executed and not in the noise model. Each moves a value by at most
    # twice its probability of an error, which is 1 + 1/2 times its infidelity.
    n_folds = compiled.circuit.count_ops().get("rzz", 0)
    worst = max(each.error for each in service.device(FAKE).target["rx"].values())
    assert (np.abs(values - expected) <= 5 * stderr + 2 * n_folds * 2 * 1.5 * worst).all()


def test_the_plan_says_what_they_save() -> None:
    backend = get_backend(FAKE, machine=ON)
    compiled = backend.compile(LayerSpec(4, n_layers=2))
    zero = np.zeros((2, len(compiled.parameters)))
    words = backend.estimate(Request(compiled, zero, shots=SHOTS)).fractional_gates  # type: ignore[attr-defined]
    assert "11 (11) two-qubit gates" in words
    assert f" {count_pulses(compiled.circuit)} (" in words
    assert words.endswith("no two-qubit gate less")
    said = compiled_words(Compiled.model_validate(compiled.record))
    assert said.startswith("11 two-qubit gates, compact preparation, reported gate fidelity")
    assert said.endswith(f"; {words}")
    plain = get_backend(FAKE).compile(LayerSpec(4, n_layers=2))
    assert get_backend(FAKE).estimate(Request(plain, zero, shots=SHOTS)).fractional_gates == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"gate_twirling": True}, "gate_twirling"),
        ({"primitive": "estimator", "zne": (1.0, 3.0)}, "zne"),
    ],
)
def test_what_does_not_go_with_them(options: dict[str, object], name: str) -> None:
    with pytest.raises(errors.OptionError, match=f"no {name} with fractional_gates"):
        check_fractional_gates(ExecutionOptions(fractional_gates=True, **options))  # type: ignore[arg-type]
    check_fractional_gates(ExecutionOptions(**options))  # type: ignore[arg-type]
    with pytest.raises(errors.OptionError, match="'fake_brisbane' has no fractional gates"):
        get_backend("fake_brisbane", machine=ON).compile(LayerSpec(2))


@pytest.mark.parametrize(
    "options",
    [
        {"measurement_twirling": True},
        {"dynamical_decoupling": "XX"},
        {"readout_mitigation": "m3"},
        {"primitive": "estimator", "readout_mitigation": "trex"},
    ],
)
def test_what_goes_with_them(options: dict[str, object]) -> None:
    check_fractional_gates(ExecutionOptions(fractional_gates=True, **options))  # type: ignore[arg-type]
