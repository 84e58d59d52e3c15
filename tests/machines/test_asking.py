"""One machine asked in several ways: the same counts read anew, and one batch for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit.primitives import PrimitiveResult, StatevectorSampler

from qbackend import errors
from qbackend.ibm.primitives import pubs
from qbackend.ibm.results import encode_result
from qbackend.machines.ledger.entries import State
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call

from .fakes import FakeService, ask, backend_of

CALIBRATING = ExecutionOptions(readout_mitigation="tensored")


def unreadable(call: Call) -> bytes:
    """Rows as they should be, and calibrations in which every qubit is read as 0 always."""
    *measured, zeros, _ = (
        StatevectorSampler(default_shots=call.shots, seed=call.seed).run(pubs(call)).result()
    )
    return encode_result(PrimitiveResult([*measured, zeros, zeros]))


def test_counts_are_read_in_several_ways_and_paid_for_once() -> None:
    service = FakeService()
    backend = backend_of(service)
    request = ask(backend)
    readings = ("none", "m3", "tensored")
    asked = [backend.asking(CALIBRATING, read_as=each) for each in readings]
    raw, *corrected = (each.evaluate(request) for each in asked)
    assert len(service.jobs) == 1
    for each in corrected:
        assert each.job_ids == raw.job_ids
        # Without misread bits there is nothing to correct, but the calibration has an error.
        np.testing.assert_allclose(each.values, raw.values, atol=1e-6)
        assert (each.stderr > raw.stderr).all()


def test_counts_that_cannot_be_corrected_are_of_use_as_they_are() -> None:
    service = FakeService()
    service.executed = unreadable
    backend = backend_of(service)
    request = ask(backend)
    raw = backend.asking(CALIBRATING, read_as="none").evaluate(request)
    with pytest.raises(errors.BackendError, match="readout mitigation fails"):
        backend.asking(CALIBRATING, read_as="m3").evaluate(request)
    assert [entry.state for entry in backend.ledger.entries()] == [State.DONE]
    again = backend.asking(CALIBRATING, read_as="none").evaluate(request)
    np.testing.assert_array_equal(again.values, raw.values)
    assert len(service.jobs) == 1


def test_requests_that_differ_in_their_options_share_a_batch_and_a_budget() -> None:
    service = FakeService()
    backend = backend_of(service, max_qpu_seconds=5.0)
    request = ask(backend)
    kinds = (backend.options, replace(backend.options, gate_twirling=True))
    with backend.together():
        jobs = [backend.asking(options).submit(request) for options in kinds]
        # Each takes 2 s and more; two are within the budget, three are not.
        third = backend.asking(replace(backend.options, dynamical_decoupling="XX"))
        with pytest.raises(errors.BudgetError, match="after 4 s of this run"):
            third.submit(request)
    assert [job.workload for job in service.jobs] == ["workload-0"] * 2
    assert [(each.is_session, each.closed) for each in service.workloads] == [(False, 1)]
    assert all((job.result().stderr > 0).all() for job in jobs)
    assert not backend.ledger.open_workloads()


def test_a_batch_that_the_service_closed_is_followed_by_another() -> None:
    service = FakeService()
    backend = backend_of(service)
    with backend.together():
        backend.submit(ask(backend))
        real = service.start

        def closed(*given: object) -> str:
            service.start = real  # type: ignore[method-assign]
            raise errors.BackendError("Error code 1217; the session is closed")

        service.start = closed  # type: ignore[method-assign]
        backend.submit(ask(backend, seed=6))
    assert [job.workload for job in service.jobs] == ["workload-0", "workload-1"]
    assert not backend.ledger.open_workloads()


def test_what_a_machine_cannot_do_is_refused_before_anything_is_asked() -> None:
    service = FakeService()
    service.is_local = True  # type: ignore[misc]
    with pytest.raises(errors.OptionError, match="no gate_twirling"):
        backend_of(service).asking(ExecutionOptions(gate_twirling=True))
