"""What a later process finds of a request: its layout, its jobs, its results."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qbackend.errors import BackendError, CredentialsError, JobsPendingError, TransientError

from ..fakes import LOST, SPEC, FakeService, Fault, ask, backend_of, undisturbed


def test_the_same_request_is_answered_from_the_ledger(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    result = first.evaluate(ask(first))
    later = backend_of(FakeService(), ledger=path)
    again = later.evaluate(ask(later))
    np.testing.assert_array_equal(again.values, result.values)
    assert later.gateway._service is None, "a finished request needs no connection"
    assert (len(service.jobs), service.jobs[0].deliveries) == (1, 1)


@pytest.mark.parametrize(
    ("options", "n_jobs"),
    [
        ({"deadline": 60.0}, 1),
        ({"max_qpu_seconds": 90.0}, 1),
        ({"max_execution_time": 50}, 1),
        ({"poll": (1.0, 2.0)}, 1),
        ({"mode": "batch"}, 1),
        ({"readout_mitigation": "tensored"}, 2),
        ({"dynamical_decoupling": "XY4"}, 2),
        ({"rep_delay": 0.0001}, 2),
    ],
    ids=str,
)
def test_only_options_that_change_the_result_make_another_job(
    tmp_path: Path, options: dict[str, Any], n_jobs: int
) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    for given in ({}, options):
        backend = backend_of(service, ledger=path, **given)
        backend.evaluate(ask(backend))
    assert len(service.jobs) == n_jobs


def test_rounding_of_the_features_makes_no_other_job(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    first.evaluate(ask(first))
    later = backend_of(service, ledger=path)
    request = ask(later)
    request.parameters[:] += 1e-8
    later.evaluate(request)
    assert len(service.jobs) == 1


def test_a_request_goes_on_with_the_layout_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.sqlite"
    backend = backend_of(FakeService(), ledger=path)
    first = backend.compile(SPEC)
    backend.submit(ask(backend))
    service = FakeService()
    service.machine_names = []
    later = backend_of(service, ledger=path)
    assert later.compile(SPEC).circuit == first.circuit
    assert later.compile(SPEC).record == first.record
    assert later.capabilities.max_wires == 4
    assert service.calls == []


def test_a_submitted_job_is_attached_to_in_a_later_process(tmp_path: Path) -> None:
    service, path = FakeService(looks=3), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError, match=rf"job-0.*qhc resume {tmp_path}.*qhc jobs"):
        backend.submit(ask(backend))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert (len(service.jobs), service.count("start")) == (1, 1)


def test_without_waiting_what_is_done_is_given(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path)
    first.evaluate(ask(first))
    later = backend_of(service, ledger=path, wait=False)
    assert later.evaluate(ask(later)).job_ids == ("job-0",)


def test_a_machine_that_is_gone_still_gives_its_results(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend))
    service.machine_names = []
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())


@pytest.mark.parametrize("where", ["state", "start"])
def test_ctrl_c_leaves_the_job_running(tmp_path: Path, where: str) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.faults.append(Fault(where, KeyboardInterrupt(), after=True))
    backend = backend_of(service, ledger=path)
    with pytest.raises(JobsPendingError, match=f"interrupted.*qhc resume {tmp_path}"):
        backend.evaluate(ask(backend))
    assert len(service.live()) == 1
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


def test_a_pickled_backend_starts_anew(tmp_path: Path) -> None:
    backend = backend_of(FakeService(), ledger=tmp_path / "jobs.sqlite")
    backend._given = backend._clock = None
    _ = backend.ledger
    copied = pickle.loads(pickle.dumps(backend))
    assert copied.ledger.path == backend.ledger.path


@pytest.mark.parametrize("fault", [None, Fault("start", LOST, after=True)], ids=str)
def test_open_jobs_belong_to_one_account(tmp_path: Path, fault: Fault | None) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    if fault is not None:
        service.faults += [fault, Fault("find", LOST, count=11)]
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises((JobsPendingError, TransientError)):
        backend.submit(ask(backend))
    other = FakeService()
    other.instance = "crn:other"
    with pytest.raises(CredentialsError, match=r"crn:fake.*crn:other.*--profile"):
        backend_of(other, ledger=path).submit(ask(backend))
    assert other.jobs == []
    assert len(service.jobs) == 1


def test_too_many_jobs_of_others_are_waited_for_later(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.most_pending = 0
    backend = backend_of(service, ledger=path)
    with pytest.raises(BackendError, match="3458"):
        backend.submit(ask(backend))
    service.most_pending = 1
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


def test_jobs_of_this_process_stay_planned_when_nobody_waits(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    service.is_local = True
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError, match=r"1 of 1 jobs.*not sent yet.*qhc resume"):
        backend.submit(ask(backend))
    assert service.jobs == []
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())


def test_jobs_that_ended_with_their_process_are_executed_again(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    before, after = FakeService(looks=1), FakeService()
    before.is_local = after.is_local = True
    backend = backend_of(before, ledger=path)
    backend.submit(ask(backend))
    later = backend_of(after, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert (len(before.jobs), len(after.jobs)) == (1, 1)
