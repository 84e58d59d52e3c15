"""What a layer's rows cost at IBM, before they are sent."""

from __future__ import annotations

from ..errors import PlanError
from ..machines.cost import MachineCost
from ..machines.options import ExecutionOptions
from ..machines.service import PlanInfo
from ..seam.requests import CompiledLayer
from .limits import pack
from .qpu_seconds import (
    CALIBRATION_CIRCUITS,
    SECONDS_PER_EXECUTION,
    SECONDS_PER_JOB,
    executions,
    job_seconds,
    session_seconds,
    shots_asked,
)


def estimate(
    compiled: CompiledLayer,
    n_rows: int,
    shots: int,
    options: ExecutionOptions,
    *,
    plan: PlanInfo | None = None,
) -> MachineCost:
    """What `n_rows` rows of a layer take, by IBM's formula; `plan` is None on a fake device.

    Raises:
        OptionError: one row alone is more than a job may hold.
        PlanError: a session, on a plan without.
    """
    if plan is not None and options.mode == "session" and not plan.has_sessions:
        raise PlanError(
            f"the plan '{plan.name}' has no sessions: leave --session out, several jobs go as a "
            "batch; nothing was sent"
        )
    jobs = pack(n_rows, shots, options, compiled)
    per_job = [executions(len(rows), shots, options) for rows in jobs]
    in_session = options.mode == "session"
    seconds = sum(
        session_seconds(each, options) if in_session else job_seconds(each) for each in per_job
    )
    calibrations = CALIBRATION_CIRCUITS if options.calibrates else 0
    per_call = 1 + calibrations
    if options.primitive == "estimator" and options.generation == "client":
        # One for each noise factor, and one that calibrates the readout.
        per_call = max(1, len(options.zne)) + (options.readout_mitigation == "trex")
    basis = (
        f"{SECONDS_PER_JOB:g} s per job and {SECONDS_PER_EXECUTION:g} s per shot, "
        "by IBM's rule of thumb"
    )
    if in_session:
        basis += (
            f", until the end of each is seen (looked for every {options.poll[0]:g} to "
            f"{options.poll[1]:g} s): a session is billed by the clock, from its first job to its "
            "end"
        )
    return MachineCost(
        rows=n_rows,
        circuits=n_rows + calibrations * len(jobs),
        jobs=len(jobs),
        shots=n_rows * shots_asked(shots, options),
        qpu_seconds=0.0 if plan is None else seconds,
        basis=basis,
        pubs=per_call * len(jobs),
        executions=sum(per_job),
        machine_seconds=seconds,
        two_qubit_gates=compiled.record.get("two_qubit_gates", 0),
        two_qubit_depth=compiled.record.get("two_qubit_depth", 0),
        seconds_left=None if plan is None else plan.seconds_left,
        plan="" if plan is None else plan.name,
    )
