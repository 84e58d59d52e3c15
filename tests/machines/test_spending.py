"""What a request may cost: shown, approved, within the budget, and settled later."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from qbackend import QuantumLayer
from qbackend.errors import BudgetError, JobsPendingError, UserError
from qbackend.machines.budget import check_budget
from qbackend.machines.cost import MachineCost

from .fakes import SHOTS, SPEC, FakeService, Time, ask, backend_of


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
