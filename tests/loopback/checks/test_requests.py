"""Requests that go wrong reach the unmodified client as they do on the wire.

The faults are those of which the product's patience is made; each is shown to have its known
effect, so that a test of the product that meets one meets the real thing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import requests
from ibm_cloud_sdk_core.token_managers import token_manager
from qiskit.primitives import PrimitiveResult
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import IBMBackend, QiskitRuntimeService, SamplerV2
from qiskit_ibm_runtime.accounts.exceptions import InvalidAccountError
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMInputValueError, IBMNotAuthorizedError, IBMRuntimeError
from qiskit_ibm_runtime.executor_sampler import Sampler

from .. import (
    Cut,
    Do,
    Empty,
    Fault,
    Hang,
    Instance,
    LoopbackServer,
    Page,
    Refuse,
    Reset,
    State,
    Status,
    instant_retries,
)
from ..client import fetch, finished, submit

pytestmark = pytest.mark.filterwarnings("ignore:The (Sampler|Estimator)V2 class is deprecated")

POLL = ("GET", "/jobs/{id}")
RESULTS = ("GET", "/jobs/{id}/results")
SUBMIT = ("POST", "/jobs")


def count(server: LoopbackServer, request: tuple[str, str]) -> int:
    return len(server.received(*request))


@pytest.mark.parametrize(
    ("effect", "times", "waits"),
    [
        (Status(429, retry_after=3), 1, [3]),
        (Status(500), 3, [1, 2]),
        (Status(502), 3, [1, 2]),
        (Status(503), 3, [1, 2]),
        (Reset(), 2, [1]),
        (Hang(0.2), 1, []),
    ],
    ids=repr,
)
def test_the_client_survives_on_a_get(
    server: LoopbackServer, backend: IBMBackend, effect: Any, times: int, waits: list[float]
) -> None:
    job = finished(server, backend)
    server.faults.add(Fault(*POLL, effect, count=times))
    with instant_retries() as waited:
        assert job.status() == "DONE"
    assert waited == waits
    assert len([r for r in server.received(*POLL) if r.fault]) == times


@pytest.mark.parametrize(
    ("effect", "error", "code", "n_requests", "waited_for"),
    [
        (Status(429), RequestsApiError, 429, 1, 0),
        (Status(400), RequestsApiError, 400, 1, 0),
        (Status(500), RequestsApiError, -1, 6, 15),
        (Status(503), RequestsApiError, -1, 6, 15),
        (Reset(), RequestsApiError, -1, 6, 15),
        (Page(), requests.JSONDecodeError, None, 1, 0),
        (Empty(), requests.JSONDecodeError, None, 1, 0),
        (Cut(), requests.JSONDecodeError, None, 1, 0),
        (Cut(announced=True), RequestsApiError, -1, 1, 0),
    ],
    ids=repr,
)
def test_the_client_gives_up_on_a_get(
    server: LoopbackServer,
    backend: IBMBackend,
    effect: Any,
    error: type[Exception],
    code: int | None,
    n_requests: int,
    waited_for: float,
) -> None:
    job = finished(server, backend)
    server.faults.add(Fault(*POLL, effect, count=None))
    with instant_retries() as waited, pytest.raises(error) as caught:
        job.status()
    assert getattr(caught.value, "status_code", None) == code
    assert count(server, POLL) == n_requests
    assert sum(waited) == waited_for
    server.faults.clear()
    assert job.status() == "DONE"


@pytest.mark.parametrize(
    ("effect", "accepted", "error", "n_posts", "n_jobs"),
    [
        (Status(429), False, IBMRuntimeError, 1, 0),
        (Status(429, retry_after=1), False, IBMRuntimeError, 1, 0),
        (Status(502), False, None, 3, 1),
        (Status(502), True, None, 3, 3),
        (Reset(), False, IBMRuntimeError, 1, 0),
        (Reset(), True, IBMRuntimeError, 1, 1),
        (Page(), False, requests.JSONDecodeError, 1, 0),
        (Empty(), True, requests.JSONDecodeError, 1, 1),
        (Hang(0.2), True, None, 1, 1),
    ],
    ids=repr,
)
def test_what_a_faulty_submission_leaves_behind(
    server: LoopbackServer,
    backend: IBMBackend,
    effect: Any,
    accepted: bool,
    error: type[Exception] | None,
    n_posts: int,
    n_jobs: int,
) -> None:
    server.faults.add(Fault(*SUBMIT, effect, count=2, accepted=accepted))
    with instant_retries():
        if error is None:
            assert submit(backend).job_id() == server.jobs[-1].id
        else:
            with pytest.raises(error):
                submit(backend)
    assert (count(server, SUBMIT), len(server.jobs)) == (n_posts, n_jobs)


@pytest.mark.parametrize(
    ("effect", "of_v2", "of_client_side"),
    [
        (Cut(announced=True), RequestsApiError, RequestsApiError),
        (Cut(), str, TypeError),
        (Page(), str, TypeError),
        (Empty(), type(None), type(None)),
    ],
    ids=repr,
)
def test_damaged_results(
    server: LoopbackServer, backend: IBMBackend, effect: Any, of_v2: type, of_client_side: type
) -> None:
    for sampler, outcome in ((SamplerV2, of_v2), (Sampler, of_client_side)):
        job = finished(server, backend, sampler=sampler)
        fault = server.faults.add(Fault(*RESULTS, effect))
        assert type(outcome_of(job.result)) is outcome
        assert server.deliveries(server.jobs[-1]) == 0
        server.faults.remove(fault)
        assert isinstance(fetch(job), PrimitiveResult)
        assert server.deliveries(server.jobs[-1]) == 1


def outcome_of(action: Callable[[], Any]) -> Any:
    """What it returns, or the exception that it raises."""
    try:
        return action()
    except Exception as error:
        return error


def test_a_timeout_does_not_bound_a_hanging_request(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    job = finished(server, backend)
    server.faults.add(Fault(*POLL, Hang(0.8)))
    start = time.monotonic()
    assert isinstance(job.result(timeout=0.1), PrimitiveResult)
    assert time.monotonic() - start > 0.7


def test_connections_are_refused_for_a_time(server: LoopbackServer, backend: IBMBackend) -> None:
    """A short outage is survived; a longer one ends in an error, and the job object lives on."""
    job = finished(server, backend)
    port = server.port
    server.faults.add(Fault(*POLL, Refuse(0.6)))
    assert job.in_final_state()
    job = backend.service.job(job.job_id())
    # Longer than the retries take, however busy this computer is.
    server.refuse_connections(600.0)
    with instant_retries() as waited, pytest.raises(RequestsApiError) as caught:
        job.status()
    # A connection that was still open is reset first: one retry more than the three refused ones.
    assert (caught.value.status_code, waited[:2], waited[2:] in ([], [4])) == (-1, [1, 2], True)
    server.accept_connections()
    server.wait(lambda: isinstance(outcome_of(job.status), str))
    assert server.port == port
    assert isinstance(fetch(job), PrimitiveResult)


def test_a_fault_strikes_from_the_first_to_the_last_it_names(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.faults.add(Fault("GET", "/backends*", Status(404), first=2, count=2))
    service = backend.service
    codes = []
    for _ in range(4):
        codes.append(getattr(outcome_of(service._active_api_client.list_backends), "args", [""]))
    assert ["404" in str(code) for code in codes] == [False, True, True, False]


def test_the_usage_endpoint_down_stops_every_submission(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.faults.add(Fault("GET", "/instances/usage", Status(500), count=None))
    with instant_retries() as waited, pytest.raises(RequestsApiError):
        submit(backend)
    assert (sum(waited), server.jobs) == (15, [])


@pytest.mark.parametrize("effect", [None, Status(503), Reset(), Refuse(0.3)], ids=repr)
def test_a_bad_key_and_a_bad_network_look_alike(server: LoopbackServer, effect: Any) -> None:
    if effect is None:
        os.environ["QISKIT_IBM_TOKEN"] = "not-the-key"
    else:
        server.faults.add(Fault("POST", "/identity/token", effect, count=None))
    with instant_retries(), pytest.raises(InvalidAccountError, match="valid API token"):
        QiskitRuntimeService()
    server.faults.clear()


def test_a_foreign_instance_is_refused(server: LoopbackServer) -> None:
    os.environ["QISKIT_IBM_INSTANCE"] = Instance().crn
    with pytest.raises(IBMInputValueError, match="does not have access"):
        QiskitRuntimeService()


def test_a_refused_token_kills_the_service_object_and_spares_the_job(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    job = finished(server, backend)
    server.faults.add(Fault(*POLL, Do(server.identity.refuse_issued_tokens)))
    for _ in range(2):
        with pytest.raises(IBMNotAuthorizedError):
            job.status()
    assert isinstance(fetch(QiskitRuntimeService().job(job.job_id())), PrimitiveResult)
    assert not server.key_exposed


@pytest.fixture
def clock() -> Iterator[SimpleNamespace]:
    """The token manager's clock, which `ahead` sets forward and sleeping moves."""
    fake = SimpleNamespace(ahead=0.0)
    fake.time = lambda: time.time() + fake.ahead

    def sleep(seconds: float) -> None:
        fake.ahead += seconds

    fake.sleep = sleep
    with mock.patch.object(token_manager, "time", fake):
        yield fake


def test_an_expired_token_is_renewed_silently(
    server: LoopbackServer, backend: IBMBackend, clock: SimpleNamespace
) -> None:
    job = finished(server, backend)
    before = count(server, ("POST", "/identity/token"))
    clock.ahead += server.identity.lifetime
    assert job.status() == "DONE"
    assert count(server, ("POST", "/identity/token")) > before
    assert not server.key_exposed


def test_identity_down_at_renewal_exposes_the_key_and_blocks_for_a_minute(
    server: LoopbackServer, backend: IBMBackend, clock: SimpleNamespace
) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    fault = server.faults.add(Fault("POST", "/identity/token", Status(503), count=None))
    clock.ahead += server.identity.lifetime
    with pytest.warns(UserWarning, match="API Key will be used instead"):
        job.status()
    assert server.key_exposed
    assert server.requests[-1].headers["authorization"] == "apikey"
    server.faults.remove(fault)
    before = clock.ahead
    job.status()
    assert 58 < clock.ahead - before < 62


@pytest.mark.parametrize("effect", [Status(503), Status(401), Reset(), Page()], ids=repr)
def test_every_failure_masks_the_machine(
    server: LoopbackServer, service: QiskitRuntimeService, effect: Any
) -> None:
    server.faults.add(Fault("GET", "/backends*", effect, count=None))
    with instant_retries(), pytest.raises(QiskitBackendNotFoundError, match="No backend matches"):
        service.backend("ibm_loopback")
