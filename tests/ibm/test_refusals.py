"""Errors of the service that a user can act on, and what may pass by itself."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import replace
from unittest import mock

import pytest

from qbackend import errors, get_backend
from qbackend.ibm.credentials import Credentials, Secret
from qbackend.ibm.limits import MAX_EXECUTION_SECONDS
from qbackend.ibm.results import decode
from qbackend.ibm.service import connect
from qbackend.ibm.translate import redacted
from qbackend.machines.options import ExecutionOptions
from tests.loopback import (
    PAID_PLAN,
    Cut,
    Empty,
    Ending,
    Fault,
    Instance,
    LoopbackServer,
    Machine,
    MachineStatus,
    Page,
    Plan,
    Reset,
    State,
    Status,
)
from tests.loopback.client import served

from .calls import NAME, call, small_machine


def test_without_credentials() -> None:
    with pytest.raises(errors.CredentialsError, match=r"credentials\.example\.toml.*fake_brisbane"):
        connect()


@pytest.mark.parametrize("machine", ["ibm_fez", "fake_manila"])
def test_a_job_may_not_ask_for_more_than_the_longest_time(machine: str) -> None:
    longest = ExecutionOptions(max_execution_time=MAX_EXECUTION_SECONDS)
    get_backend(machine, machine=longest)
    with pytest.raises(errors.OptionError, match="at most 10800 seconds at IBM, got 10801"):
        get_backend(machine, machine=replace(longest, max_execution_time=10801))


def test_a_bad_token_is_told_from_a_dead_network(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "wrong-key")
    with pytest.raises(errors.CredentialsError, match="does not know the token") as caught:
        connect()
    assert "wrong-key" not in str(caught.value)
    assert "QISKIT_IBM_TOKEN" in str(caught.value)


@pytest.mark.parametrize("effect", [Reset(), Status(503)])
def test_a_dead_identity_service_does_not_blame_the_token(server: LoopbackServer, effect) -> None:
    server.faults.add(Fault("POST", "/identity/token", effect, count=None))
    with pytest.raises(errors.TransientError, match="was not judged"):
        connect()


def test_a_server_that_is_not_there(server: LoopbackServer) -> None:
    with (
        mock.patch.dict(os.environ, IAM_URL="http://127.0.0.1:9"),
        pytest.raises(errors.TransientError, match="cannot be reached"),
    ):
        connect()


def test_an_unknown_instance_lists_the_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    instances = [Instance("first"), Instance("second", PAID_PLAN)]
    with served(instances=instances) as server:
        for wrong in ("frist", "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"):
            monkeypatch.setenv("QISKIT_IBM_INSTANCE", wrong)
            with pytest.raises(errors.CredentialsError, match="first"):
                connect()
        monkeypatch.setenv("QISKIT_IBM_INSTANCE", "second")
        service = connect()
        assert service.instance == server.workload.instances[instances[1].crn].crn
        assert service.plan().has_sessions


def test_an_account_without_instances(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QISKIT_IBM_INSTANCE")
    server.instances.clear()
    with pytest.raises(errors.CredentialsError, match="no instance that could pay"):
        connect()


def test_an_unknown_machine_names_those_that_there_are(server: LoopbackServer) -> None:
    service = connect()
    with pytest.raises(
        errors.MachineError, match=f"no machine 'ibm_brisbane'.*it has {NAME}.*fake_brisbane"
    ):
        service.device("ibm_brisbane")
    with pytest.raises(errors.MachineError) as caught:
        service.device("ibm_nowhere")
    assert "fake_" not in str(caught.value)


def test_a_machine_that_is_retired_after_it_was_looked_at(server: LoopbackServer) -> None:
    service = connect()
    service.device(NAME)
    server.machines["ibm_other"] = Machine.load("ibm_other", n_qubits=4, noisy=False)
    server.machines[NAME].status = MachineStatus.RETIRED
    with pytest.raises(errors.MachineError, match="it has ibm_other"):
        service.start(NAME, call(), "mine", None)
    assert not server.jobs


@pytest.mark.parametrize("effect", [Status(503), Reset(), Page(), Empty()])
@pytest.mark.parametrize("route", ["/backends", "/backends/{name}/configuration"])
def test_a_dead_network_does_not_retire_a_machine(
    server: LoopbackServer, effect, route: str
) -> None:
    service = connect()
    server.faults.add(Fault("GET", route, effect, count=None))
    with pytest.raises(errors.TransientError):
        service.device(NAME)


def test_a_refused_token_does_not_retire_a_machine(server: LoopbackServer) -> None:
    service = connect()
    server.identity.refuse_issued_tokens()
    with pytest.raises(errors.TokenRefusedError):
        service.device(NAME)
    assert service.reconnect().device(NAME).name == NAME


def test_the_raw_key_is_never_sent() -> None:
    with served([small_machine()], token_seconds=11.0) as server:
        service = connect()
        server.faults.add(Fault("POST", "/identity/token", Status(503), count=None))
        refused = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            until = time.monotonic() + 30
            while not refused and time.monotonic() < until:
                try:
                    service.plan()
                    time.sleep(0.1)
                except errors.TokenRefusedError as error:
                    refused.append(error)
        assert "did not renew" in str(refused[0])
        assert not server.key_exposed


def test_sessions_need_a_plan_that_has_them(server: LoopbackServer) -> None:
    with pytest.raises(errors.PlanError, match="--session"):
        connect().open_workload(NAME, session=True)
    assert not server.sessions


def test_a_plan_that_is_used_up() -> None:
    instance = Instance(consumed=600.0)
    with served([small_machine()], [instance]):
        service = connect()
        assert service.plan().seconds_left == 0
        with pytest.raises(errors.PlanError, match="used up"):
            service.start(NAME, call(), "mine", None)


@pytest.mark.parametrize("retry_after", [None, 7.0])
def test_too_many_submissions_may_be_tried_later(retry_after: float | None) -> None:
    plan = Plan(posts_per_minute=1, retry_after=retry_after)
    with served([small_machine()], [Instance(plan=plan)]):
        service = connect()
        service.start(NAME, call(), "mine", None)
        with pytest.raises(errors.TransientError) as caught:
            service.start(NAME, call(), "mine", None)
        assert (caught.value.status_code, caught.value.retry_after) == (429, retry_after)


def test_too_many_pending_jobs_may_be_tried_later() -> None:
    plan = Plan(pending_jobs=1)
    with served([small_machine()], [Instance(plan=plan)]) as server:
        server.workload.hold(State.QUEUED)
        service = connect()
        service.start(NAME, call(), "mine", None)
        with pytest.raises(errors.TransientError, match="3458"):
            service.start(NAME, call(), "mine", None)


@pytest.mark.parametrize("generation", ["server", "client"])
@pytest.mark.parametrize("effect", [Page(), Empty(), Reset(), Cut(), Cut(announced=True)])
def test_a_damaged_result_is_worth_another_try(server: LoopbackServer, effect, generation) -> None:
    service, asked = connect(), call(ExecutionOptions(generation=generation))
    job_id = service.start(NAME, asked, "mine", None)
    server.wait_for(State.COMPLETED)
    fault = server.faults.add(Fault("GET", "/jobs/{id}/results", effect, count=None))
    with pytest.raises(errors.TransientError):
        service.fetch(job_id)
    server.faults.remove(fault)
    decode(service.fetch(job_id), asked)


def test_a_job_of_another_account_is_not_found(server: LoopbackServer) -> None:
    with pytest.raises(errors.BackendError, match="no job d0000"):
        connect().state("d0000")


FOREIGN = {
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "API key": "aB3dEfGhIjKlMnOpQrStUvWxYz0123456789-_aB3dEf",
}
"""Whose they may be nobody knows; how they look is known."""
QUOTES = [
    "Authorization: Bearer {key}",
    "apikey {key} is unknown",
    '{{"api_key": "{key}"}}',
    "token={key}",
    "the task ended with {key}",
]
"""Ways in which a service may quote what it was sent."""


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("whose", ["own", *FOREIGN])
def test_a_failure_reason_shows_no_key(server: LoopbackServer, quote: str, whose: str) -> None:
    """In the job's state, in the error of its result, and in the ledger."""
    key = os.environ["QISKIT_IBM_TOKEN"] if whose == "own" else FOREIGN[whose]
    reason = f"internal error; {quote.format(key=key)}; at the device"
    service = connect()
    server.workload.hold(State.QUEUED)
    job_id = service.start(NAME, call(), "mine", None)
    server.workload.end(server.jobs[0], Ending(State.FAILED, 9701, reason))
    words = service.state(job_id).words
    with pytest.raises(errors.JobFailedError) as caught:
        service.fetch(job_id)
    for told in (words, str(caught.value)):
        assert key not in told
        assert "internal error" in told
        assert "***" in told


NAMED = [
    "Authorization: Basic {key}",
    "{{'Authorization': 'Basic {key}'}}",
    '"access_token": "{key}"',
    "refresh_token={key}",
    "IBMCLOUD_API_KEY={key}",
    "QISKIT_IBM_TOKEN={key}",
    "client_secret={key}",
    "passwd={key}",
    '{{\\"apikey\\":\\"{key}\\"}}',
    "apikey%3D{key}",
    "proxy http://somebody:{key}@proxy.example:3128 is out of reach",
]
"""What only the words around it make a key."""


@pytest.mark.parametrize("quote", NAMED)
def test_a_key_is_known_by_the_words_around_it(quote: str) -> None:
    credentials = Credentials(Secret("own"), None, "ibm_cloud", "a test")
    told = redacted(f"it failed ({quote.format(key='hunter2')}) at the device", credentials)
    assert "hunter2" not in told
    assert "***" in told
    assert told.startswith("it failed")


@pytest.mark.parametrize(
    "words",
    [
        "the token expired at 12:00",
        "job d4c2v1k8p7hs73ab1q2g failed: Error code 1305; ran too long",
        "see https://quantum.cloud.ibm.com/docs/errors#1305",
        "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef0123456789abcdef::",
    ],
)
def test_what_is_no_key_is_told(words: str) -> None:
    assert redacted(words, Credentials(Secret("own"), None, "ibm_cloud", "a test")) == words


def test_a_machines_status_shows_no_key(server: LoopbackServer) -> None:
    key = os.environ["QISKIT_IBM_TOKEN"]
    service = connect()
    assert service.machine(NAME).status == "active"
    server.machines[NAME].status = mock.Mock(value=f"paused for {key}", spec=MachineStatus.PAUSED)
    assert service.machine(NAME).status == "paused for ***"


def test_a_long_reason_keeps_its_beginning_and_its_end(server: LoopbackServer) -> None:
    service = connect()
    server.workload.hold(State.QUEUED)
    job_id = service.start(NAME, call(), "mine", None)
    reason = f"Traceback {'x ' * 1000} ZeroDivisionError: in the end"
    server.workload.end(server.jobs[0], Ending(State.FAILED, 9701, reason))
    words = service.state(job_id).words
    assert len(words) < 450
    assert "9701" in words
    assert words.endswith("ZeroDivisionError: in the end")
