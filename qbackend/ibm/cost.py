"""What jobs cost at IBM: the executions of each, and by its formula their QPU seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..circuits.device_form import fractional_words
from ..errors import PlanError
from ..machines.cost import MachineCost
from ..machines.options import ExecutionOptions
from ..machines.patience import GROWTH
from ..machines.service import PlanInfo
from ..seam.requests import CompiledLayer

SECONDS_PER_JOB = 2.0
SECONDS_PER_EXECUTION = 0.00035
"""IBM's estimate of QPU time. https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time"""

RULES_REP_DELAY = 0.00025
"""Seconds between two shots that are in it: the default of the machines that it was made for."""

CALIBRATION_CIRCUITS = 2
"""All qubits 0 and all qubits 1, by which readout is corrected here."""

TWIRLED_SHOTS, RANDOMIZATIONS = 64, 32
"""Fewest shots of one randomisation, and the most randomisations, where both are automatic.

https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime/options-twirling-options
"""


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


def executions(n_circuits: int, shots: int, options: ExecutionOptions) -> int:
    """Circuits times shots that one job performs, of so many before its options add theirs.

    A row is a circuit in each of its layer's readouts.
    """
    circuits = n_circuits * max(1, len(options.zne))
    if options.calibrates:
        circuits += CALIBRATION_CIRCUITS
    if options.readout_mitigation == "trex":
        circuits += 1
    return circuits * shots_performed(shots, options)


def rep_delay(compiled: CompiledLayer, options: ExecutionOptions) -> float:
    """Seconds between two shots: the chosen ones, else the machine's, else those of the rule."""
    if options.rep_delay is not None:
        return options.rep_delay
    reported = compiled.record.get("rep_delay")
    return RULES_REP_DELAY if reported is None else reported["default"]


def seconds_per_execution(compiled: CompiledLayer, options: ExecutionOptions) -> float:
    """By IBM's formula, but for another time between the shots than is in it."""
    # Between two numbers of microseconds; beyond nanoseconds there is rounding only.
    return round(SECONDS_PER_EXECUTION + rep_delay(compiled, options) - RULES_REP_DELAY, 9)


def job_seconds(n_executions: int, each: float = SECONDS_PER_EXECUTION) -> float:
    """QPU time of one job by IBM's formula, `each` of its executions taking so many seconds."""
    return SECONDS_PER_JOB + each * n_executions


def executions_within(seconds: float, each: float = SECONDS_PER_EXECUTION) -> float:
    """How many executions one job performs in that time, by the same formula."""
    return (seconds - SECONDS_PER_JOB) / each


def session_seconds(
    n_executions: int, options: ExecutionOptions, each: float = SECONDS_PER_EXECUTION
) -> float:
    """What one job takes of a session's time, which goes on until its end is seen.

    https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time
    """
    seconds = job_seconds(n_executions, each)
    seen, (pause, longest) = 0.0, options.poll
    while seen < seconds and 0 < pause < longest:
        seen += pause
        pause *= GROWTH
    if seen < seconds:
        seen += longest * math.ceil((seconds - seen) / longest) if longest else seconds - seen
    return seen


def estimate(
    compiled: CompiledLayer,
    jobs: Sequence[range],
    shots: int,
    options: ExecutionOptions,
    *,
    plan: PlanInfo | None = None,
) -> MachineCost:
    """What a layer's rows take, by job; `plan` is None on a fake device.

    Raises:
        PlanError: a session, on a plan without.
    """
    if plan is not None and options.mode == "session" and not plan.has_sessions:
        raise PlanError(
            f"the plan '{plan.name}' has no sessions: leave --session out, several jobs go as a "
            "batch; nothing was sent"
        )
    n_rows = sum(map(len, jobs))
    readouts = len(compiled.readouts)
    per_job = [executions(len(rows) * readouts, shots, options) for rows in jobs]
    in_session = options.mode == "session"
    each = seconds_per_execution(compiled, options)
    seconds = sum(
        session_seconds(executed, options, each) if in_session else job_seconds(executed, each)
        for executed in per_job
    )
    calibrations = CALIBRATION_CIRCUITS if options.calibrates else 0
    per_call = readouts + calibrations
    if options.primitive == "estimator":
        per_call = 1
        if options.generation == "client":
            # One for each noise factor, and one that calibrates the readout.
            per_call = max(1, len(options.zne)) + (options.readout_mitigation == "trex")
    basis = f"{SECONDS_PER_JOB:g} s per job and {each:g} s per shot, by IBM's rule of thumb"
    if each != SECONDS_PER_EXECUTION:
        whose = "the machine's default" if options.rep_delay is None else "chosen"
        basis += (
            f", which is {SECONDS_PER_EXECUTION:g} s with {1e6 * RULES_REP_DELAY:g} µs between "
            f"shots, where here it is {1e6 * rep_delay(compiled, options):g} µs ({whose})"
        )
    if readouts > 1:
        basis += (
            f"; a row is {readouts} circuits, one for each basis that its observables are read in"
        )
        if options.primitive == "estimator":
            basis += ", as far as the service groups them as is done here"
    if in_session:
        basis += (
            f", until the end of each is seen (looked for every {options.poll[0]:g} to "
            f"{options.poll[1]:g} s): a session is billed by the clock, from its first job to its "
            "end"
        )
    return MachineCost(
        rows=n_rows,
        circuits=n_rows * readouts + calibrations * len(jobs),
        jobs=len(jobs),
        shots=n_rows * readouts * shots_asked(shots, options),
        qpu_seconds=0.0 if plan is None else seconds,
        basis=basis,
        pubs=per_call * len(jobs),
        executions=sum(per_job),
        machine_seconds=seconds,
        readouts=readouts,
        two_qubit_gates=compiled.record.get("two_qubit_gates", 0),
        two_qubit_depth=compiled.record.get("two_qubit_depth", 0),
        fractional_gates=fractional_words(compiled.record),
        seconds_left=None if plan is None else plan.seconds_left,
        plan="" if plan is None else plan.name,
        price=None if plan is None else plan.price,
    )


def _twirls(options: ExecutionOptions) -> bool:
    twirled = options.gate_twirling or options.measurement_twirling
    return twirled or options.readout_mitigation == "trex"


def _shots_of_each(shots: int) -> int:
    return max(TWIRLED_SHOTS, math.ceil(shots / RANDOMIZATIONS))
