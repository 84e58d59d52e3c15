"""How many executions a job performs, and the QPU seconds that they take by IBM's formula."""

from __future__ import annotations

import math

from ..machines.options import ExecutionOptions
from ..machines.patience import GROWTH

SECONDS_PER_JOB = 2.0
SECONDS_PER_EXECUTION = 0.00035
"""IBM's estimate of QPU time. https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time"""

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


def executions(n_rows: int, shots: int, options: ExecutionOptions) -> int:
    """Circuits times shots that one job of `n_rows` rows performs."""
    circuits = n_rows * max(1, len(options.zne))
    if options.calibrates:
        circuits += CALIBRATION_CIRCUITS
    if options.readout_mitigation == "trex":
        circuits += 1
    return circuits * shots_performed(shots, options)


def job_seconds(n_executions: int) -> float:
    """QPU time of one job by IBM's formula."""
    return SECONDS_PER_JOB + SECONDS_PER_EXECUTION * n_executions


def executions_within(seconds: float) -> float:
    """How many executions one job performs in that time, by the same formula."""
    return (seconds - SECONDS_PER_JOB) / SECONDS_PER_EXECUTION


def session_seconds(n_executions: int, options: ExecutionOptions) -> float:
    """What one job takes of a session's time, which goes on until its end is seen.

    https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time
    """
    seconds = job_seconds(n_executions)
    seen, (pause, longest) = 0.0, options.poll
    while seen < seconds and 0 < pause < longest:
        seen += pause
        pause *= GROWTH
    if seen < seconds:
        seen += longest * math.ceil((seconds - seen) / longest) if longest else seconds - seen
    return seen


def _twirls(options: ExecutionOptions) -> bool:
    twirled = options.gate_twirling or options.measurement_twirling
    return twirled or options.readout_mitigation == "trex"


def _shots_of_each(shots: int) -> int:
    return max(TWIRLED_SHOTS, math.ceil(shots / RANDOMIZATIONS))
