"""What IBM's service takes: options together, contents of one job; how rows are packed into jobs.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

from itertools import pairwise

from ..circuits.fractional import executed
from ..errors import OptionError
from ..machines.options import ExecutionOptions
from ..seam.requests import CompiledLayer
from .cost import executions, executions_within, seconds_per_execution
from .instructions import INSTRUCTIONS_PER_QUBIT, TWO_QUBIT_GATES, load_of

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


def check_execution_time(seconds: int | None) -> None:
    """Raise `OptionError` for a `max_execution_time` beyond the service's longest."""
    if seconds is not None and seconds > MAX_EXECUTION_SECONDS:
        raise OptionError(
            f"max_execution_time must be at most {MAX_EXECUTION_SECONDS} seconds at IBM, "
            f"got {seconds}"
        )


def check_rep_delay(compiled: CompiledLayer, options: ExecutionOptions) -> None:
    """Raise `OptionError` for a `rep_delay` that the machine, compiled for, is known not to take.

    Raises `OptionError` also for one where none can be chosen.
    """
    chosen, reported = options.rep_delay, compiled.record.get("rep_delay")
    if chosen is None or reported is None:
        return
    machine = compiled.record.get("device", "the machine")
    shortest, longest = reported["shortest"], reported["longest"]
    if shortest is None or longest is None:
        raise OptionError(
            f"{machine} has the same {reported['default']:g} s between all shots, a rep_delay of "
            f"{chosen:g} s cannot be chosen: leave --rep-delay out"
        )
    if not shortest <= chosen <= longest:
        raise OptionError(
            f"{machine} takes a rep_delay from {shortest:g} to {longest:g} s, got {chosen:g}: "
            f"for example --rep-delay {reported['default']:g}, which is its default"
        )


def check_fractional_gates(options: ExecutionOptions) -> None:
    """Raise `OptionError` for what does not go with gates by any angle.

    Twirling conjugates gates by Paulis, which it then undoes by other Paulis: those exist for
    Clifford gates. Extrapolation folds gates with their inverses, which RZZ has not: the client
    leaves it as it is, and extrapolates nothing.
    https://quantum.cloud.ibm.com/docs/guides/fractional-gates
    """
    if not options.fractional_gates:
        return
    for name, chosen in (("gate_twirling", options.gate_twirling), ("zne", bool(options.zne))):
        if chosen:
            raise OptionError(
                f"IBM's machines have no {name} with fractional_gates: leave one of them out; "
                "measurement_twirling, readout_mitigation and dynamical_decoupling go with them"
            )


def check_rows(compiled: CompiledLayer, options: ExecutionOptions) -> None:
    """Raise `OptionError` where the client answers once, however many rows are asked for."""
    is_client_sampler = (options.primitive, options.generation) == ("sampler", "client")
    if is_client_sampler and not compiled.circuit.num_parameters:
        raise OptionError(
            "the client's Sampler loses the rows of a circuit without parameters: take "
            "--generation server, or --primitive estimator"
        )


def pack(
    n_rows: int, shots: int, options: ExecutionOptions, compiled: CompiledLayer
) -> list[range]:
    """The rows of each job: as few jobs as the limits allow, of nearly equal size, in order.

    Raises:
        OptionError: one row alone is more than a job may hold, a `rep_delay` out of range, or rows
            that the client would lose.
    """
    check_rep_delay(compiled, options)
    check_rows(compiled, options)
    n_jobs = max(1, -(-n_rows // _rows_per_job(shots, options, compiled)))
    edges = [n_rows * job // n_jobs for job in range(n_jobs + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def _rows_per_job(shots: int, options: ExecutionOptions, compiled: CompiledLayer) -> int:
    readouts = len(compiled.readouts)
    fixed = executions(0, shots, options)
    per_row = executions(readouts, shots, options) - fixed
    seconds = options.max_execution_time or MAX_EXECUTION_SECONDS
    most = executions_within(seconds, seconds_per_execution(compiled, options))
    reason = f"{seconds} s of QPU time per job (max_execution_time)"
    if options.primitive == "sampler" and most > EXECUTIONS_PER_SAMPLER_JOB:
        most, reason = EXECUTIONS_PER_SAMPLER_JOB, f"{EXECUTIONS_PER_SAMPLER_JOB} shots per job"
    rows = int((most - fixed) // per_row)
    if rows < 1:
        longer = "" if options.max_execution_time is None else ", or a longer --max-execution-time"
        raise OptionError(
            f"{per_row + fixed} shots for one row are more than the limit allows: {reason}; "
            f"take fewer with --shots, or a larger precision{longer}"
        )
    # A row's angles travel once for each of its circuits.
    n_angles = max(1, len(compiled.parameters), executed(compiled.circuit).num_parameters)
    payload = PAYLOAD_BYTES // (BYTES_PER_PARAMETER * n_angles * readouts)
    held = load_of(compiled, options).most_rows
    if held < 1:
        raise OptionError(
            f"one row's circuits, with what their options add, have more instructions than IBM's "
            f"service takes in a job ({INSTRUCTIONS_PER_QUBIT:,} per qubit, {TWO_QUBIT_GATES:,} "
            "two-qubit gates); take fewer layers or smaller noise factors"
        )
    return max(1, min(rows, held, payload))
