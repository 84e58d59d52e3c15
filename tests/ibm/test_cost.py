"""Packing rows into jobs, and what they cost."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbackend import LayerSpec, errors
from qbackend.base import CompiledLayer
from qbackend.device_form import compile_for_target
from qbackend.ibm import limits
from qbackend.ibm.cost import estimate
from qbackend.ibm.options import ExecutionOptions
from qbackend.ibm.remote import PlanInfo

from .fakes import small_target

OPEN = PlanInfo("open", has_sessions=False, seconds_left=600.0)


@cache
def layer() -> CompiledLayer:
    return compile_for_target(LayerSpec(2), small_target())


def test_a_hundred_images_are_one_job_of_one_circuit_each() -> None:
    cost = estimate(layer(), 100, 1024, ExecutionOptions(), plan=OPEN)
    assert (cost.rows, cost.circuits, cost.jobs, cost.pubs) == (100, 100, 1, 1)
    assert cost.shots == cost.executions == 102_400
    assert cost.qpu_seconds == pytest.approx(2 + 0.00035 * 102_400)
    assert (cost.plan, cost.seconds_left) == ("open", 600.0)
    assert cost.two_qubit_gates == layer().record["two_qubit_gates"] > 0


def test_a_fake_device_costs_nothing_and_says_what_a_machine_would() -> None:
    cost = estimate(layer(), 100, 1024, ExecutionOptions())
    assert cost.qpu_seconds == 0
    assert "a machine would take about 38 s" in cost.basis


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
    cost = estimate(layer(), 10, 1000, ExecutionOptions(**options), plan=OPEN)
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
    executions = [limits.executions(size, shots, options) for size in sizes]
    assert max(executions) <= limits.EXECUTIONS_PER_SAMPLER_JOB
    if len(jobs) > 1:
        # One job fewer would hold more than one of the limits allows.
        fewer = math.ceil(n_rows / (len(jobs) - 1))
        payload = limits.PAYLOAD_BYTES // (limits.BYTES_PER_PARAMETER * len(layer().parameters))
        over = limits.executions(fewer, shots, options) > limits.EXECUTIONS_PER_SAMPLER_JOB
        assert over or fewer > payload


def test_jobs_end_before_they_are_stopped() -> None:
    options = ExecutionOptions(max_execution_time=20)
    jobs = limits.pack(100, 1024, options, layer())
    assert len(jobs) == 2
    seconds = [limits.job_seconds(limits.executions(len(j), 1024, options)) for j in jobs]
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
        estimate(layer(), 1, 10, session, plan=OPEN)
    paid = PlanInfo("premium", has_sessions=True, seconds_left=None)
    assert estimate(layer(), 1, 10, session, plan=paid).seconds_left is None


@given(st.integers(1, 10**6))
def test_twirled_shots_are_those_of_the_client(shots: int) -> None:
    from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots

    randomizations, each = calculate_twirling_shots(shots, "auto", "auto")
    twirled = ExecutionOptions(gate_twirling=True)
    assert limits.shots_performed(shots, twirled) == randomizations * each
    assert limits.shots_performed(shots, ExecutionOptions()) == shots
