"""The queue: jobs are accepted, wait, run and end; batches open, run out of time and close."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import numpy as np

from .account import Instance
from .execution.sampling import sample
from .jobs import (
    BATCH_OVER,
    CANCELLED_ELSEWHERE,
    FAILED,
    MACHINE_RETIRED,
    RAN_TOO_LONG,
    Ending,
    Job,
    Session,
    State,
)
from .machines import Machine, MachineStatus

TICK = 0.02
"""Seconds between two looks at the queue."""


@dataclass
class _PlannedEnding:
    ending: Ending
    first: int
    count: int


@dataclass
class Workload:
    """All jobs and sessions, and one thread for each machine that executes them in order.

    Attributes:
        machines, instances: by name, and by CRN.
        seed: of the sampling, together with a job's number.
        usage_seconds: for how long a job's usage stays "pending" after its end.
    """

    machines: dict[str, Machine]
    instances: dict[str, Instance]
    seed: int = 0
    usage_seconds: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition, repr=False)
    _held: set[State] = field(default_factory=set)
    _planned: list[_PlannedEnding] = field(default_factory=list)
    _n_started: int = 0
    _stopped: bool = False

    def start(self) -> None:
        for machine in self.machines.values():
            threading.Thread(target=self._work, args=(machine,), daemon=True).start()

    def stop(self) -> None:
        """Start nothing more."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()

    def submit(self, job: Job) -> None:
        with self.changed:
            job.ready = time.monotonic() + self.machines[job.machine].queue_seconds
            self.jobs.append(job)
            self.changed.notify_all()

    def open(self, session: Session) -> None:
        with self.changed:
            self.sessions.append(session)

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    def session(self, session_id: str) -> Session | None:
        self.expire()
        return next((session for session in self.sessions if session.id == session_id), None)

    def pending(self, machine: str) -> int:
        """Jobs that are queued at a machine, those of others included."""
        queued = sum(job.machine == machine and job.state is State.QUEUED for job in self.jobs)
        return queued + self.machines[machine].others_waiting

    def hold(self, state: State) -> None:
        """Keep jobs that are, or come, in this state there until `release`."""
        with self.changed:
            self._held.add(state)

    def release(self) -> None:
        with self.changed:
            self._held.clear()
            self.changed.notify_all()

    def end_jobs(self, ending: Ending = FAILED, *, first: int = 1, count: int = 1) -> None:
        """Give `count` jobs this ending, from the `first` one that starts running from now on."""
        with self.changed:
            self._planned.append(_PlannedEnding(ending, self._n_started + first, count))

    def end(self, job: Job, ending: Ending = CANCELLED_ELSEWHERE) -> bool:
        """End a job now; False if it had ended before."""
        with self.changed:
            if job.state.is_final:
                return False
            charged = job.program.estimated_seconds if job.state is State.RUNNING else 0.0
            self._finish(job, ending.state, charged)
            job.ending = ending
            return True

    def close(self, session: Session, ending: Ending | None = None) -> None:
        """Accept no more jobs; with an ending, those that are queued get it."""
        with self.changed:
            session.accepting = False
            session.closed = session.closed or datetime.now(UTC)
            if ending is not None:
                for job in self.jobs:
                    if job.session_id == session.id and job.state is State.QUEUED:
                        self.end(job, ending)

    def expire(self) -> None:
        """Close the sessions whose time is over."""
        with self.changed:
            for session in self.sessions:
                if time.monotonic() >= session.expires:
                    self.close(session, BATCH_OVER)
                    session.expires = float("inf")

    def retire(self, machine: str) -> None:
        """Take a machine out of service: what is queued there fails."""
        with self.changed:
            self.machines[machine].status = MachineStatus.RETIRED
            for job in self.jobs:
                if job.machine == machine and job.state is State.QUEUED:
                    self.end(job, MACHINE_RETIRED)

    def wait(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Until `condition` holds.

        Raises:
            TimeoutError: it did not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not condition():  # without the lock: it may well ask the service
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {timeout} s; jobs: {self.jobs}")
            time.sleep(TICK)

    def _work(self, machine: Machine) -> None:
        while (job := self._next(machine)) is not None:
            self._run(job, machine)

    def _next(self, machine: Machine) -> Job | None:
        """The next job, set running; None when the service stops."""
        with self.changed:
            while not self._stopped:
                self.expire()
                waiting = [
                    job
                    for job in self.jobs
                    if job.machine == machine.name and job.state is State.QUEUED
                ]
                idle = machine.is_idle or State.QUEUED in self._held
                if waiting and not idle and time.monotonic() >= waiting[0].ready:
                    self._begin(waiting[0])
                    return waiting[0]
                self.changed.wait(TICK)
            return None

    def _begin(self, job: Job) -> None:
        self._n_started += 1
        job.state, job.started, job.number = State.RUNNING, datetime.now(UTC), self._n_started
        for session in self.sessions:
            if session.id == job.session_id and session.started is None:
                session.started = job.started
                session.expires = time.monotonic() + session.seconds
        self.changed.notify_all()

    def _run(self, job: Job, machine: Machine) -> None:
        earliest = time.monotonic() + machine.run_seconds
        ending = self._ending(job, machine)
        if ending is None:
            job.result, ending = self._execute(job, machine)
        with self.changed:
            while not (self._stopped or job.state.is_final):
                if State.RUNNING not in self._held and time.monotonic() >= earliest:
                    break
                self.changed.wait(TICK)
            if ending is not None:
                self.end(job, ending)
            elif not job.state.is_final:
                self._finish(job, State.COMPLETED, job.program.estimated_seconds)

    def _ending(self, job: Job, machine: Machine) -> Ending | None:
        """How the job is bound to end, if not with a result."""
        for planned in self._planned:
            if planned.first <= job.number < planned.first + planned.count:
                return planned.ending
        if complaint := job.program.check(machine.target):
            return Ending(State.FAILED, 1517, complaint)
        if job.max_seconds is not None and job.program.estimated_seconds > job.max_seconds:
            return RAN_TOO_LONG
        return None

    def _execute(self, job: Job, machine: Machine) -> tuple[str | None, Ending | None]:
        """The result, or the ending that the attempt led to."""
        seeds = np.random.default_rng((self.seed, job.number))
        sample_here = partial(sample, noise_of=machine.noise_of, seeds=seeds)
        try:
            return job.program.run(sample_here, seeds), None
        except Exception as error:  # what a machine cannot execute fails this job alone
            return None, Ending(State.FAILED, 1000, f"{type(error).__name__}: {error}")

    def _finish(self, job: Job, state: State, charged: float) -> None:
        if job.max_seconds is not None:
            charged = min(charged, job.max_seconds)
        job.state, job.finished, job.charged = state, datetime.now(UTC), charged
        self.instances[job.instance].consumed += charged
        self.changed.notify_all()
