"""The loopback service against the unmodified client: what works, and what goes wrong as measured.

The faults are those of which the product's patience is made; each is shown here to reach the
client as it does on the wire, so that a test of the product that meets one meets the real thing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from ibm_cloud_sdk_core.token_managers import token_manager
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.random import random_circuit
from qiskit.primitives import PrimitiveResult
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import (
    Batch,
    EstimatorV2,
    IBMBackend,
    QiskitRuntimeService,
    SamplerV2,
    Session,
)
from qiskit_ibm_runtime.accounts.exceptions import InvalidAccountError
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
    RuntimeJobTimeoutError,
)
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.fake_provider import FakeFez
from qiskit_ibm_runtime.ibm_backend import IBMRetiredBackend

from .loopback import (
    CANCELLED_ELSEWHERE,
    FAILED,
    PAID_PLAN,
    RAN_TOO_LONG,
    Cut,
    Do,
    Empty,
    Ending,
    Fault,
    Hang,
    Instance,
    LoopbackServer,
    Machine,
    MachineStatus,
    Page,
    Plan,
    Refuse,
    Reset,
    State,
    Status,
    instant_retries,
)
from .loopback.jobs import new_id
from .loopback.machines import Snapshot
from .loopback.sampling import independent_parts

pytestmark = pytest.mark.filterwarnings("ignore:The (Sampler|Estimator)V2 class is deprecated")

POLL = ("GET", "/jobs/{id}")
RESULTS = ("GET", "/jobs/{id}/results")
SUBMIT = ("POST", "/jobs")
SHOTS = 64
ROUNDING = 1e-12


def tiny(name: str = "ibm_loopback") -> Machine:
    """Four qubits without noise."""
    return Machine.load(name, n_qubits=4, noisy=False)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """With `tiny`, and the environment set for the client."""
    with LoopbackServer([tiny()]) as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture
def service(server: LoopbackServer) -> QiskitRuntimeService:
    return QiskitRuntimeService()


@pytest.fixture
def backend(service: QiskitRuntimeService) -> IBMBackend:
    found = service.backend("ibm_loopback")
    assert found.target is not None
    return found


def coin() -> QuantumCircuit:
    """Executable as it is: one qubit that is 0 or 1 with equal probability."""
    circuit = QuantumCircuit(4, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    return circuit


def submit(mode: Any, *, sampler: type[SamplerV2 | Sampler] = SamplerV2, tag: str = "") -> Any:
    primitive = sampler(mode=mode)
    primitive.options.environment.job_tags = [tag] if tag else []
    return primitive.run([(coin(),)], shots=SHOTS)


def fetch(job: Any) -> Any:
    """The result, asked for as often as the client allows."""
    return job.result(poll_interval=0.1)


def finished(server: LoopbackServer, mode: Any, **options: Any) -> Any:
    """A job that has its result at the server, not yet fetched."""
    job = submit(mode, **options)
    server.wait_for(State.COMPLETED, n_jobs=len(server.jobs))
    return job


def count(server: LoopbackServer, request: tuple[str, str]) -> int:
    return len(server.received(*request))


# What the service executes


def layer() -> tuple[QuantumCircuit, NDArray[np.float64]]:
    """Four wires with parameters, and rows of them."""
    angles = ParameterVector("t", 8)
    circuit = QuantumCircuit(4)
    for qubit in range(4):
        circuit.ry(angles[qubit], qubit)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(4):
        circuit.rx(angles[4 + qubit], qubit)
    return circuit, np.random.default_rng(3).uniform(-np.pi, np.pi, (6, 8))


OBSERVABLES = tuple(map(SparsePauliOp, ("IIIZ", "IIZI", "IZII", "ZIII", "IIXX", "YIYI")))


@pytest.fixture(scope="module")
def exact() -> NDArray[np.float64]:
    """Expectations of `OBSERVABLES` in the rows of `layer`, (observables, rows)."""
    circuit, rows = layer()
    states = [Statevector(circuit.assign_parameters(row)) for row in rows]
    return np.array([[s.expectation_value(o).real for s in states] for o in OBSERVABLES])


@pytest.fixture(scope="module")
def exact_server() -> Iterator[LoopbackServer]:
    machine = Machine.load("ibm_exact", n_qubits=8, noisy=False)
    with LoopbackServer([machine]) as running, mock.patch.dict(os.environ, running.environment):
        yield running


@pytest.fixture(scope="module")
def exact_backend(exact_server: LoopbackServer) -> IBMBackend:
    return QiskitRuntimeService().backend("ibm_exact")


def compiled(backend: IBMBackend, circuit: QuantumCircuit) -> QuantumCircuit:
    return generate_preset_pass_manager(1, backend, seed_transpiler=1).run(circuit)


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
def test_samplers_agree_with_exact_values(
    exact_backend: IBMBackend,
    exact_server: LoopbackServer,
    exact: NDArray[np.float64],
    sampler: type[SamplerV2 | Sampler],
) -> None:
    circuit, rows = layer()
    circuit.measure_all()
    pub = (compiled(exact_backend, circuit), rows)
    result = sampler(mode=exact_backend).run([pub], shots=4096).result()
    bits = result[0].data.meas.to_bool_array(order="little")
    assert bits.shape == (6, 4096, 4)
    values = 1 - 2 * bits.mean(axis=1).T
    errors = np.sqrt((1 - exact[:4] ** 2) / 4096)
    assert (np.abs(values - exact[:4]) < 5 * errors).all()
    job = exact_server.jobs[-1]
    assert (job.pubs, job.rows, job.shots, job.executions) == (1, 6, (4096,), 6 * 4096)


@pytest.mark.parametrize("estimator", [EstimatorV2, Estimator])
def test_estimators_agree_with_exact_values(
    exact_backend: IBMBackend,
    exact_server: LoopbackServer,
    exact: NDArray[np.float64],
    estimator: type[EstimatorV2 | Estimator],
) -> None:
    circuit, rows = layer()
    isa = compiled(exact_backend, circuit)
    observables = [[o.apply_layout(isa.layout)] for o in OBSERVABLES]
    primitive = estimator(mode=exact_backend)
    result = primitive.run([(isa, observables, rows)], precision=1 / 64).result()
    data = result[0].data
    assert data.evs.shape == exact.shape
    # TREX divides by calibrated values near 1: the bound is that of the shots, with its margin.
    errors = np.sqrt(np.maximum(1 - exact**2, 1 / 4096) / 4096)
    assert (np.abs(data.evs - exact) < 5 * np.maximum(errors, data.stds)).all()
    job = exact_server.jobs[-1]
    bases = 3
    if estimator is EstimatorV2:
        assert (job.pubs, job.rows, job.executions) == (1, 6, bases * 6 * 4096)
    else:  # bases are rows, and one row more calibrates the readout
        assert (job.pubs, job.rows) == (2, bases * 6 + 1)
        assert job.executions == job.rows * 4096


@given(seed=st.integers(0, 2**32 - 1), n_qubits=st.integers(1, 5))
def test_a_circuit_is_the_product_of_its_parts(seed: int, n_qubits: int) -> None:
    circuit = QuantumCircuit(n_qubits, n_qubits)
    circuit.compose(random_circuit(n_qubits, 2, max_operands=2, seed=seed), inplace=True)
    whole = np.abs(Statevector(circuit).data) ** 2
    circuit.barrier()
    circuit.measure(range(n_qubits), range(n_qubits))
    parts = independent_parts(circuit)
    assert sorted(c for part in parts for c in part.clbits) == list(range(n_qubits))
    factors = []
    for part in parts:
        assert part.qubits == part.clbits
        unmeasured = part.circuit.remove_final_measurements(inplace=False)
        factors.append(Statevector(unmeasured).probabilities())
    for outcome, bits in enumerate(product((0, 1), repeat=n_qubits)):
        of_qubit = bits[::-1]
        joint = 1.0
        for part, factor in zip(parts, factors, strict=True):
            joint *= factor[sum(of_qubit[q] << place for place, q in enumerate(part.qubits))]
        assert joint == pytest.approx(whole[outcome], abs=ROUNDING)


def test_a_small_machine_has_the_snapshots_calibration() -> None:
    snapshot = Snapshot.load("fez")
    region = snapshot.region(8)
    small, whole = snapshot.cut(region).target(), FakeFez().target
    couplings = {(region[a], region[b]) for a, b in small["cz"]}
    assert couplings == {pair for pair in whole["cz"] if set(pair) <= set(region)}
    for a, b in small["cz"]:
        theirs = whole["cz"][(region[a], region[b])]
        assert small["cz"][(a, b)].error == theirs.error
        assert small["cz"][(a, b)].duration == theirs.duration
    for qubit, old in enumerate(region):
        assert small["measure"][(qubit,)].error == whole["measure"][(old,)].error
        assert small.qubit_properties[qubit].t1 == whole.qubit_properties[old].t1


def test_idle_qubits_carry_their_readout_error() -> None:
    machine = Machine.load("ibm_noisy", n_qubits=8)
    circuit = QuantumCircuit(8, 8)
    circuit.measure(range(8), range(8))
    with LoopbackServer([machine]) as server, mock.patch.dict(os.environ, server.environment):
        backend = QiskitRuntimeService().backend("ibm_noisy")
        data = SamplerV2(mode=backend).run([(circuit,)], shots=20_000).result()[0].data
    ones = data.c.to_bool_array(order="little").mean(axis=0)
    reported = [machine.target["measure"][(qubit,)].error for qubit in range(8)]
    errors = np.sqrt(np.multiply(reported, np.subtract(1, reported)) / 20_000)
    assert (np.abs(ones - reported) < 5 * errors).all()
    assert ones.max() > 0


# What an undisturbed client does


def test_the_service_shows_its_machines(service: QiskitRuntimeService) -> None:
    assert [each.name for each in service.backends()] == ["ibm_loopback"]
    backend = service.backend("ibm_loopback")
    assert backend.num_qubits == 4
    assert "cz" in backend.target.operation_names
    status = backend.status()
    assert (status.operational, status.status_msg, status.pending_jobs) == (True, "active", 0)


def test_instances_are_chosen_by_name_and_keep_their_jobs_apart() -> None:
    both = [Instance("first"), Instance("second", PAID_PLAN)]
    with LoopbackServer([tiny()], both) as server, mock.patch.dict(os.environ, server.environment):
        second = QiskitRuntimeService(instance="second")
        assert second.active_instance() == both[1].crn
        assert [i["plan"] for i in second.instances()] == ["open", "pay-as-you-go"]
        job = finished(server, second.backend("ibm_loopback"))
        assert server.jobs[0].instance == both[1].crn
        with pytest.raises(RuntimeJobNotFound):
            QiskitRuntimeService().job(job.job_id())


@pytest.mark.parametrize(("sampler", "extra"), [(SamplerV2, 0), (Sampler, 1)])
def test_one_submission_is_three_requests_and_a_listing_for_the_client_side(
    server: LoopbackServer, backend: IBMBackend, sampler: type[SamplerV2 | Sampler], extra: int
) -> None:
    before = len(server.requests)
    submit(backend, sampler=sampler, tag="mine")
    routes = [request.route for request in server.requests[before:]]
    assert routes == ["/backends"] * extra + [
        "/instances/usage",
        "/backends/{name}/status",
        "/jobs",
    ]
    assert server.jobs[0].tags == ["mine"]
    assert server.requests[-1].headers["authorization"] == "Bearer"
    assert not server.key_exposed


def test_jobs_are_found_by_tag_and_by_filters(server: LoopbackServer, backend: IBMBackend) -> None:
    jobs = [submit(backend, tag=tag) for tag in ("a", "b", "b")]
    server.wait_for(State.COMPLETED, n_jobs=3)
    service = QiskitRuntimeService()
    assert [j.job_id() for j in service.jobs(job_tags=["a"])] == [jobs[0].job_id()]
    newest_first = [j.job_id() for j in service.jobs(limit=None)]
    assert newest_first == [j.job_id() for j in reversed(jobs)]
    assert len(service.jobs(job_tags=["b"], limit=1)) == 1
    assert service.jobs(job_tags=["a", "b"]) == []
    assert service.jobs(pending=True) == []
    assert service.jobs(created_after=datetime.now(UTC) + timedelta(minutes=1)) == []
    jobs[0].update_tags(["renamed"])
    assert server.jobs[0].tags == ["renamed"]


def test_more_jobs_than_a_page_are_all_listed(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    submit(backend, tag="many")
    for _ in range(20):
        server.workload.submit(replace(server.jobs[0], id=new_id()))
    assert len(QiskitRuntimeService().jobs(job_tags=["many"], limit=None)) == 21


def test_another_service_object_reads_an_old_job(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    job = finished(server, backend)
    first = job.result()[0].data.c.get_counts()
    again = QiskitRuntimeService().job(job.job_id())
    assert again.result()[0].data.c.get_counts() == first
    assert server.deliveries(server.jobs[0]) == 2
    assert again.inputs["pubs"][0][0] == coin()


def test_usage_is_charged_by_ibms_formula(server: LoopbackServer, backend: IBMBackend) -> None:
    job = finished(server, backend)
    seconds = 2 + 0.00035 * SHOTS
    assert job.usage_estimation["quantum_seconds"] == pytest.approx(seconds)
    assert job.usage() == pytest.approx(seconds)
    usage = backend.service.usage()
    assert usage["usage_consumed_seconds"] == pytest.approx(seconds)
    assert usage["usage_remaining_seconds"] == pytest.approx(600 - seconds)


def test_usage_is_pending_for_a_while() -> None:
    with LoopbackServer([tiny()], usage_seconds=0.3) as server:
        with mock.patch.dict(os.environ, server.environment):
            job = finished(server, QiskitRuntimeService().backend("ibm_loopback"))
            assert (job.usage(), job.metrics()["usage"]["status"]) == (0, "pending")
            server.wait(lambda: job.usage() > 0)
            assert job.metrics()["timestamps"]["finished"] is not None


def test_a_job_lives_as_long_as_it_is_held(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    assert (job.status(), backend.status().pending_jobs) == ("QUEUED", 1)
    server.workload.release()
    server.workload.hold(State.RUNNING)
    server.wait_for(State.RUNNING)
    assert (job.status(), backend.status().pending_jobs) == ("RUNNING", 0)
    server.workload.release()
    assert fetch(job)[0].data.c.num_shots == SHOTS


def test_queue_and_run_last_as_long_as_the_machine_says() -> None:
    machine = tiny()
    machine.queue_seconds, machine.run_seconds, machine.others_waiting = 0.2, 0.3, 7
    with LoopbackServer([machine]) as server, mock.patch.dict(os.environ, server.environment):
        backend = QiskitRuntimeService().backend("ibm_loopback")
        assert backend.status().pending_jobs == 7
        finished(server, backend)
        job = server.jobs[0]
        assert job.started is not None
        assert job.finished is not None
        assert (job.started - job.created).total_seconds() > 0.19
        assert (job.finished - job.started).total_seconds() > 0.29


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
def test_a_batch_runs_its_jobs_and_closes(
    server: LoopbackServer, backend: IBMBackend, sampler: type[SamplerV2 | Sampler]
) -> None:
    with Batch(backend=backend) as batch:
        jobs = [submit(batch, sampler=sampler) for _ in range(3)]
    assert all(isinstance(fetch(job), PrimitiveResult) for job in jobs)
    (session,) = server.sessions
    assert (session.mode, session.accepting) == ("batch", False)
    assert [job.session_id for job in server.jobs] == [session.id] * 3
    assert batch.status() == "Closed"


def test_a_job_is_cancelled(server: LoopbackServer, backend: IBMBackend) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    job.cancel()
    assert server.cancelled() == [job.job_id()]
    assert server.jobs[0].state is State.CANCELLED
    with pytest.raises(RuntimeInvalidStateError):
        fetch(job)
    assert server.instance.consumed == 0


def test_what_is_not_executable_fails_at_the_server(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    """The client-side classes do not check; the V2 ones refuse before anything is sent."""
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(IBMInputValueError):
        SamplerV2(mode=backend).run([(circuit,)])
    assert server.jobs == []
    job = Sampler(mode=backend).run([(circuit,)])
    with pytest.raises(RuntimeJobFailureError, match="Error code 1517; The instruction h"):
        fetch(job)


# What goes wrong with requests


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
    server: LoopbackServer,
    backend: IBMBackend,
    effect: Any,
    of_v2: type,
    of_client_side: type,
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
    server.refuse_connections(1.0)
    with instant_retries() as waited, pytest.raises(RequestsApiError) as caught:
        job.status()
    assert (caught.value.status_code, waited) == (-1, [1, 2])
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


# What goes wrong with identity


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


# What goes wrong with jobs


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
@pytest.mark.parametrize(
    ("ending", "error", "words"),
    [
        (FAILED, RuntimeJobFailureError, "Error code 9701; the device"),
        (RAN_TOO_LONG, RuntimeJobMaxTimeoutError, "ran longer than"),
        (CANCELLED_ELSEWHERE, RuntimeInvalidStateError, "was cancelled"),
    ],
)
def test_jobs_that_end_badly(
    server: LoopbackServer,
    backend: IBMBackend,
    sampler: type[SamplerV2 | Sampler],
    ending: Ending,
    error: type[Exception],
    words: str,
) -> None:
    server.workload.end_jobs(ending, first=2)
    good, bad = submit(backend, sampler=sampler), submit(backend, sampler=sampler)
    assert isinstance(fetch(good), PrimitiveResult)
    with pytest.raises(error, match=words):
        fetch(bad)
    again = QiskitRuntimeService().job(bad.job_id())
    if error is not RuntimeInvalidStateError:
        assert words in str(again.error_message())
    with pytest.raises(RuntimeInvalidStateError):
        again.cancel()


def test_a_job_is_stopped_at_its_maximum_time(server: LoopbackServer, backend: IBMBackend) -> None:
    primitive = SamplerV2(mode=backend, options={"max_execution_time": 3})
    job = primitive.run([(coin(),)], shots=10_000)
    with pytest.raises(RuntimeJobMaxTimeoutError):
        fetch(job)
    assert server.jobs[0].charged == 3


def test_waiting_in_vain_leaves_the_job_unharmed(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    with pytest.raises(RuntimeJobTimeoutError):
        job.result(timeout=0.1)
    server.workload.release()
    assert isinstance(fetch(job), PrimitiveResult)


def test_a_private_result_is_readable_once(server: LoopbackServer, backend: IBMBackend) -> None:
    primitive = SamplerV2(mode=backend, options={"environment": {"private": True}})
    job = primitive.run([(coin(),)], shots=SHOTS)
    assert isinstance(fetch(job), PrimitiveResult)
    with pytest.raises(RequestsApiError, match="404"):
        fetch(job)


# What goes wrong with machines


def test_an_unknown_machine_is_not_found(service: QiskitRuntimeService) -> None:
    with pytest.raises(QiskitBackendNotFoundError):
        service.backend("ibm_brisbane")


def test_a_retired_machine_fails_its_queue_and_keeps_its_results(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    done = finished(server, backend)
    server.workload.hold(State.QUEUED)
    queued = submit(backend)
    server.workload.retire("ibm_loopback")
    with pytest.raises(RuntimeJobFailureError, match="Error code 1004"):
        fetch(queued)
    with pytest.raises(RequestsApiError) as caught:
        submit(backend)
    assert caught.value.status_code == 404
    service = QiskitRuntimeService()
    with pytest.raises(QiskitBackendNotFoundError):
        service.backend("ibm_loopback")
    old = service.job(done.job_id())
    assert isinstance(old.backend(), IBMRetiredBackend)
    assert isinstance(old.result(), PrimitiveResult)


def test_a_machine_that_disappears_still_runs_what_is_queued(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    job = submit(backend)
    server.machines["ibm_loopback"].status = MachineStatus.HIDDEN
    server.workload.release()
    assert isinstance(fetch(QiskitRuntimeService().job(job.job_id())), PrimitiveResult)


def test_a_paused_machine_accepts_jobs_and_starts_none(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    machine = server.machines["ibm_loopback"]
    machine.status = MachineStatus.PAUSED
    with pytest.warns(UserWarning, match="status of paused"):
        job = submit(backend)
    time.sleep(0.1)
    assert job.status() == "QUEUED"
    machine.status = MachineStatus.ACTIVE
    assert isinstance(fetch(job), PrimitiveResult)


# What a plan does not allow


def limited(plan: Plan) -> LoopbackServer:
    return LoopbackServer([tiny()], [Instance(plan=plan)])


def test_the_open_plan_has_no_sessions(server: LoopbackServer, backend: IBMBackend) -> None:
    with pytest.raises(RequestsApiError, match="1352") as caught:
        Session(backend=backend)
    assert caught.value.status_code == 400
    assert server.sessions == []


def test_a_paid_plan_has_sessions() -> None:
    with limited(PAID_PLAN) as server, mock.patch.dict(os.environ, server.environment):
        with Session(backend=QiskitRuntimeService().backend("ibm_loopback")) as session:
            assert isinstance(fetch(submit(session)), PrimitiveResult)
        assert [s.mode for s in server.sessions] == ["dedicated"]
        assert "usage_remaining_seconds" not in QiskitRuntimeService().usage()


def test_no_seconds_left(server: LoopbackServer, backend: IBMBackend) -> None:
    server.instance.consumed = 600
    with (
        pytest.warns(UserWarning, match="usage limit"),
        pytest.raises(IBMRuntimeError, match="409"),
    ):
        submit(backend)
    assert server.jobs == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [(Plan(pending_jobs=2), "3458"), (Plan(posts_per_minute=2, retry_after=30), "429")],
    ids=["pending jobs", "posts per minute"],
)
def test_one_job_too_many(plan: Plan, words: str) -> None:
    with limited(plan) as server, mock.patch.dict(os.environ, server.environment):
        server.workload.hold(State.QUEUED)
        backend = QiskitRuntimeService().backend("ibm_loopback")
        for _ in range(2):
            submit(backend)
        with pytest.raises(IBMRuntimeError, match=words):
            submit(backend)
        assert len(server.jobs) == 2


def test_a_batch_whose_time_is_over_fails_what_is_queued() -> None:
    machine = tiny()
    machine.run_seconds = 0.6
    plan = Instance(plan=Plan(batch_seconds=0.3))
    with LoopbackServer([machine], [plan]) as server:
        with mock.patch.dict(os.environ, server.environment):
            backend = QiskitRuntimeService().backend("ibm_loopback")
            batch = Batch(backend=backend)
            server.workload.hold(State.QUEUED)
            first, second = submit(batch), submit(batch)
            server.workload.release()
            assert isinstance(fetch(first), PrimitiveResult)
            with pytest.raises(RuntimeJobFailureError, match="Error code 1217"):
                fetch(second)
            with pytest.raises(IBMRuntimeError, match="1217"):
                submit(batch)


def test_a_closed_batch_takes_no_jobs(server: LoopbackServer, backend: IBMBackend) -> None:
    batch = Batch(backend=backend)
    server.workload.close(server.sessions[0])
    with pytest.raises(IBMRuntimeError, match="1217"):
        submit(batch)
    batch.close()
    with pytest.raises(IBMRuntimeError, match="The session is closed"):
        submit(batch)


def test_leaving_a_batch_without_a_network_hides_the_error_inside(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.faults.add(Fault("PATCH", "/sessions/{id}", Reset(), count=None))
    with instant_retries(), pytest.raises(IBMRuntimeError, match="closing session") as caught:
        with Batch(backend=backend):
            raise KeyError("lost")
    assert isinstance(caught.value.__context__, RequestsApiError)


def test_cancelling_a_batch_cancels_what_is_queued(
    server: LoopbackServer, backend: IBMBackend
) -> None:
    server.workload.hold(State.QUEUED)
    batch = Batch(backend=backend)
    job = submit(batch)
    batch.cancel()
    assert job.status() == "CANCELLED"


# Other processes


def test_a_client_process_that_is_killed_leaves_the_server_working(
    server: LoopbackServer, service: QiskitRuntimeService
) -> None:
    hanging = server.faults.add(Fault("POST", "/identity/token", Hang(5)))
    script = (
        "import os, urllib.request as u\n"
        "u.urlopen(os.environ['IAM_URL'] + '/identity/token', b'apikey=x')"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as client:
        server.wait(lambda: hanging.seen == 1)
        client.kill()
    job = finished(server, service.backend("ibm_loopback"))
    assert isinstance(fetch(job), PrimitiveResult)


def test_the_server_runs_by_hand() -> None:
    command = [sys.executable, "-m", "tests.loopback", "--qubits", "4", "--exact", "--minutes", "1"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exported = {}
        for line in process.stdout:
            if line.startswith("#"):
                break
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value.strip("'")
        try:
            with mock.patch.dict(os.environ, exported):
                backend = QiskitRuntimeService().backend("ibm_loopback")
                assert isinstance(fetch(submit(backend)), PrimitiveResult)
        finally:
            process.terminate()
