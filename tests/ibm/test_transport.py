"""Every request of the client goes out once, whichever connection of it makes the request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest

from qbackend.errors import BackendError, QhcError, TransientError
from qbackend.ibm.client import SingleTryService
from qbackend.ibm.credentials import find_credentials
from qbackend.ibm.service import RuntimeService, connect
from tests.loopback import PAID_PLAN, Fault, Instance, Reset, Status, instant_retries
from tests.loopback.client import served

from .calls import NAME, call, small_machine

REPEATED = (500, 502, 503, 504, 520, 521, 522, 524)
"""What the client answers by a request more, if it is let."""

FAULTS = [
    *map(Status, (*REPEATED, 429)),
    Status(503, retry_after=3600),
    Status(429, retry_after=3600),
    Reset(),
]
SUBMIT, OPEN = ("POST", "/jobs"), ("POST", "/sessions")


def fresh() -> RuntimeService:
    return connect()


def reconnected() -> RuntimeService:
    return connect().reconnect()


def of_several_instances() -> RuntimeService:
    """Another connection of the client for each instance, and a service anew for the one."""
    service = connect(find_credentials())
    service.paying_for(NAME)
    return service


@pytest.mark.parametrize("effect", FAULTS, ids=repr)
def test_a_submission_is_posted_once_and_nothing_is_slept_through(effect: Any) -> None:
    with served([small_machine()]) as server, instant_retries() as waited:
        service = connect()
        server.faults.add(Fault(*SUBMIT, effect, accepted=True, count=None))
        with pytest.raises(TransientError):
            service.start(NAME, call(), "mine", None)
        assert (len(server.received(*SUBMIT)), len(server.jobs), waited) == (1, 1, [])


@pytest.mark.parametrize("way", [fresh, reconnected, of_several_instances])
@pytest.mark.parametrize("request_", [SUBMIT, OPEN], ids=" ".join)
def test_every_service_object_posts_once(
    way: Callable[[], RuntimeService],
    request_: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instances = [Instance("paid", PAID_PLAN), Instance("free")]
    with served([small_machine()], instances) as server, instant_retries() as waited:
        if way is of_several_instances:
            monkeypatch.delenv("QISKIT_IBM_INSTANCE")
        service = way()
        server.faults.add(Fault(*request_, Status(502), accepted=True, count=None))
        send = {
            SUBMIT: lambda: service.start(NAME, call(), "mine", None),
            OPEN: lambda: service.open_workload(NAME, session=False),
        }[request_]
        with pytest.raises(TransientError):
            send()
        assert (len(server.received(*request_)), waited) == (1, [])


def test_a_job_in_a_batch_is_posted_once() -> None:
    with served([small_machine()]) as server, instant_retries() as waited:
        service = connect()
        workload = service.open_workload(NAME, session=False)
        server.faults.add(Fault(*SUBMIT, Status(502), accepted=True, count=None))
        for owner in (service, service.reconnect()):
            with pytest.raises(TransientError):
                owner.start(NAME, call(), "mine", workload)
        assert (len(server.jobs), waited) == (2, [])


@pytest.mark.parametrize("effect", [Status(502), *FAULTS[-3:]], ids=repr)
@pytest.mark.parametrize(
    ("route", "question"),
    [
        ("/backends", lambda service: service.reconnect().machines()),
        ("/instances/usage", lambda service: service.plan()),
        ("/backends/{name}/properties", lambda service: service.device(NAME)),
        ("/jobs/{id}", lambda service: service.state("d0000")),
        ("/jobs", lambda service: service.find("mine")),
    ],
)
def test_no_question_is_repeated_or_slept_through(effect: Any, route: str, question: Any) -> None:
    with served([small_machine()]) as server, instant_retries() as waited:
        service = connect()
        before = len(server.received("GET", route))
        server.faults.add(Fault("GET", route, effect))
        with suppress(QhcError):
            question(service)
        assert waited == []
        # The client itself hides a failure to list machines, and asks for the list again.
        assert len(server.received("GET", route)) - before <= (3 if route == "/backends" else 1)


def connections(client: SingleTryService) -> list[Any]:
    """All that the client's object has, as the version in use keeps them."""
    copied = deepcopy(client.backend(NAME))
    return [client._active_api_client, *client._api_clients.values(), copied._api_client]


def test_no_adapter_of_the_clients_sessions_repeats_anything() -> None:
    """Fails when the client keeps its connections elsewhere."""
    with served([small_machine()], [Instance("one"), Instance("two")]):
        for instance in (None, "auto"):
            found = connections(SingleTryService(instance=instance))
            assert len(found) > 2
            for connection in found:
                adapters = connection._session.adapters.values()
                assert [adapter.max_retries.total for adapter in adapters] == [0, 0]
                assert not any(adapter.max_retries.status_forcelist for adapter in adapters)


def test_a_client_that_cannot_be_told_to_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are elsewhere, or have no session that is known."""
    advice = "nothing was sent.*pip install 'qiskit-ibm-runtime<"
    with served([small_machine()]) as server:
        kind = type(SingleTryService()._active_api_client)
        init = kind.__init__

        def renamed(self: Any, params: Any) -> None:
            init(self, params)
            self._transport = self.__dict__.pop("_session")

        with monkeypatch.context() as patch:
            patch.delattr(SingleTryService, "_active_api_client")
            with pytest.raises(BackendError, match=advice):
                connect()
        monkeypatch.setattr(kind, "__init__", renamed)
        with pytest.raises(BackendError, match=advice) as caught:
            connect()
        assert not isinstance(caught.value, TransientError)
        assert server.jobs == []
