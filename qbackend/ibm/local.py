"""Runtime's local testing mode: fake devices, executed in this process for nothing.

The primitives, their options and the results are those of a machine. Of the device only the
qubits that the layer uses take part, each with its own noise: Aer would take seconds a job for all
of them, and could not hold what the client's Estimator measures. Copies are executed one by one.
https://quantum.cloud.ibm.com/docs/guides/local-testing-mode
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qiskit.primitives import PrimitiveResult
from qiskit.providers import JobStatus as ProviderStatus

from ..aer.machine import simulated
from ..circuits.device_form import drop_idle_qubits
from ..devices import snapshots
from ..devices.table import native_two_qubit_gate
from ..errors import (
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    MachineError,
    OptionError,
    QhcError,
    UnknownNameError,
)
from ..machines.options import ExecutionOptions
from ..machines.service import LOCAL, Call, MachineInfo, PlanInfo, RemoteState, TaggedJob, Workload
from ..seam.device import Device
from ..seam.jobs import JobStatus
from . import primitives
from .results import encode_result, joined


def check_local(options: ExecutionOptions) -> None:
    """Raise `OptionError` for what Runtime's local testing mode would silently leave out.

    It executes what it is given: what the client's generation works into the circuits is there,
    what the service would do with them is not.
    https://quantum.cloud.ibm.com/docs/guides/local-testing-mode
    """
    if options.rep_delay is not None:
        raise OptionError(
            "a fake device has no rep_delay, because no time passes between the shots that are "
            "simulated here: leave --rep-delay out"
        )
    if options.generation == "server":
        for name, chosen in (
            ("dynamical_decoupling", options.dynamical_decoupling is not None),
            ("gate_twirling", options.gate_twirling),
            ("measurement_twirling", options.measurement_twirling),
            ("zne", bool(options.zne)),
            ("readout_mitigation=trex", options.readout_mitigation == "trex"),
        ):
            if chosen:
                raise OptionError(
                    f"a fake device has no {name} with server-side primitives, because IBM's "
                    "service would do it: add --set machine.generation=client"
                )
    elif options.calibrates and options.gate_twirling and not options.measurement_twirling:
        # The client's simulator loses the randomisations of a circuit that they leave as it is.
        raise OptionError(
            "a fake device cannot twirl the gates of a job that calibrates the readout, unless "
            "measurements are twirled too: add --set machine.measurement_twirling=true"
        )


class JoinedJob:
    """Copies side by side, of which each is executed by itself, as one job.

    Nothing joins them on the device, and Aer's noise has no crosstalk: the outcomes are those of
    all together, which no simulator could hold.
    """

    def __init__(self, jobs: Sequence[Any]) -> None:
        self._jobs = jobs

    def job_id(self) -> str:
        job_id: str = self._jobs[0].job_id()
        return job_id

    def in_final_state(self) -> bool:
        return all(job.in_final_state() for job in self._jobs)

    def status(self) -> Any:
        found = [job.status() for job in self._jobs]
        return ProviderStatus.ERROR if ProviderStatus.ERROR in found else found[-1]

    def result(self) -> PrimitiveResult[Any]:
        return joined([job.result() for job in self._jobs])


class LocalWorkload:
    """A batch or session that only lends its name: nothing waits in a queue here."""

    id = LOCAL


class LocalService:
    """Fake devices as a service; its jobs end with the process."""

    is_local = True
    instance = LOCAL

    def __init__(self, *, fractional_gates: bool = False) -> None:
        self._fractional_gates = fractional_gates
        self._jobs: dict[str, tuple[str, Any]] = {}
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()

    def paying_for(self, machine: str) -> str:
        return self.instance

    def stay_with(self, instance: str) -> None:
        return None

    def device(self, machine: str) -> Device:
        return _snapshot(machine, fractional_gates=self._fractional_gates)

    def machine(self, name: str) -> MachineInfo:
        return _described(_snapshot(name))

    def machines(self) -> list[MachineInfo]:
        return [_described(snapshots.load_snapshot(name)) for name in snapshots.list_snapshots()]

    def plan(self) -> PlanInfo:
        return PlanInfo(name=LOCAL, has_sessions=True, seconds_left=None)

    def open_workload(self, machine: str, *, session: bool) -> Workload:
        return LocalWorkload()

    def close_workload(self, workload_id: str, *, session: bool) -> None:
        return None

    def session_seconds(self, session_id: str) -> float | None:
        return 0.0

    def start(self, machine: str, call: Call, tag: str, workload: Workload | None) -> str:
        check_local(call.options)
        device = self.device(machine)
        jobs = []
        for each in call.of_copies():
            small = drop_idle_qubits(each.compiled)
            backend = simulated(device, small.record["physical_qubits"])
            jobs.append(primitives.run(replace(each, compiled=small), backend, tag))
        job = jobs[0] if len(jobs) == 1 else JoinedJob(jobs)
        with self._lock:
            self._jobs[job.job_id()] = (tag, job)
        return job.job_id()

    def find(self, tag: str) -> Sequence[str]:
        with self._lock:
            return [
                job_id
                for job_id, (own_tag, _) in self._jobs.items()
                if own_tag == tag and job_id not in self._cancelled
            ]

    def tagged(self, tag: str) -> Sequence[TaggedJob]:
        return []

    def state(self, job_id: str) -> RemoteState:
        job = self._job(job_id)
        if job_id in self._cancelled:
            return RemoteState(JobStatus.CANCELLED, "cancelled here")
        if not job.in_final_state():
            return RemoteState(JobStatus.RUNNING, "simulated here")
        # The status only: the client's generation works on its result in place, once.
        if job.status() is ProviderStatus.ERROR:
            return RemoteState(JobStatus.FAILED, "the simulation failed")
        return RemoteState(JobStatus.DONE)

    def fetch(self, job_id: str) -> bytes:
        if job_id in self._cancelled:
            raise JobCancelledError(f"job {job_id} was cancelled", job_id=job_id)
        try:
            return encode_result(self._job(job_id).result())
        except QhcError:
            raise
        except Exception as error:
            raise JobFailedError(
                f"job {job_id} failed: {type(error).__name__}: {error}", job_id=job_id
            ) from error

    def cancel(self, job_id: str) -> None:
        if not self._job(job_id).in_final_state():
            self._cancelled.add(job_id)

    def usage(self, job_id: str) -> float | None:
        return 0.0

    def reconnect(self) -> LocalService:
        return self

    def _job(self, job_id: str) -> Any:
        with self._lock:
            if job_id not in self._jobs:
                raise JobNotFoundError(
                    f"job {job_id} ran in another process, with which it ended; its rows are "
                    "executed again by qhc resume",
                    job_id=job_id,
                )
            return self._jobs[job_id][1]


def _snapshot(machine: str, *, fractional_gates: bool = False) -> Device:
    try:
        return snapshots.load_snapshot(machine, fractional_gates=fractional_gates)
    except UnknownNameError as error:
        raise MachineError(str(error)) from None


def _described(device: Device) -> MachineInfo:
    return MachineInfo(
        name=device.name,
        n_qubits=device.target.num_qubits or 0,
        two_qubit_gate=native_two_qubit_gate(device.target) or "none",
        pending_jobs=0,
        operational=True,
        status="simulated here",
    )
