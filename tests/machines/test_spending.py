"""What a request may cost: shown, approved, within the budget, and settled later."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qbackend import QuantumLayer
from qbackend.errors import (
    BudgetError,
    JobCancelledError,
    JobFailedError,
    JobsPendingError,
    UserError,
)
from qbackend.machines.budget import Allowance, check_budget
from qbackend.machines.consent import plan_words
from qbackend.machines.cost import MachineCost, Price
from qbackend.machines.service import RemoteState
from qbackend.seam.jobs import JobStatus

from .fakes import MACHINE, SHOTS, SPEC, FakeService, Fault, Time, ask, backend_of


def test_the_plan_is_shown_before_anything_is_sent() -> None:
    service, shown = FakeService(), []
    backend = backend_of(service, approve=lambda cost: shown.append(cost) or False)
    request = ask(backend)
    with pytest.raises(UserError, match="nothing was sent"):
        backend.submit(request)
    assert shown == [backend.estimate(request)]
    assert (shown[0].rows, shown[0].jobs, shown[0].seconds_left) == (3, 1, 600.0)
    assert service.jobs == []
    assert backend.ledger.entries() == []


def test_the_plan_is_shown_once(tmp_path: Path) -> None:
    shown: list[MachineCost] = []
    service = FakeService(looks=1)
    for wait in (False, True):
        backend = backend_of(
            service,
            ledger=tmp_path / "jobs.sqlite",
            wait=wait,
            approve=lambda cost: shown.append(cost) or True,
        )
        try:
            backend.evaluate(ask(backend))
        except JobsPendingError:
            assert not wait
    assert len(shown) == 1


def test_the_budget_is_of_the_whole_run() -> None:
    service = FakeService()
    backend = backend_of(service, max_qpu_seconds=7.0)
    planned = backend.estimate(ask(backend)).qpu_seconds
    assert planned == pytest.approx(2 + 3 * SHOTS * 0.00035)
    backend.evaluate(ask(backend, seed=1))  # 3 s are charged
    backend.evaluate(ask(backend, seed=2))
    with pytest.raises(BudgetError, match=r"after 6 s of this run.*7 s.*--max-qpu-seconds 9"):
        backend.evaluate(ask(backend, seed=3))
    assert len(service.jobs) == 2


def test_a_copied_layer_has_no_budget_of_its_own() -> None:
    """As cross-validation and averages of weights copy a model."""
    service = FakeService()
    layer = QuantumLayer(SPEC, backend_of(service, max_qpu_seconds=7.0), seed=0)
    rows = torch.ones(3, SPEC.n_features)
    with torch.no_grad():
        layer(rows)
        copied = copy.deepcopy(layer)
        # The same samples are drawn next, and are paid for once.
        torch.testing.assert_close(copied(rows), layer(rows), rtol=0, atol=0)
        assert len(service.jobs) == 2
        with pytest.raises(BudgetError, match="after 6 s of this run"):
            copied(rows)
    assert len(service.jobs) == 2


def test_the_plan_of_the_account_must_have_the_seconds() -> None:
    service = FakeService(seconds_left=1.0)
    backend = backend_of(service)
    with pytest.raises(BudgetError, match="'premium' has 1 s left; nothing was sent"):
        backend.submit(ask(backend))
    assert service.jobs == []


def test_a_budget_that_is_just_enough_is_enough() -> None:
    cost = MachineCost(2, 2, 1, 200, 5.0, "basis", seconds_left=5.0)
    check_budget(cost, 2.0, 7.0)
    with pytest.raises(BudgetError):
        check_budget(cost, 2.0, 6.9)


def test_a_charge_that_is_settled_late_is_asked_for_again() -> None:
    service, time = FakeService(), Time()
    answers = iter([None, None, 4.0])
    service.usage = lambda job_id: next(answers)  # type: ignore[method-assign]
    backend = backend_of(service, time)
    assert backend.evaluate(ask(backend)).qpu_seconds == 4.0


def test_a_result_does_not_wait_for_its_price() -> None:
    service = FakeService()
    service.usage = lambda job_id: None  # type: ignore[method-assign]
    backend = backend_of(service)
    assert backend.evaluate(ask(backend)).qpu_seconds == 0.0
    assert backend.ledger.committed_seconds() == backend._planner.last_cost.qpu_seconds


def test_a_simulated_job_costs_no_budget() -> None:
    service = FakeService()
    service.is_local = True
    backend = backend_of(service, max_qpu_seconds=0.1)
    assert backend.estimate(ask(backend)).qpu_seconds == 0.0
    backend.evaluate(ask(backend))


def test_the_person_is_told_what_it_costs() -> None:
    cost = MachineCost(2, 2, 1, 200, 5.0, "basis", price=Price(1.6, "USD"))
    assert plan_words(MACHINE, cost).endswith("take about 5.0 s of QPU time, 8.00 USD")


def allowance(
    left: float, to_send: float, *, budget: float = 60.0, under_way: float | None = None
) -> Allowance:
    return Allowance(budget, left, to_send, under_way or to_send, longest=10_800)


@pytest.mark.parametrize(
    ("left", "to_send", "seconds", "limit"),
    [
        (60.0, 2.1, 2.1, 10),  # the least that any job has
        (60.0, 20.0, 20.0, 40),  # twice the estimate
        (60.0, 38.0, 38.0, 60),  # the whole budget
        (60.0, 40.0, 10.0, 15),  # its share of the budget
        (30.0, 20.0, 20.0, 30),  # what others have left
        (60.0, 60.0, 30.0, 30),  # no room at all
        (2.2, 2.1, 2.1, 3),  # never less than its estimate, in whole seconds
    ],
)
def test_a_job_may_take_far_longer_than_estimated_while_the_budget_has_room(
    left: float, to_send: float, seconds: float, limit: int
) -> None:
    assert allowance(left, to_send).time_limit(seconds) == limit


def test_no_job_asks_for_longer_than_it_may() -> None:
    assert allowance(30_000.0, 9000.0, budget=30_000.0).time_limit(9000.0) == 10_800


@given(st.lists(st.floats(2.0, 500.0), min_size=1, max_size=9), st.floats(1.0, 5.0))
def test_what_jobs_may_take_together_is_within_the_budget(
    estimates: list[float], room: float
) -> None:
    whole = sum(estimates)
    limits = [
        allowance(room * whole, whole, budget=room * whole).time_limit(each) for each in estimates
    ]
    assert all(limit >= each for limit, each in zip(limits, estimates, strict=True))
    # A limit is in whole seconds, and no less than the estimate.
    assert sum(limits) <= room * whole + len(estimates)
    if room >= 1.5:
        assert all(
            limit >= math.floor(1.5 * each) for limit, each in zip(limits, estimates, strict=True)
        )


def limits_of(service: FakeService) -> list[int | None]:
    """What the jobs were sent with, in order."""
    return [job.call.options.max_execution_time for job in service.jobs]


def test_every_job_is_sent_with_a_limit_that_the_plan_tells() -> None:
    service, shown = FakeService(), []
    backend = backend_of(service, approve=lambda cost: shown.append(cost) or True)
    assert backend.estimate(ask(backend)).max_execution_time == 10
    backend.evaluate(ask(backend))
    assert limits_of(service) == [cost.max_execution_time for cost in shown] == [10]


def test_jobs_that_wait_together_share_the_budget(three_jobs: None) -> None:
    service = FakeService()
    backend = backend_of(service, max_qpu_seconds=15.0)
    estimated = backend.estimate(ask(backend, 5))
    backend.evaluate(ask(backend, 5))
    limits = limits_of(service)
    assert limits == [4, 5, 5]  # in proportion to 1, 2 and 2 rows
    assert max(limits) == estimated.max_execution_time  # type: ignore[type-var]


def test_requests_that_wait_together_share_the_budget() -> None:
    service = FakeService(looks=1)
    backend = backend_of(service, max_qpu_seconds=15.0)
    for seed in range(3):
        request = replace(ask(backend, seed=seed), together=(3, 3, 3))
        assert backend.estimate(request).max_execution_time == 5
        backend.submit(request)
    assert limits_of(service) == [5, 5, 5]


def test_the_last_of_a_budget_is_the_limit() -> None:
    service = FakeService()
    backend = backend_of(service, max_qpu_seconds=9.0)
    for seed in range(3):  # 3 s are charged for each
        backend.evaluate(ask(backend, seed=seed))
    assert limits_of(service) == [9, 6, 3]


def test_a_job_has_the_same_limit_in_every_process(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    service.faults.append(Fault("start", KeyboardInterrupt()))
    backend = backend_of(service, ledger=path, max_qpu_seconds=6.5)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend))
    later = backend_of(service, ledger=path, max_qpu_seconds=6.5)
    later.evaluate(ask(later))
    assert limits_of(service) == [backend._planner.last_cost.max_execution_time] == [6]


def test_a_limit_that_is_given_is_taken() -> None:
    service = FakeService()
    backend = backend_of(service, max_execution_time=7)
    assert backend.estimate(ask(backend)).max_execution_time == 7
    backend.evaluate(ask(backend))
    assert limits_of(service) == [7]


def test_what_is_simulated_here_is_not_stopped() -> None:
    service = FakeService()
    service.is_local = True
    backend = backend_of(service)
    assert backend.estimate(ask(backend)).max_execution_time is None
    backend.evaluate(ask(backend))
    assert limits_of(service) == [None]


def test_rows_whose_job_was_stopped_are_taken_to_need_twice_as_long(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.usage = lambda job_id: 9.0  # type: ignore[method-assign]
    backend = backend_of(service, ledger=path, max_qpu_seconds=9.0)
    job = backend.submit(ask(backend))
    service.jobs[0].ending = RemoteState(JobStatus.CANCELLED, "Error code 1305; too long")
    words = r"estimate of 2 s, now .* need 18 s; .*resume \S+ --max-qpu-seconds 27 "
    with pytest.raises(JobCancelledError, match=words):
        job.result()
    with pytest.raises(BudgetError, match=r"about 18 s .*--max-qpu-seconds 27,"):
        backend.submit(ask(backend))
    later = backend_of(service, ledger=path, max_qpu_seconds=27.0)
    service.jobs[0].looks = 0
    later.evaluate(ask(later))
    assert limits_of(service) == [9, 18]


def test_the_words_name_a_limit_that_was_given(tmp_path: Path) -> None:
    service = FakeService(looks=1)
    backend = backend_of(service, max_execution_time=7)
    job = backend.submit(ask(backend))
    service.jobs[0].ending = RemoteState(JobStatus.FAILED, "Error code 1305; ran too long")
    with pytest.raises(JobFailedError, match=r"7 s are its max_execution_time: allow more by"):
        job.result()
