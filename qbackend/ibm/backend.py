"""An IBM machine, or a fake one, as a backend: rows become jobs, and nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..base import (
    Capabilities,
    CompiledLayer,
    QuantumBackend,
    Request,
    check_shots,
    check_width,
)
from ..device_form import Encoder, compile_for_target
from ..errors import OptionError, UserError
from ..inputs import seed_number
from ..jobs import Job
from ..snapshots import Device
from ..spec import LayerSpec
from . import cost, limits
from .budget import check_budget, total
from .cost import MachineCost
from .dispatch import Dispatcher
from .endings import Whereabouts, is_gone
from .entries import Intent, State
from .gateway import Gateway, Progress
from .identity import content_key, layer_key
from .layers import from_text, to_text
from .ledger import Ledger
from .mitigation import check_installed
from .options import ExecutionOptions, check_local
from .patience import Clock
from .remote import Service
from .remote_job import RemoteJob
from .work import Work

DEFAULT_SHOTS = 1024


def approve_all(cost: MachineCost) -> bool:
    """Say yes to every plan; the budget still holds."""
    return True


def say_nothing(progress: Progress) -> None:
    """Let progress go by."""


class IbmBackend(QuantumBackend):
    """A machine behind Runtime's primitives.

    The same request is executed once: asked for again, in this process or a later one with the
    same ledger, it is answered from what was sent and fetched before.

    Args:
        machine: `ibm_NAME`, or `fake_NAME` for Runtime's local testing mode.
        shots: per row; 1024 unless given.
        seed: of a simulator's sampling, for requests that bring none.
        options: how to execute, what to spend, how long to wait.
        credentials, profile: which account, see `credentials.find_credentials`.
        ledger: file that keeps the jobs; None keeps them in memory.
        encoder: how amplitudes are prepared, "auto", "compact" or "textbook".
        approve: is shown the plan before anything is sent, and may say no.
        progress: is told where the jobs are.
        wait: whether `submit` gives a job to wait for; else it raises `JobsPendingError`.
        service: in place of the one that `machine` and the credentials lead to.
        clock: what waits are measured by.
    """

    def __init__(
        self,
        machine: str,
        *,
        shots: int | None = None,
        seed: int | None = None,
        options: ExecutionOptions | None = None,
        credentials: Path | None = None,
        profile: str | None = None,
        ledger: Path | None = None,
        encoder: Encoder = "auto",
        approve: Callable[[MachineCost], bool] = approve_all,
        progress: Callable[[Progress], None] = say_nothing,
        wait: bool = True,
        service: Service | None = None,
        clock: Clock | None = None,
    ) -> None:
        shots = check_shots(shots)
        self.name = machine
        self.shots = DEFAULT_SHOTS if shots is None else shots
        self.seed = seed_number(seed)
        self.options = options or ExecutionOptions()
        if shots is not None and self.options.precision is not None:
            raise OptionError(
                f"{shots} shots and a precision of {self.options.precision:g} contradict each "
                "other: leave out one of --shots and --precision"
            )
        self.encoder = encoder
        self.wait = wait
        self.last_cost: MachineCost | None = None
        self._credentials = credentials
        self._profile = profile
        self._path = ledger
        self._approve = approve
        self._progress = progress
        self._given = service
        self._clock = clock
        check_installed(self.options.readout_mitigation)
        if self._is_local:
            check_local(self.options)

    @cached_property
    def ledger(self) -> Ledger:
        """What is known of the jobs."""
        return Ledger(self._path, self._tell)

    @cached_property
    def gateway(self) -> Gateway:
        """The way to the machine's service; connects when it is first needed."""
        return Gateway(self._service, tell=self._tell, clock=self._clock)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=False,
            remote=True,
            vjp=False,
            max_wires=self._n_qubits,
            gradient_methods=("parameter-shift", "spsa"),
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        """The layer on the machine's best qubits, by its calibration of today.

        A ledger that has the layer already gives that one: a request that is half done goes on
        where it began, and needs no machine to do so.

        Raises:
            MachineError: the account has no such machine.
            OptionError: too many wires, or a gate that the machine has no calibration for.
        """
        key = layer_key(spec, self.name, self.encoder)
        text = self.ledger.layer(key)
        if text is None:
            check_width(self, spec)
            device = self._device
            compiled = compile_for_target(
                spec, device.target, device=self.name, encoder=self.encoder
            )
            at = device.calibrated_at
            record = {**compiled.record, "calibrated_at": None if at is None else at.isoformat()}
            text = to_text(replace(compiled, record=record))
            text = self.ledger.keep_layer(key, self.name, text)
        return from_text(text)

    def estimate(self, request: Request) -> MachineCost:
        """What the request takes of a machine, whether or not some of it is done already."""
        return total(self._costs(request, self._pack(request)))

    def submit(self, request: Request) -> Job:
        """Enter the jobs in the ledger and send them, unless they are there already.

        Rows whose job failed or was cancelled are sent again.

        Raises:
            BudgetError: more QPU time than the budget or the plan has left; nothing was sent.
            UserError: the plan was not approved; nothing was sent.
            CredentialsError: open jobs of the request belong to another account.
            JobsPendingError: the jobs are sent, and this backend does not wait for them.
            RecordError: the ledger cannot be written.
        """
        if request.compiled.record.get("device") != self.name:
            raise OptionError(f"the layer was not compiled by '{self.name}': compile it by this")
        shots, seed = self._shots(request), self._seed(request)
        content = content_key(request.compiled, self.name, shots, seed, self.options)
        ledger = self.ledger
        with ledger.locked():
            key = ledger.find_request(content, request.parameters)
            if key is None:
                key = self._plan(content, request)
            else:
                self._plan_again(key, request)
            work = Work(
                key=key,
                compiled=request.compiled,
                parameters=ledger.parameters(key),
                shots=shots,
                seed=seed,
                options=self.options,
            )
            job = RemoteJob(work, self._dispatcher, self.gateway, ledger, self._progress)
            # Jobs in this process would end with it.
            if self.wait or not self._is_local:
                job.send()
        entries = ledger.current(key)
        if not self.wait and not all(entry.state is State.DONE for entry in entries):
            where = Whereabouts(entries, self.name, ledger.run)
            raise where.pending(f"{self.name} was not waited for")
        return job

    def close(self) -> None:
        """Close an open session, and the ledger."""
        if "_dispatcher" in self.__dict__:
            self._dispatcher.close()
        if "ledger" in self.__dict__:
            self.ledger.close()

    def _plan(self, content: str, request: Request) -> str:
        """Enter a request that is new to the ledger, once affordable and approved; its key."""
        ranges = self._pack(request)
        costs = self._costs(request, ranges)
        self._agree(costs)
        instance = self.gateway.service.instance
        intent = Intent(content, self.name, instance, self._shots(request), self.options)
        seconds = [each.qpu_seconds for each in costs]
        return self.ledger.plan(intent, request.parameters, ranges, seconds)[0].request

    def _plan_again(self, key: str, request: Request) -> None:
        """Enter what failed or was cancelled once more, once it is affordable and approved.

        Jobs that another process simulated, and took with it, are planned as before; those that
        were not found are looked for once more.
        """
        entries = self.ledger.current(key)
        self.gateway.check_instance(entries)
        if self._is_local:
            for entry in entries:
                if entry.state is State.SUBMITTED and not self.gateway.find(entry.tag):
                    self.ledger.forgotten(entry.tag)
        for entry in entries:
            if is_gone(entry):
                self._dispatcher.adopt(entry)
        ended = [e for e in self.ledger.current(key) if e.state in (State.FAILED, State.CANCELLED)]
        if ended:
            self._agree(self._costs(request, [range(entry.n_rows) for entry in ended]))
            self.ledger.plan_again(ended, self.gateway.service.instance)

    def _agree(self, costs: Sequence[MachineCost]) -> None:
        """Raise unless these jobs fit the budget and the plan, and are approved."""
        planned = total(costs)
        if not self._is_local:
            self.gateway.settle(self.ledger)
        check_budget(planned, self.ledger.committed_seconds(), self.options.max_qpu_seconds)
        self.last_cost = planned
        if not self._approve(planned):
            raise UserError(f"nothing was sent to {self.name}: the plan was not approved")

    def _pack(self, request: Request) -> list[range]:
        shots = self._shots(request)
        return limits.pack(len(request.parameters), shots, self.options, request.compiled)

    def _costs(self, request: Request, ranges: Sequence[range]) -> list[MachineCost]:
        """Of the jobs that take these rows."""
        shots = self._shots(request)
        plan = None
        if not self._is_local:
            # Of several instances one has the machine, whose plan it is.
            self.gateway.ask(lambda service: service.paying_for(self.name))
            plan = self.gateway.ask(lambda service: service.plan())
        return [
            cost.estimate(request.compiled, len(rows), shots, self.options, plan=plan)
            for rows in ranges
        ]

    def _shots(self, request: Request) -> int:
        if request.shots is None:
            raise OptionError(f"'{self.name}' samples: a request needs shots")
        return request.shots

    def _seed(self, request: Request) -> int | None:
        return self.seed if request.seed is None else request.seed

    @property
    def _is_local(self) -> bool:
        if self._given is not None:
            return self._given.is_local
        return self.name.startswith("fake_")

    @cached_property
    def _device(self) -> Device:
        return self.gateway.ask(lambda service: service.device(self.name))

    @cached_property
    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(self.name, self.gateway, self.ledger, self.options)

    @cached_property
    def _n_qubits(self) -> int:
        known = self.ledger.layers_of(self.name)
        if known:
            return from_text(known[0]).circuit.num_qubits
        return self._device.target.num_qubits or 0

    def _service(self) -> Service:
        if self._given is not None:
            return self._given
        if self._is_local:
            from .local import LocalService

            return LocalService()
        from .credentials import find_credentials
        from .service import connect

        return connect(find_credentials(self._credentials, self._profile))

    def _tell(self, words: str) -> None:
        self._progress(Progress(0, 0, words))

    def __getstate__(self) -> dict[str, Any]:
        # Connections stay where they are; a ledger in a file is opened again.
        made = ("ledger", "gateway", "_device", "_dispatcher")
        return {key: value for key, value in self.__dict__.items() if key not in made}
