"""Results that cannot be what was asked for: refused, and fetched again before that is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qiskit.primitives import PrimitiveResult
from qiskit_ibm_runtime import RuntimeDecoder

from qbackend import errors
from qbackend.ibm.results import encode_result
from qbackend.ibm.service import connect
from qbackend.machines.ledger.entries import State
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import Fault as ServerFault
from tests.loopback import State as ServerState
from tests.loopback import Status
from tests.loopback.client import served

from ..fakes import FakeService, Fault, Time, ask, backend_of, estimated, placing, undisturbed
from ..machine_room import POLL, RESULTS, check_whole, expected, loopback_backend, ready

NO_RESULT = b'"no result"'


class DamagingService(FakeService):
    """Delivers `count` results that are none, then the true one."""

    def __init__(self, count: int, raw: bytes = NO_RESULT) -> None:
        super().__init__()
        self.count, self.raw = count, raw

    def fetch(self, job_id: str) -> bytes:
        whole = super().fetch(job_id)
        self.count -= 1
        return self.raw if self.count >= 0 else whole


Shape = tuple[int, int]


def shape() -> Shape:
    """Of an Estimator's values: those of all copies, for as many rows as these take."""
    n_copies = placing.get("copies", 1)
    return 2 * n_copies, -(-3 // n_copies)


def too_many_pubs(shape: Shape) -> bytes:
    one = estimated(np.zeros(shape))
    (pub,) = json.loads(one, cls=RuntimeDecoder)
    return encode_result(PrimitiveResult([pub] * 2))


DAMAGES: dict[str, Callable[[Shape], bytes]] = {
    "no result": lambda shape: NO_RESULT,
    "too many PUBs": too_many_pubs,
    "wrong shape": lambda shape: estimated(np.zeros((shape[0], shape[1] + 1))),
    "fewer observables": lambda shape: estimated(np.zeros((shape[0] - 1, shape[1]))),
    "NaN": lambda shape: estimated(np.full(shape, np.nan)),
    "above 1": lambda shape: estimated(np.full(shape, 1.5)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("count", [1, 2])
def test_a_refused_result_is_fetched_again_and_nothing_is_paid_again(
    damage: Callable[[Shape], bytes], count: int, path: Path
) -> None:
    service, time, heard = DamagingService(count, damage(shape())), Time(), []
    backend = backend_of(service, time, ledger=path, primitive="estimator", progress=heard.append)
    service.executed = lambda asked: estimated(np.zeros(shape()))
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
