"""Before anything is sent: whether the machine can still execute it, in which jobs, at what cost.

A calibration changes, and may lose what was compiled for the one before.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qiskit.transpiler import Target

from ..circuits.fractional import executed
from ..circuits.measuring import turned_circuits
from ..errors import JobFailedError, MachineError, RunFolderError
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from ..seam.side_by_side import WideRequest, side_by_side
from .budget import Allowance, check_budget, total
from .consent import Approve, check_approved, plan_words
from .cost import MachineCost
from .endings import MOST_ATTEMPTS, is_gone, is_useless, seconds_again
from .gateway import Gateway
from .ledger.entries import Entry, Intent, Recovered, State
from .ledger.identity import request_key
from .ledger.layers import from_text
from .ledger.ledger import Ledger
from .ledger.recovery import keep_layers
from .ledger.tags import KEY_LENGTH
from .options import ExecutionOptions
from .vendor import Vendor
from .workloads import Dispatcher, settle_sessions

_LOGGER = logging.getLogger("qbackend")


@dataclass
class Planner:
    """Enters a machine's requests in the ledger, once they are affordable and approved.

    Attributes:
        machine: its name.
        vendor: who sells its time.
        is_local: whether it is simulated in this process, for nothing.
        device: with its calibration of today.
        gateway: the way to its service.
        ledger: of the run.
        options: how to execute, and what to spend.
        tell: is told what a person should know before a plan is approved.
        approve: is shown every plan before it is sent; None to ask at the terminal.
        last_cost: of the plan that was shown last.
    """

    machine: str
    vendor: Vendor
    is_local: bool
    device: Callable[[], Device]
    gateway: Gateway
    ledger: Ledger
    options: ExecutionOptions
    tell: Callable[[str], None]
    approve: Approve | None
    last_cost: MachineCost | None = None
    _told_of_steps: bool = False

    def estimate(self, request: WideRequest, shots: int) -> MachineCost:
        """What the request takes, whether or not some of it is done already."""
        ranges = self.vendor.pack(len(request.parameters), shots, self.options, request.compiled)
        return self._total(request, shots, self._costs(request, shots, ranges), 0.0)

    def seconds_together(self, request: WideRequest, shots: int) -> float:
        """Estimated for all requests that are sent before the first of them is waited for."""
        n_copies = max(1, len(request.compiled.copies))
        return sum(
            self.vendor.estimate(
                request.compiled, -(-rows // n_copies), shots, self.options
            ).machine_seconds
            for rows in request.together
        )

    def plan(self, content: str, what: str, request: WideRequest, shots: int) -> str:
        """Enter a request that is new to the ledger; its key.

        What the service has of it, and the run's ledger did not tell, is entered as sent.

        Raises:
            RunFolderError: the service has jobs for this request of another circuit or angles.
        """
        there = self._there(what, request_key(content, request.parameters))
        ranges = [
            range(gap.start + each.start, gap.start + each.stop)
            for gap in _gaps(there, len(request.parameters))
            for each in self.vendor.pack(len(gap), shots, self.options, request.compiled)
        ]
        costs = self._costs(request, shots, ranges)
        found = self._costs(request, shots, [_rows(job) for job in there])
        if costs:
            self._agree(request, shots, costs, sum(each.qpu_seconds for each in found))
        instance = self.gateway.service.instance
        intent = Intent(content, self.machine, instance, shots, self.options)
        keep_layers(self.ledger)
        entries = self.ledger.plan(
            intent,
            request.parameters,
            ranges,
            [each.qpu_seconds for each in costs],
            there,
            [each.qpu_seconds for each in found],
        )
        return entries[0].request

    def plan_again(
        self,
        key: str,
        request: WideRequest,
        shots: int,
        dispatcher: Dispatcher,
        mend: Callable[[], None],
    ) -> None:
        """Enter what failed or was cancelled once more, once it is affordable and approved.

        What was planned and approved before and is not sent yet must be executable still.

        Raises:
            JobFailedError: the results of several jobs for the same rows were of no use.
        Jobs that another process simulated, and took with it, are planned as before; those that
        were not found are looked for once more, and `mend` fetches again what was refused.
        """
        entries = self.ledger.current(key)
        self.gateway.check_instance(entries)
        if self.is_local:
            for entry in entries:
                if entry.state is State.SUBMITTED and not self.gateway.find(entry.tag):
                    self.ledger.forgotten(entry.tag)
        for entry in entries:
            if is_gone(entry):
                dispatcher.adopt(entry)
        mend()
        ended = [e for e in self.ledger.current(key) if e.state in (State.FAILED, State.CANCELLED)]
        if not ended and any(e.state is State.PLANNED for e in self.ledger.current(key)):
            self._check_machine(request)
        if ended:
            self._check_use(key, ended)
            costs = [
                replace(cost, qpu_seconds=max(cost.qpu_seconds, seconds))
                for cost, seconds in zip(
                    self._costs(request, shots, [_rows(entry) for entry in ended]),
                    [seconds_again(entry, self.vendor.meaning) for entry in ended],
                    strict=True,
                )
            ]
            others = [e.estimate_seconds for e in self.ledger.current(key) if e not in ended]
            self._agree(request, shots, costs, sum(others))
            instance, seconds = self.gateway.service.instance, [e.qpu_seconds for e in costs]
            self.ledger.plan_again(ended, instance, seconds)

    def is_outdated(self, text: str) -> bool:
        """Whether a kept layer cannot be executed any more, and nothing is done with it yet."""
        if self.is_local:
            return False
        for entry in self.ledger.entries():
            if entry.state in (State.SUBMITTED, State.DONE) or entry.doubtful_since is not None:
                return False
        return bool(lost_places(side_by_side(from_text(text)), self.device().target))

    def forget(self, key: str) -> None:
        """Give up a layer, and what was planned with it."""
        with self.ledger.locked():
            self.ledger.forget_layer(key)
            for entry in self.ledger.entries():
                if entry.state is State.PLANNED:
                    self.ledger.ended(entry.tag, State.CANCELLED, "compiled anew before")

    def _check_use(self, key: str, ended: Sequence[Entry]) -> None:
        """Raise `JobFailedError` for rows that were paid for again and again, and for nothing."""
        useless = Counter(e.first_row for e in self.ledger.entries(key) if is_useless(e))
        for entry in ended:
            if useless[entry.first_row] >= MOST_ATTEMPTS:
                raise JobFailedError(
                    f"{useless[entry.first_row]} jobs for the same rows on {self.machine} were "
                    f"paid for, and the result of each is of no use (job {entry.job_id}: "
                    f"{entry.words}); nothing was sent again. The results are kept in the ledger; "
                    "to pay for these rows once more, begin a new run: qhc run",
                    job_id=entry.job_id,
                    backend=self.machine,
                    state=entry.state.value,
                )

    def _agree(
        self, request: WideRequest, shots: int, costs: Sequence[MachineCost], others: float
    ) -> None:
        """Raise unless these jobs can be executed, are within what is left, and are approved.

        `others` are the seconds of the request's jobs that are not among them.
        """
        self._check_machine(request)
        if not self.is_local:
            self.gateway.settle(self.ledger)
            settle_sessions(self.gateway, self.ledger)
        planned = self._total(request, shots, costs, others)
        check_budget(planned, self.ledger.committed_seconds(), self.options.max_qpu_seconds)
        self.last_cost = planned
        if planned.derivatives and planned.qpu_seconds and not self._told_of_steps:
            self._told_of_steps = True
            _LOGGER.warning("a training step: %s", plan_words(self.machine, planned))
        check_approved(self.machine, planned, self.approve)

    def _check_machine(self, request: WideRequest) -> None:
        """Raise unless the machine can execute a request; tell if it takes no jobs now."""
        if self.is_local:
            return
        check_executable(request.compiled, self.device())
        machine = self.gateway.ask(lambda service: service.machine(self.machine))
        if not machine.operational:
            self.tell(f"{self.machine} is {machine.status}: jobs wait until it is back")

    def _total(
        self, request: WideRequest, shots: int, costs: Sequence[MachineCost], others: float
    ) -> MachineCost:
        """Of jobs, beside the others of the request; what stops them is what they are sent with."""
        planned, limit = total(costs), self.options.max_execution_time
        if planned.qpu_seconds == 0:
            limit = None
        elif limit is None:
            together = self.seconds_together(request, shots)
            allowed = Allowance(
                budget=self.options.max_qpu_seconds,
                left=self.options.max_qpu_seconds - self.ledger.committed_seconds(),
                to_send=planned.qpu_seconds,
                under_way=max(planned.qpu_seconds + others, together),
                longest=self.vendor.longest_job,
            )
            limit = max(allowed.time_limit(each.qpu_seconds) for each in costs)
        return replace(planned, derivatives=request.derivatives, max_execution_time=limit)

    def _costs(
        self, request: WideRequest, shots: int, ranges: Sequence[range]
    ) -> list[MachineCost]:
        """Of the jobs that take these rows."""
        plan = None
        if ranges and not self.is_local:
            # Of several instances one has the machine, whose plan it is.
            self.gateway.ask(lambda service: service.paying_for(self.machine))
            plan = self.gateway.ask(lambda service: service.plan())
        estimate, compiled = self.vendor.estimate, request.compiled
        return [
            _of_single_rows(
                estimate(compiled, len(rows), shots, self.options, plan=plan),
                request.rows_in(rows),
                len(compiled.copies),
            )
            for rows in ranges
        ]

    def _there(self, what: str, key: str) -> list[Recovered]:
        """Jobs of the request that the service has, and the ledger did not tell of."""
        there = self.ledger.recovered(what[:KEY_LENGTH])
        mine = [job for job in there if job.request == key[:KEY_LENGTH]]
        if there and not mine:
            jobs = ", ".join(job.job_id for job in there)
            raise RunFolderError(
                f"{self.machine} has executed this request already, of another circuit or other "
                f"angles than it would have now (jobs {jobs}): their results cannot be read by "
                "this run, whose ledger does not tell of them, and nothing was sent again. To pay "
                "for it once more, begin a new run: qhc run"
            )
        return mine


def _rows(job: Entry | Recovered) -> range:
    return range(job.first_row, job.first_row + job.n_rows)


def _of_single_rows(cost: MachineCost, n_rows: int, n_copies: int) -> MachineCost:
    """The cost of wide rows, said of the rows that they answer."""
    if n_copies == 0:
        return cost
    return replace(
        cost, rows=n_rows, shots=cost.shots // max(1, cost.rows) * n_rows, copies=n_copies
    )


def _gaps(there: Sequence[Recovered], n_rows: int) -> list[range]:
    """The rows that none of the jobs has, in order."""
    gaps, next_row = [], 0
    for job in there:
        if job.first_row > next_row:
            gaps.append(range(next_row, job.first_row))
        next_row = max(next_row, job.first_row + job.n_rows)
    return [*gaps, range(next_row, n_rows)] if next_row < n_rows else gaps


def lost_places(compiled: CompiledLayer, target: Target) -> list[str]:
    """Gates and measurements of a compiled layer that the target has not (any more)."""
    wanted = [
        (item.operation.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for circuit in turned_circuits(compiled)
        for item in executed(circuit).data
        if item.operation.name != "barrier"
    ]
    wanted += [("measure", (qubit,)) for qubit in compiled.observed or [0]]
    missing = [each for each in dict.fromkeys(wanted) if not _has(target, *each)]
    return [f"{name} on {', '.join(map(str, qubits))}" for name, qubits in missing]


def check_executable(compiled: CompiledLayer, device: Device) -> None:
    """Raise `MachineError` for a layer that the device cannot execute as it is calibrated now."""
    if lost := lost_places(compiled, device.target):
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise MachineError(
            f"the calibration of {device.name} has lost what this run's circuit was compiled for "
            f"({'; '.join(lost[:3])}{more}): nothing was sent. The results that are there are "
            "kept; to compile anew, begin a new run: qhc run"
        )


def _has(target: Target, name: str, qubits: tuple[int, ...]) -> bool:
    """Whether a gate is there and calibrated: an error of 1 is reported for one that is not."""
    if not target.instruction_supported(name, qubits):
        return False
    reported = target[name].get(qubits)
    return reported is None or reported.error is None or reported.error < 1
