"""IBM Quantum's service, through its own client.

Addresses and proxies are whatever the environment says. Requests that the client leaves without
a time limit are bounded by whoever calls: a service object may be left behind at any time.
https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import Batch, QiskitRuntimeService, Session
from qiskit_ibm_runtime.exceptions import IBMError, IBMInputValueError, RuntimeInvalidStateError

from ..devices.snapshots import list_snapshots, no_fractional_gates, reported_rep_delay
from ..errors import (
    BackendError,
    JobNotFoundError,
    MachineError,
    PlanError,
    QhcError,
    TransientError,
)
from ..machines.service import Call, MachineInfo, PlanInfo, RemoteState, TaggedJob, Workload
from ..seam.device import Device
from ..seam.jobs import JobStatus
from . import primitives
from .client import RuntimeWorkload, never_send_the_raw_key, no_credentials, open_client
from .credentials import Credentials, find_credentials
from .results import encode_result
from .translate import is_unknown_machine, redacted, translated

OPEN_PLAN = "open"

_STATUS = {
    "INITIALIZING": JobStatus.SUBMITTED,
    "QUEUED": JobStatus.SUBMITTED,
    "RUNNING": JobStatus.RUNNING,
    "DONE": JobStatus.DONE,
    "ERROR": JobStatus.FAILED,
    "CANCELLED": JobStatus.CANCELLED,
}


def connect(
    credentials: Credentials | None = None, *, fractional_gates: bool = False
) -> RuntimeService:
    """The service, for these credentials or for those that are found.

    Its machines have fractional gates where that is asked for; those that have none are refused.

    Raises:
        CredentialsError: none, or ones that the service does not know, or an unknown instance.
        TransientError: the service cannot be reached.
    """
    credentials = credentials or find_credentials()
    if credentials is None:
        raise no_credentials()
    return RuntimeService(credentials, open_client(credentials), fractional_gates)


class RuntimeService:
    """One account's connection; `connect` makes it."""

    is_local = False

    def __init__(
        self, credentials: Credentials, client: QiskitRuntimeService, fractional_gates: bool = False
    ) -> None:
        self._credentials = credentials
        self._fractional_gates = fractional_gates
        self._client = client
        self._machines: dict[str, Any] = {}
        self._jobs: dict[str, Any] = {}
        self._workloads: dict[str, RuntimeWorkload] = {}
        self._places: dict[str, int] = {}

    @property
    def instance(self) -> str:
        return self._client.active_instance()

    def paying_for(self, machine: str) -> str:
        self._machine(machine)
        return self.instance

    def stay_with(self, instance: str) -> None:
        with self.asking():
            if self._is_settled or instance not in [each["crn"] for each in self._instances()]:
                return
            self._settle(instance)

    def device(self, machine: str) -> Device:
        backend = self._machine(machine)
        with self.asking():
            target, properties = backend.target, backend.properties()
            configuration = backend.configuration()
        return Device(
            name=machine,
            target=target,
            source="live",
            calibrated_at=properties.last_update_date if properties else None,
            rep_delay=reported_rep_delay(configuration),
        )

    def machine(self, name: str) -> MachineInfo:
        backend = self._machine(name)
        with self.asking(), self._on(name):
            return self._described(backend)

    def machines(self) -> list[MachineInfo]:
        with self.asking():
            return [self._described(backend) for backend in self._client.backends()]

    def plan(self) -> PlanInfo:
        with self.asking():
            instance, usage = self.instance, self._client.usage()
            plans = {each["crn"]: each["plan"] for each in self._instances()}
        name = plans.get(instance, "unknown")
        return PlanInfo(
            name=name,
            has_sessions=name != OPEN_PLAN,
            seconds_left=usage.get("usage_remaining_seconds"),
            price=None if name == OPEN_PLAN else self._credentials.price,
        )

    def open_workload(self, machine: str, *, session: bool) -> Workload:
        backend = self._machine(machine)
        if session and not self.plan().has_sessions:
            raise PlanError(
                f"the plan of {self.instance} has no sessions: leave --session out, several jobs "
                "go as a batch"
            )
        with self.asking():
            kind = Session if session else Batch
            opened = RuntimeWorkload(kind(backend=backend), self, self._fractional_gates)
        self._workloads[opened.id] = opened
        return opened

    def close_workload(self, workload_id: str, *, session: bool) -> None:
        known = self._workloads.pop(workload_id, None)
        with self.asking():
            if known is not None:
                known.mode(self, self._client).close()
                return
            kind = Session if session else Batch
            kind.from_id(workload_id, self._client).close()

    def session_seconds(self, session_id: str) -> float | None:
        with self.asking():
            return Session.from_id(session_id, self._client).usage()

    def start(self, machine: str, call: Call, tag: str, workload: Workload | None) -> str:
        backend = self._machine(machine)
        with self.asking(), self._on(machine):
            mode = backend
            if isinstance(workload, RuntimeWorkload):
                mode = workload.mode(self, self._client)
            job = primitives.run(call, mode, tag)
            self._jobs[job.job_id()] = job
            return job.job_id()

    def find(self, tag: str) -> Sequence[str]:
        return [job.id for job in self.tagged(tag)]

    def tagged(self, tag: str) -> Sequence[TaggedJob]:
        with self.asking():
            # Before it is settled which instance pays, jobs may be at any of them.
            crns = [self.instance] if self._is_settled else [e["crn"] for e in self._instances()]
            kept = []
            for crn in crns:
                newest_first = self._client.jobs(job_tags=[tag], limit=None, instance=crn)
                kept += [
                    TaggedJob(job.job_id(), crn, tuple(job.tags))
                    for job in newest_first[::-1]
                    if not self._is_cancelled(job)
                ]
            return kept

    def state(self, job_id: str) -> RemoteState:
        with self.asking(job_id):
            job = self._job(job_id)
            status = job.status()
            if status == "QUEUED":
                return self._queued(job)
            words = job.error_message() if status == "ERROR" else status.lower()
        words = redacted(words or "", self._credentials)
        return RemoteState(_STATUS.get(status, JobStatus.RUNNING), words)

    def fetch(self, job_id: str) -> bytes:
        with self.asking(job_id):
            job = self._job(job_id)
        try:
            with self.asking(job_id):
                return encode_result(_result(job))
        except JobNotFoundError:
            # The job is done: what answers without its result lags behind what said so.
            words = f"job {job_id} is done, and the service does not show its result yet"
            raise TransientError(words, job_id=job_id) from None

    def cancel(self, job_id: str) -> None:
        with self.asking(job_id):
            try:
                self._job(job_id).cancel()
                return
            except RuntimeInvalidStateError:
                pass
        # It had ended already. A result that was paid for must not be taken for cancelled.
        if self.state(job_id).status is not JobStatus.CANCELLED:
            words = f"job {job_id} had ended before it could be cancelled"
            raise BackendError(words, job_id=job_id)

    def usage(self, job_id: str) -> float | None:
        with self.asking(job_id):
            usage = self._job(job_id).metrics().get("usage", {})
        if usage.get("status", "pending") == "pending":
            return None
        return usage.get("qpu_charge_time_seconds")

    def reconnect(self) -> RuntimeService:
        return connect(self._credentials, fractional_gates=self._fractional_gates)

    @contextmanager
    def asking(self, job_id: str | None = None) -> Iterator[None]:
        """Around every use of the client: its errors become ours, the raw key is never sent."""
        with translated(self._credentials, job_id=job_id):
            never_send_the_raw_key()
            yield

    def _is_cancelled(self, job: Any) -> bool:
        try:
            with self.asking(job.job_id()):
                return job.status() == "CANCELLED"
        except JobNotFoundError:
            # What answers lags behind the list that has the job.
            return False

    @contextmanager
    def _on(self, machine: str) -> Iterator[None]:
        """Around what is asked of a machine that the service may have lost since it was found."""
        try:
            yield
        except Exception as error:
            if not is_unknown_machine(error):
                raise
            del self._machines[machine]
            raise self._unknown(machine) from None

    def _queued(self, job: Any) -> RemoteState:
        """The place is the last one that the job can have: the service tells the queue's length."""
        words = "queued"
        try:
            with self.asking(job.job_id()):
                machine = job.backend().status()
        except QhcError:
            # The job's state is known; a retired machine, for one, has no status any more.
            return RemoteState(JobStatus.SUBMITTED, words)
        if machine.status_msg != "active":
            words += f", and the machine is {redacted(machine.status_msg, self._credentials)}"
        length = min(machine.pending_jobs, self._places.get(job.job_id(), machine.pending_jobs))
        self._places[job.job_id()] = length
        return RemoteState(JobStatus.SUBMITTED, words, length or None)

    def _job(self, job_id: str) -> Any:
        if job_id not in self._jobs:
            self._jobs[job_id] = self._client.job(job_id)
        return self._jobs[job_id]

    def _machine(self, name: str) -> Any:
        """The client's object of a machine.

        The client says of a dead network, too, that it finds no machine: what it can see is asked
        for before it is believed.
        """
        if name in self._machines:
            return self._machines[name]
        chosen = {"use_fractional_gates": self._fractional_gates}
        with self.asking():
            try:
                backend = self._client.backend(name, **chosen)
                if not self._is_settled:
                    self._settle(self.instance)
                    backend = self._client.backend(name, **chosen)
            except IBMInputValueError as error:
                if "fractional gates" in str(error):
                    raise no_fractional_gates(name) from None
                raise
            except QiskitBackendNotFoundError:
                self._client.usage()
                raise self._unknown(name) from None
        self._machines[name] = backend
        return backend

    @property
    def _is_settled(self) -> bool:
        """Whether there is one instance only that may pay."""
        return self._credentials.instance is not None or len(self._instances()) == 1

    def _instances(self) -> Sequence[dict[str, Any]]:
        return self._client.instances()

    def _settle(self, crn: str) -> None:
        """Stay with one instance: the client would change it with whatever it looks at."""
        self._credentials = replace(self._credentials, instance=crn)
        self._client = open_client(self._credentials)

    def _described(self, backend: Any) -> MachineInfo:
        status = backend.status()
        return MachineInfo(
            name=backend.name,
            n_qubits=backend.num_qubits,
            two_qubit_gate=_two_qubit_gate(backend),
            pending_jobs=status.pending_jobs,
            operational=status.operational and status.status_msg == "active",
            status=redacted(status.status_msg, self._credentials),
        )

    def _unknown(self, name: str) -> QhcError:
        """The error for a machine that the service does not know; asks which ones it does."""
        names = [backend.name for backend in self._client.backends()]
        if not names or name in names:
            return TransientError(f"the service does not show '{name}' at the moment", backend=name)
        fake = "fake_" + name.removeprefix("ibm_")
        words = (
            f"the account of {self._credentials.source} has no machine '{name}' (it may be "
            f"retired, or belong to another instance); it has {', '.join(sorted(names))}"
        )
        if fake in list_snapshots():
            words += f"; to rehearse without a machine: --backend {fake}"
        return MachineError(words)


def _result(job: Any) -> Any:
    try:
        return job.result()
    except (ValueError, TypeError) as error:
        if isinstance(error, IBMError):
            raise
        # What is left of a text that was cut, or a page of a proxy.
        words = f"the result of job {job.job_id()} does not decode ({type(error).__name__})"
        raise TransientError(words, job_id=job.job_id()) from None


def _two_qubit_gate(backend: Any) -> str:
    """From the configuration, which is at hand; the target would be asked for."""
    basis = backend.configuration().basis_gates
    return next((gate for gate in ("cz", "ecr", "cx") if gate in basis), "none")
