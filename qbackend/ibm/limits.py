"""What IBM's service takes in one job, how rows are packed into jobs, and what these take of it.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import math
from itertools import pairwise

from ..errors import OptionError, PlanError
from ..machines.cost import MachineCost
from ..machines.options import ExecutionOptions
from ..machines.patience import GROWTH
from ..machines.service import PlanInfo
from ..seam.requests import CompiledLayer
from .instructions import INSTRUCTIONS_PER_QUBIT, TWO_QUBIT_GATES, load

MAX_EXECUTION_SECONDS = 10_800
"""The longest time that a job may ask for.

https://quantum.cloud.ibm.com/docs/guides/max-execution-time
"""

EXECUTIONS_PER_SAMPLER_JOB = 10_000_000
"""Circuits times shots. https://quantum.cloud.ibm.com/docs/guides/job-limits"""

PAYLOAD_BYTES = 50_000_000
"""The smallest limit of a job's content that the documentation ever gave."""

BYTES_PER_PARAMETER = 11
"""Eight bytes that do not compress, in base 64."""

SECONDS_PER_JOB = 2.0
SECONDS_PER_EXECUTION = 0.00035
"""IBM's estimate of QPU time. https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time"""

CALIBRATION_CIRCUITS = 2
"""All qubits 0 and all qubits 1, by which readout is corrected here."""

TWIRLED_SHOTS, RANDOMIZATIONS = 64, 32
"""Fewest shots of one randomisation, and the most randomisations, where both are automatic.

https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime/options-twirling-options
"""


def check_execution_time(seconds: int | None) -> None:
    """Raise `OptionError` for a `max_execution_time` beyond the service's longest."""
    if seconds is not None and seconds > MAX_EXECUTION_SECONDS:
        raise OptionError(
            f"max_execution_time must be at most {MAX_EXECUTION_SECONDS} seconds at IBM, "
            f"got {seconds}"
        )


def shots_asked(shots: int, options: ExecutionOptions) -> int:
    """Shots of a row: `shots`, or the inverse square of the precision where there is one."""
    return shots if options.precision is None else math.ceil(options.precision**-2 - 1e-9)


def shots_performed(shots: int, options: ExecutionOptions) -> int:
    """Shots that a circuit performs when `shots` are asked for a row.

    Randomisations all have the same number of shots, which rounds up.
    """
    asked = shots_asked(shots, options)
    return randomisations(shots, options) * _shots_of_each(asked) if _twirls(options) else asked


def randomisations(shots: int, options: ExecutionOptions) -> int:
    """Into how many equal parts, each with a circuit of its own, twirling divides a row's shots.

    One without twirling. In a Sampler's result a part's shots stand together.
    """
    asked = shots_asked(shots, options)
    return math.ceil(asked / _shots_of_each(asked)) if _twirls(options) else 1


def _twirls(options: ExecutionOptions) -> bool:
    twirled = options.gate_twirling or options.measurement_twirling
    return twirled or options.readout_mitigation == "trex"


def _shots_of_each(shots: int) -> int:
    return max(TWIRLED_SHOTS, math.ceil(shots / RANDOMIZATIONS))


def executions(n_rows: int, shots: int, options: ExecutionOptions) -> int:
    """Circuits times shots that one job of `n_rows` rows performs."""
    circuits = n_rows * max(1, len(options.zne))
    if options.calibrates:
        circuits += CALIBRATION_CIRCUITS
    if options.readout_mitigation == "trex":
        circuits += 1
    return circuits * shots_performed(shots, options)


def job_seconds(n_executions: int, options: ExecutionOptions) -> float:
    """QPU time of one job by IBM's formula."""
    return SECONDS_PER_JOB + SECONDS_PER_EXECUTION * n_executions


def session_seconds(n_executions: int, options: ExecutionOptions) -> float:
    """What one job takes of a session's time, which goes on until its end is seen.

    https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time
    """
    seconds = job_seconds(n_executions, options)
    seen, (pause, longest) = 0.0, options.poll
    while seen < seconds and 0 < pause < longest:
        seen += pause
        pause *= GROWTH
    if seen < seconds:
        seen += longest * math.ceil((seconds - seen) / longest) if longest else seconds - seen
    return seen


def pack(
    n_rows: int, shots: int, options: ExecutionOptions, compiled: CompiledLayer
) -> list[range]:
    """The rows of each job: as few jobs as the limits allow, of nearly equal size, in order.

    Raises:
        OptionError: one row alone is more than a job may hold.
    """
    n_jobs = max(1, -(-n_rows // _rows_per_job(shots, options, compiled)))
    edges = [n_rows * job // n_jobs for job in range(n_jobs + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


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
    charged = session_seconds if in_session else job_seconds
    seconds = sum(charged(n_executions, options) for n_executions in per_job)
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


def _rows_per_job(shots: int, options: ExecutionOptions, compiled: CompiledLayer) -> int:
    fixed = executions(0, shots, options)
    per_row = executions(1, shots, options) - fixed
    seconds = options.max_execution_time or MAX_EXECUTION_SECONDS
    most = (seconds - SECONDS_PER_JOB) / SECONDS_PER_EXECUTION
    reason = f"{seconds} s of QPU time per job (max_execution_time)"
    if options.primitive == "sampler" and most > EXECUTIONS_PER_SAMPLER_JOB:
        most, reason = EXECUTIONS_PER_SAMPLER_JOB, f"{EXECUTIONS_PER_SAMPLER_JOB} shots per job"
    rows = int((most - fixed) // per_row)
    if rows < 1:
        raise OptionError(
            f"{per_row + fixed} shots for one row are more than the limit allows: {reason}; "
            "take fewer with --shots, or a larger precision"
        )
    payload = PAYLOAD_BYTES // (BYTES_PER_PARAMETER * max(1, len(compiled.parameters)))
    held = load(compiled.circuit, options).most_rows
    if held < 1:
        raise OptionError(
            f"one row's circuit, with what its options add, has more instructions than IBM's "
            f"service takes in a job ({INSTRUCTIONS_PER_QUBIT:,} per qubit, {TWO_QUBIT_GATES:,} "
            "two-qubit gates); take fewer layers or smaller noise factors"
        )
    return max(1, min(rows, held, payload))
