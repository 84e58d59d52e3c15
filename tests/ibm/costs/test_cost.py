"""Packing rows into jobs, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from qbackend import LayerSpec, errors
from qbackend.circuits.device_form import compile_for_target
from qbackend.circuits.measuring import turned_circuits
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm import cost as costs
from qbackend.ibm import limits
from qbackend.ibm.instructions import INSTRUCTIONS_PER_QUBIT, TWO_QUBIT_GATES, load
from qbackend.ibm.vendor import IBM
from qbackend.machines.budget import total
from qbackend.machines.cost import MachineCost
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import PlanInfo
from qbackend.seam.requests import CompiledLayer
from tests.machines.fakes import small_target
from tests.support.any_circuit import BASES, bell, own_layer

from .asked import OPEN, layer

OF_A_ROW = ("readouts", "copies", "two_qubit_gates", "two_qubit_depth")
OF_ALL = ("basis", "plan", "seconds_left", "price", "max_execution_time", "fractional_gates")
"""What is said of every part alike; what stops a job is not known to a vendor."""


def test_a_hundred_images_are_one_job_of_one_circuit_each() -> None:
    cost = IBM.estimate(layer(), 100, 1024, ExecutionOptions(), plan=OPEN)
    assert (cost.rows, cost.circuits, cost.jobs, cost.pubs) == (100, 100, 1, 1)
    assert cost.shots == cost.executions == 102_400
    assert cost.qpu_seconds == pytest.approx(2 + 0.00035 * 102_400)
    assert (cost.plan, cost.seconds_left) == ("open", 600.0)
    assert cost.two_qubit_gates == layer().record["two_qubit_gates"] > 0


@cache
def own() -> CompiledLayer:
    """Read in several bases."""
    return compile_for_target(own_layer(), small_target())


@pytest.mark.parametrize(
    ("options", "circuits", "pubs", "executions"),
    [
        ({}, 300, 3, 300 * 1000),
        ({"readout_mitigation": "m3"}, 302, 5, 302 * 1000),
        ({"primitive": "estimator"}, 300, 1, 300 * 1000),
        ({"primitive": "estimator", "zne": (1, 3)}, 300, 1, 600 * 1000),
        (
            {"primitive": "estimator", "generation": "client", "readout_mitigation": "trex"},
            300,
            2,
            301 * 1024,
        ),
    ],
)
def test_a_row_is_a_circuit_in_every_basis(
    options: dict[str, Any], circuits: int, pubs: int, executions: int
) -> None:
    cost = IBM.estimate(own(), 100, 1000, ExecutionOptions(**options), plan=OPEN)
    assert (cost.rows, cost.readouts, cost.circuits, cost.pubs) == (100, BASES, circuits, pubs)
    assert (cost.shots, cost.executions) == (300 * 1000, executions)
    assert cost.qpu_seconds == pytest.approx(2 + 0.00035 * executions)
    assert "a row is 3 circuits, one for each basis" in cost.basis
    is_counted_by_the_service = options.get("primitive") == "estimator"
    assert ("as far as the service groups" in cost.basis) is is_counted_by_the_service
    assert cost.words == "100 rows at 1000 shots in each of 3 bases"


@given(
    st.integers(1, 200_000),
    st.integers(1, 100_000),
    st.sampled_from([{}, {"readout_mitigation": "m3"}, {"primitive": "estimator"}]),
)
def test_jobs_hold_every_basis_of_their_rows(
    n_rows: int, shots: int, chosen: dict[str, Any]
) -> None:
    options = ExecutionOptions(**chosen)
    jobs = limits.pack(n_rows, shots, options, own())
    assert (jobs[0].start, jobs[-1].stop) == (0, n_rows)
    assert all(a.stop == b.start for a, b in pairwise(jobs))
    most = max(map(len, jobs))
    executions = costs.executions(most * BASES, shots, options)
    if options.primitive == "sampler":
        assert executions <= limits.EXECUTIONS_PER_SAMPLER_JOB
    assert costs.job_seconds(executions) <= limits.MAX_EXECUTION_SECONDS
    angles = most * BASES * len(own().parameters)
    assert angles * limits.BYTES_PER_PARAMETER <= limits.PAYLOAD_BYTES
    single = [load(circuit, options) for circuit in turned_circuits(own())]
    used = most * sum(each.instructions for each in single) + single[0].calibration
    assert used <= INSTRUCTIONS_PER_QUBIT
    assert most * sum(each.two_qubit_gates for each in single) <= TWO_QUBIT_GATES


def test_a_fake_device_costs_nothing_and_says_what_a_machine_would() -> None:
    cost = IBM.estimate(layer(), 100, 1024, ExecutionOptions())
    assert cost.qpu_seconds == 0
    assert cost.machine_seconds == pytest.approx(2 + 0.00035 * 102_400)


@pytest.mark.parametrize(
    ("options", "executions"),
    [
        ({"readout_mitigation": "tensored"}, 12 * 1000),
        ({"gate_twirling": True}, 10 * 1024),
        ({"primitive": "estimator", "readout_mitigation": "trex"}, 11 * 1024),
        ({"primitive": "estimator", "zne": (1, 3, 5)}, 30 * 1000),
        ({"primitive": "estimator", "precision": 0.05}, 10 * 400),
    ],
)
def test_what_options_add(options: dict[str, Any], executions: int) -> None:
    cost = IBM.estimate(layer(), 10, 1000, ExecutionOptions(**options), plan=OPEN)
    assert cost.executions == executions
    assert cost.qpu_seconds == pytest.approx(2 + 0.00035 * executions)


@given(st.integers(1, 200_000), st.integers(1, 100_000), st.booleans())
def test_rows_are_packed_in_order_into_the_fewest_jobs(
    n_rows: int, shots: int, calibrates: bool
) -> None:
    options = ExecutionOptions(readout_mitigation="m3" if calibrates else "none")
    jobs = limits.pack(n_rows, shots, options, layer())
    assert (jobs[0].start, jobs[-1].stop) == (0, n_rows)
    assert all(a.stop == b.start for a, b in pairwise(jobs))
    sizes = [len(job) for job in jobs]
    assert max(sizes) - min(sizes) <= 1
    executions = [costs.executions(size, shots, options) for size in sizes]
    assert max(executions) <= limits.EXECUTIONS_PER_SAMPLER_JOB
    if len(jobs) > 1:
        # One job fewer would hold more than one of the limits allows.
        fewer = math.ceil(n_rows / (len(jobs) - 1))
        payload = limits.PAYLOAD_BYTES // (limits.BYTES_PER_PARAMETER * len(layer().parameters))
        over = costs.executions(fewer, shots, options) > limits.EXECUTIONS_PER_SAMPLER_JOB
        assert over or fewer > payload or fewer > load(layer().circuit, options).most_rows


def test_jobs_end_before_they_are_stopped() -> None:
    options = ExecutionOptions(max_execution_time=20)
    jobs = limits.pack(100, 1024, options, layer())
    assert len(jobs) == 2
    seconds = [costs.job_seconds(costs.executions(len(j), 1024, options)) for j in jobs]
    assert max(seconds) <= 20


@pytest.mark.parametrize(
    ("shots", "options", "words"),
    [
        (10_000_001, {}, "10000000 shots per job"),
        (100_000, {"max_execution_time": 30}, "30 s of QPU time per job"),
        (1, {"primitive": "estimator", "precision": 1e-4}, "10800 s"),
    ],
)
def test_a_row_that_no_job_can_hold_is_an_error(
    shots: int, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.OptionError, match=words):
        limits.pack(1, shots, ExecutionOptions(**options), layer())


def test_a_session_needs_a_plan_that_has_them() -> None:
    session = ExecutionOptions(mode="session")
    with pytest.raises(errors.PlanError, match=r"'open' has no sessions.*nothing was sent"):
        IBM.estimate(layer(), 1, 10, session, plan=OPEN)
    paid = PlanInfo("premium", has_sessions=True, seconds_left=None)
    assert IBM.estimate(layer(), 1, 10, session, plan=paid).seconds_left is None


@given(st.integers(1, 10**6))
def test_twirled_shots_are_those_of_the_client(shots: int) -> None:
    from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots

    randomizations, each = calculate_twirling_shots(shots, "auto", "auto")
    twirled = ExecutionOptions(gate_twirling=True)
    assert costs.shots_performed(shots, twirled) == randomizations * each
    assert costs.shots_performed(shots, ExecutionOptions()) == shots


def test_the_published_layer_counts_by_ibms_weights() -> None:
    """163 control instructions, and not the 55 of its depth."""
    spec = LayerSpec(4, "amplitude", "basic_entangler", n_layers=2)
    compiled = compile_for_target(spec, load_snapshot("fake_fez").target, preparation="compact")
    counted = load(compiled.circuit, ExecutionOptions())
    weights = {"rz": 1, "sx": 2, "x": 2, "cz": 5}
    by_qubit = [
        sum(weights[i.operation.name] for i in compiled.circuit.data if qubit in i.qubits)
        for qubit in compiled.circuit.qubits
    ]
    assert counted.instructions == max(by_qubit) + 50 + 10 == 163
    assert counted.two_qubit_gates == compiled.record["two_qubit_gates"]


@pytest.mark.parametrize(
    ("options", "sequences", "factors"),
    [
        ({"dynamical_decoupling": "XX"}, 2, (1,)),
        ({"dynamical_decoupling": "XpXm"}, 2, (1,)),
        ({"dynamical_decoupling": "XY4"}, 4, (1,)),
        ({"primitive": "estimator", "zne": (1.0, 3.0, 5.0)}, 0, (1, 3, 5)),
        ({"primitive": "estimator", "zne": (1.0, 3.0), "dynamical_decoupling": "XY4"}, 4, (1, 3)),
    ],
)
def test_what_is_added_to_a_circuit_counts(
    options: dict[str, Any], sequences: int, factors: tuple[int, ...]
) -> None:
    """Of two gates on one qubit and one on two, on a qubit that has all three."""
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    circuit.cz(0, 1)
    circuit.rz(0.1, 0)
    expected = sum(50 + 2 + 1 + 5 * f + 10 + (2 + f + 1) * sequences * (2 + 2) for f in factors)
    counted = load(circuit, ExecutionOptions(**options))
    assert (counted.instructions, counted.two_qubit_gates) == (expected, sum(factors))


def test_circuits_that_calibrate_count_in_every_job() -> None:
    """134,000 rows of 200 instructions are exactly what a job may have."""
    circuit = QuantumCircuit(1)
    for _ in range(70):
        circuit.sx(0)
    most = {
        options.readout_mitigation: load(circuit, options).most_rows
        for options in (
            ExecutionOptions(),
            ExecutionOptions(readout_mitigation="m3"),
            ExecutionOptions(readout_mitigation="tensored"),
            ExecutionOptions("estimator", readout_mitigation="trex"),
        )
    }
    assert most == {"none": 134_000, "m3": 133_999, "tensored": 133_999, "trex": 133_999}


def test_jobs_are_packed_by_instructions_where_shots_are_few() -> None:
    options = ExecutionOptions("estimator", zne=(1.0, 3.0, 5.0), dynamical_decoupling="XY4")
    most = load(layer().circuit, options).most_rows
    assert len(limits.pack(most, 1, options, layer())) == 1
    assert len(limits.pack(most + 1, 1, options, layer())) == 2


def test_the_sums_of_a_plan_are_those_of_its_jobs() -> None:
    """Of a fake device and of a machine alike: 10,000 images are two jobs."""
    for plan in (None, OPEN):
        cost = IBM.estimate(layer(), 10_000, 1024, ExecutionOptions(), plan=plan)
        assert cost.jobs == 2
        assert cost.machine_seconds == pytest.approx(2 * 2 + 0.00035 * 10_240_000)
        assert cost.qpu_seconds == (0 if plan is None else cost.machine_seconds)
        jobs = limits.pack(10_000, 1024, ExecutionOptions(), layer())
        parts = [IBM.estimate(layer(), len(j), 1024, ExecutionOptions(), plan=plan) for j in jobs]
        assert_is_sum(total(parts), parts)
        assert total(parts) == cost


def assert_is_sum(whole: MachineCost, parts: Sequence[MachineCost]) -> None:
    """Every number that adds up does; nothing that is said is one part's alone."""
    for field in fields(whole):
        values = [getattr(part, field.name) for part in parts]
        found = getattr(whole, field.name)
        if field.name in (*OF_A_ROW, *OF_ALL):
            assert all(value == found for value in values)
        else:
            assert found == pytest.approx(sum(values)), field.name


@pytest.mark.parametrize(("shots", "seconds"), [(100, 5.0), (40_000, 23.75), (200_000, 95.9375)])
def test_a_session_is_paid_until_the_end_of_its_jobs_is_seen(shots: int, seconds: float) -> None:
    """Looks are 5, 7.5, 11.25, ... and at last 30 s apart."""
    paid = PlanInfo("premium", has_sessions=True, seconds_left=None)
    cost = IBM.estimate(layer(), 1, shots, ExecutionOptions(mode="session"), plan=paid)
    assert costs.job_seconds(shots) < seconds
    assert cost.qpu_seconds == pytest.approx(seconds)
    assert "billed by the clock" in cost.basis


def test_a_session_that_is_looked_at_all_the_time_takes_what_its_jobs_take() -> None:
    for poll in ((0.0, 0.0), (0.0, 1e-9)):
        options = ExecutionOptions(mode="session", poll=poll)
        assert costs.session_seconds(1000, options) == pytest.approx(2.35)


def test_rows_that_the_client_would_lose_are_refused_before_they_are_sent() -> None:
    """Its Sampler answers a circuit without parameters once, however many rows are asked for."""
    compiled = compile_for_target(bell(SparsePauliOp("ZZ")), small_target(), device="ibm_fake")
    assert len(limits.pack(3, 64, ExecutionOptions(), compiled)) == 1
    assert len(limits.pack(3, 64, ExecutionOptions("estimator", "client"), compiled)) == 1
    with pytest.raises(errors.OptionError, match="take --generation server"):
        limits.pack(3, 64, ExecutionOptions(generation="client"), compiled)
