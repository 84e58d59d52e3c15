"""Results that cannot be what was asked for: refused, and fetched again before that is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit.primitives import DataBin, PrimitiveResult, PubResult
from qiskit_ibm_runtime import RuntimeDecoder

from qbackend import errors
from qbackend.ibm.primitives import decode, encode_result
from qbackend.ibm.service import connect
from qbackend.machines.layout import observed_qubits
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from tests.loopback import Fault as ServerFault
from tests.loopback import State as ServerState
from tests.loopback import Status
from tests.loopback.client import served

from .calls import call, layer
from .fakes import FakeService, Fault, Time, ask, backend_of, executed, undisturbed
from .machine_room import POLL, RESULTS, check_whole, expected, loopback_backend, ready

WIDEST = max(len(each) for each in observed_qubits(layer()))
"""Qubits of the observable that has most of them."""

NO_RESULT = b'"no result"'


def estimated(values: np.ndarray, stderr: np.ndarray | None = None) -> bytes:
    stds = np.full(values.shape, 0.1) if stderr is None else stderr
    data = DataBin(evs=values, stds=stds, shape=values.shape)
    return encode_result(PrimitiveResult([PubResult(data)]))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.001, -3.7])
def test_what_no_expectation_value_can_be_is_refused(wrong: float) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    array = np.zeros((2, 2))
    array[1, 1] = wrong
    with pytest.raises(errors.BackendError, match=rf"not -1 to 1, first {wrong:g} in row 1"):
        decode(estimated(array), asked)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1])
def test_what_no_standard_error_can_be_is_refused(wrong: float) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    errors_ = np.full((2, 2), 0.1)
    errors_[0, 1] = wrong
    with pytest.raises(errors.BackendError, match=rf"not 0 or more.* {wrong:g}"):
        decode(estimated(np.zeros((2, 2)), errors_), asked)


@pytest.mark.parametrize(
    ("options", "largest"),
    [
        ({}, 1.0),
        ({"readout_mitigation": "trex"}, 2.0**WIDEST),
        ({"zne": (1, 3)}, 2.0),
        ({"zne": (1, 3, 5)}, 4.0),
        ({"zne": (1, 3, 5), "readout_mitigation": "trex"}, 4 * 2.0**WIDEST),
    ],
)
def test_mitigation_may_exceed_one_by_what_it_multiplies(
    options: dict[str, Any], largest: float
) -> None:
    """Lines through (1, 1) and (3, -1), and through (3, 1) and (5, -1), reach 2 and 4 at 0."""
    asked = call(ExecutionOptions("estimator", **options), n_rows=2)
    values, _ = decode(estimated(np.full((2, 2), largest)), asked)
    assert (values == largest).all()
    with pytest.raises(errors.BackendError, match=f"not -{largest:g} to {largest:g}"):
        decode(estimated(np.full((2, 2), -1.01 * largest)), asked)


@pytest.mark.parametrize("value", ["garbage", None, 1j, True])
def test_what_is_no_number_is_refused(value: Any) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    with pytest.raises(errors.BackendError, match=r"the result's evs are|does not decode"):
        decode(estimated(np.full((2, 2), value)), asked)


@pytest.mark.parametrize("n_pubs", [0, 2, 4])
@pytest.mark.parametrize("mitigation", ["none", "tensored"])
def test_another_number_of_pubs_is_refused(n_pubs: int, mitigation: Any) -> None:
    asked = call(ExecutionOptions(readout_mitigation=mitigation), n_rows=2)
    (whole, *_) = json.loads(executed(asked), cls=RuntimeDecoder)
    raw = encode_result(PrimitiveResult([whole] * n_pubs))
    with pytest.raises(errors.BackendError, match="does not consist of"):
        decode(raw, asked)


class DamagingService(FakeService):
    """Delivers `count` results that are none, then the true one."""

    def __init__(self, count: int, raw: bytes = NO_RESULT) -> None:
        super().__init__()
        self.count, self.raw = count, raw

    def fetch(self, job_id: str) -> bytes:
        whole = super().fetch(job_id)
        self.count -= 1
        return self.raw if self.count >= 0 else whole


def too_many_pubs() -> bytes:
    one = estimated(np.zeros((2, 3)))
    (pub,) = json.loads(one, cls=RuntimeDecoder)
    return encode_result(PrimitiveResult([pub] * 2))


DAMAGES = {
    "no result": NO_RESULT,
    "too many PUBs": too_many_pubs(),
    "wrong shape": estimated(np.zeros((2, 2))),
    "NaN": estimated(np.full((2, 3), np.nan)),
    "above 1": estimated(np.full((2, 3), 1.5)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("count", [1, 2])
def test_a_refused_result_is_fetched_again_and_nothing_is_paid_again(
    damage: bytes, count: int, path: Path
) -> None:
    service, time, heard = DamagingService(count, damage), Time(), []
    backend = backend_of(service, time, ledger=path, primitive="estimator", progress=heard.append)
    service.executed = lambda asked: estimated(np.zeros((2, 3)))
    values = backend.evaluate(ask(backend)).values
    np.testing.assert_array_equal(values, np.zeros((3, 2)))
    assert (len(service.jobs), time.slept) == (1, [1.0, 2.0][:count])
    told = [each.words for each in heard if "of no use" in each.words]
    assert [words[-24:] for words in told] == [
        f"fetching it again in {n} s" for n in (1, 2)[:count]
    ]
    (entry,) = Ledger(path).entries()
    assert (entry.state, entry.words, entry.attempt) == (State.DONE, "", 1)


def test_a_result_that_stays_refused_is_told_of_and_kept(path: Path) -> None:
    service = DamagingService(10**6)
    backend = backend_of(service, ledger=path)
    with pytest.raises(errors.JobFailedError, match=r"job-0.*of no use.*qhc resume"):
        backend.evaluate(ask(backend))
    (entry,) = Ledger(path).entries()
    assert (Ledger(path).raw(entry.tag), service.jobs[0].deliveries) == (NO_RESULT, 3)


def test_a_later_process_fetches_a_refused_result_before_it_pays_again(path: Path) -> None:
    service = DamagingService(3)
    first = backend_of(service, ledger=path)
    with pytest.raises(errors.JobFailedError):
        first.evaluate(ask(first))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


def test_a_result_that_is_refused_in_the_later_process_too_is_paid_again(path: Path) -> None:
    service = DamagingService(3 + 2)
    first = backend_of(service, ledger=path)
    with pytest.raises(errors.JobFailedError):
        first.evaluate(ask(first))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert [job.deliveries for job in service.jobs] == [5, 1]


def test_results_that_are_refused_every_time_are_not_paid_for_without_end(path: Path) -> None:
    service = DamagingService(10**6)
    for n_jobs in (1, 2):
        backend = backend_of(service, ledger=path)
        with pytest.raises(errors.JobFailedError, match="once more: qhc resume"):
            backend.evaluate(ask(backend))
        assert len(service.jobs) == n_jobs
    for _ in range(3):
        later = backend_of(service, ledger=path)
        with pytest.raises(errors.JobFailedError, match=r"2 jobs.*job job-1.*nothing was sent"):
            later.evaluate(ask(later))
    assert len(service.jobs) == 2


def test_a_refused_result_of_a_job_that_was_deleted_is_paid_again(path: Path) -> None:
    service = DamagingService(3)
    first = backend_of(service, ledger=path)
    with pytest.raises(errors.JobFailedError):
        first.evaluate(ask(first))
    gone = errors.JobNotFoundError("the service has no job job-0")
    service.faults.append(Fault("fetch", gone))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 2


def test_a_process_that_died_over_a_damaged_result_is_no_end(path: Path) -> None:
    """The raw result is in the ledger, and was never read."""
    service = FakeService()
    first = backend_of(service, ledger=path)
    first.submit(ask(first))
    ledger = Ledger(path)
    ledger.done(ledger.entries()[0].tag, NO_RESULT)
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, undisturbed())
    assert len(service.jobs) == 1


@pytest.mark.parametrize("request_", [POLL, RESULTS], ids=" ".join)
@pytest.mark.parametrize("count", [1, 5])
def test_a_job_that_is_not_found_right_after_its_submission_is_waited_for(
    request_: tuple[str, str], count: int
) -> None:
    """A replica that lags behind answers 404 to its status, or to its result."""
    expected()
    with served() as server:
        backend = loopback_backend()
        server.workload.hold(ServerState.QUEUED)
        job = backend.submit(ready())
        fault = server.faults.add(ServerFault(*request_, Status(404), count=count))
        server.workload.release()
        check_whole(server, job.result().values)
        assert (len(server.jobs), fault.seen > count) == (1, True)


def test_a_result_of_a_deleted_job_is_not_waited_for() -> None:
    with served() as server:
        backend = loopback_backend()
        job = backend.submit(ready())
        server.wait_for(ServerState.COMPLETED)
        server.jobs[0].deleted = True
        with pytest.raises(errors.JobNotFoundError):
            connect().fetch(job.id)


def test_a_result_that_is_never_shown_leaves_the_job_to_a_later_run(path: Path) -> None:
    with served() as server:
        backend = loopback_backend(path)
        fault = server.faults.add(ServerFault(*RESULTS, Status(404), count=None))
        with pytest.raises(errors.TransientError, match=r"does not show its result.*qhc resume"):
            backend.evaluate(ready())
        server.faults.remove(fault)
        check_whole(server, loopback_backend(path).evaluate(ready()).values)
        assert len(server.jobs) == 1
