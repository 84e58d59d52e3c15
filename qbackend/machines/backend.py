"""A machine, or a fake one, as a backend: rows become jobs, and nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

from ..circuits.device_form import Preparation
from ..errors import OptionError
from ..layers.inputs import seed_number
from ..layers.program import Layer
from ..seam.backend import Capabilities, QuantumBackend, check_width
from ..seam.device import Device
from ..seam.jobs import Job
from ..seam.requests import CompiledLayer, Request, check_shots
from ..seam.side_by_side import widened
from .compiling import compile_for_machine
from .consent import Approve, check_approve
from .cost import MachineCost
from .endings import Whereabouts, are_under_way
from .gateway import Gateway, Progress
from .job import RemoteJob
from .ledger.entries import State
from .ledger.identity import content_key, layer_key, what_key
from .ledger.layers import from_text, to_text
from .ledger.ledger import Ledger
from .ledger.recovery import catch_up
from .ledger.work import Work
from .options import ExecutionOptions, Mitigation
from .patience import Clock
from .planning import Planner
from .service import Service
from .vendor import Vendor
from .workloads import Dispatcher

DEFAULT_SHOTS = 1024


def say_nothing(progress: Progress) -> None:
    """Let progress go by."""


class MachineBackend(QuantumBackend):
    """A machine of a vendor's.

    The same request is executed once: asked for again, in this process or a later one with the
    same ledger, it is answered from what was sent and fetched before.

    Args:
        machine: its name, for example `ibm_NAME`, or `fake_NAME` for one that is simulated here.
        vendor: who sells its time.
        shots: per row; 1024 unless given.
        seed: of a simulator's sampling, for requests that bring none.
        options: how to execute, what to spend, how long to wait.
        credentials, profile: which account of its vendor's.
        ledger: file that keeps the jobs; None keeps them in memory.
        preparation: how amplitudes are prepared, "auto", "compact" or "textbook".
        approve: is shown the plan before anything is sent, and says whether it may be; None asks
            at the terminal, and refuses where there is none. What costs nothing needs no yes.
        progress: is told where the jobs are.
        wait: whether `submit` gives a job to wait for; else it raises `JobsPendingError`.
        run_tag: that all its jobs get, so that a ledger that was lost can be made anew.
        service: in place of the one that `machine` and the credentials lead to.
        clock: what waits are measured by.
    """

    def __init__(
        self,
        machine: str,
        vendor: Vendor,
        *,
        shots: int | None = None,
        seed: int | None = None,
        options: ExecutionOptions | None = None,
        credentials: Path | None = None,
        profile: str | None = None,
        ledger: Path | None = None,
        preparation: Preparation = "auto",
        approve: Approve | None = None,
        progress: Callable[[Progress], None] = say_nothing,
        wait: bool = True,
        run_tag: str | None = None,
        service: Service | None = None,
        clock: Clock | None = None,
    ) -> None:
        shots = check_shots(shots)
        self.name = machine
        self.vendor = vendor
        self.shots = DEFAULT_SHOTS if shots is None else shots
        self.seed = seed_number(seed)
        self.options = options or ExecutionOptions()
        if shots is not None and self.options.precision is not None:
            raise OptionError(
                f"{shots} shots and a precision of {self.options.precision:g} contradict each "
                "other: leave out one of --shots and --precision"
            )
        self.preparation = preparation
        self.wait = wait
        self.run_tag = run_tag
        self._credentials = credentials
        self._profile = profile
        self._path = ledger
        self._approve = check_approve(approve)
        self._progress = progress
        self._given = service
        self._clock = clock
        self._has_caught_up = False
        self._read_as: Mitigation | None = None
        self.vendor.check(self.options, is_local=self._is_local)

    @cached_property
    def ledger(self) -> Ledger:
        """What is known of the jobs."""
        return Ledger(self._path, self._tell)

    @cached_property
    def gateway(self) -> Gateway:
        """The way to the machine's service; connects when it is first needed."""
        return Gateway(
            self._service,
            meanings=self.vendor.meaning,
            tell=self._tell,
            clock=self._clock,
            deadline=self.options.deadline,
        )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=False,
            remote=True,
            vjp=False,
            max_wires=self._n_qubits,
            gradient_methods=("parameter-shift", "spsa"),
        )

    def compile(self, spec: Layer) -> CompiledLayer:
        """The layer on the machine's best qubits, by its calibration of today, with its copies.

        A ledger that has the layer already gives that one: a request that is half done goes on
        where it began, and needs no machine to do so. Where nothing is done yet, and the machine
        cannot execute it any more, it is compiled anew.

        Raises:
            MachineError: the account has no such machine.
            OptionError: too many wires, or a gate that the machine has no calibration for.
        """
        key = layer_key(spec, self.name, self.preparation, self.options)
        text = self.ledger.layer(key)
        if text is not None and self._planner.is_outdated(text):
            self._planner.forget(key)
            text = None
        if text is None:
            check_width(self, spec)
            compiled = compile_for_machine(
                spec, self._device, self.name, self.preparation, self.options
            )
            text = self.ledger.keep_layer(key, self.name, to_text(compiled))
        return from_text(text)

    def estimate(self, request: Request) -> MachineCost:
        """What the request takes of a machine, whether or not some of it is done already."""
        return self._planner.estimate(widened(request), self._shots(request))

    def submit(self, request: Request) -> Job:
        """Enter the jobs in the ledger and send them, unless they are there already.

        Rows whose job failed or was cancelled are sent again.

        Raises:
            ApprovalError: nobody said yes to the plan; nothing was sent.
            BudgetError: more QPU time than the budget or the plan has left; nothing was sent.
            CredentialsError: open jobs of the request belong to another account.
            JobsPendingError: the jobs are sent, and this backend does not wait for them.
            MachineError: it cannot execute the circuit any more; nothing was sent.
            RecordError: the ledger cannot be written.
        """
        if request.compiled.record.get("device") != self.name:
            raise OptionError(f"the layer was not compiled by '{self.name}': compile it by this")
        shots, seed = self._shots(request), self._seed(request)
        request = widened(request)
        content = content_key(request.compiled, self.name, shots, seed, self.options)
        n_rows = len(request.slots) if request.distinct is None else request.distinct
        what = what_key(request.compiled.spec, self.name, n_rows, shots, seed, self.options)
        ledger = self.ledger
        with ledger.locked():
            self._dispatcher.close_left_open()
            key = ledger.find_request(content, request.parameters)
            is_new = key is None
            if key is None or not are_under_way(ledger.current(key)):
                self._catch_up()
            key = key or self._planner.plan(content, what, request, shots)
            work = Work(
                key=key,
                compiled=request.compiled,
                parameters=ledger.parameters(key),
                shots=shots,
                seed=seed,
                options=self.options,
                slots=request.slots,
                what=what,
                run_tag=self.run_tag,
                together=self._planner.seconds_together(request, shots),
                read_as=self._read_as,
            )
            job = RemoteJob(
                work, self.vendor, self._dispatcher, self.gateway, ledger, self._progress
            )
            if not is_new:
                self._planner.plan_again(key, request, shots, self._dispatcher, job.mend)
            # Jobs in this process would end with it.
            if self.wait or not self._is_local:
                job.send()
        entries = ledger.current(key)
        if not self.wait and not all(entry.state is State.DONE for entry in entries):
            where = Whereabouts(entries, self.name, ledger.run)
            raise where.pending(f"{self.name} was not waited for")
        return job

    def reported_device(self) -> Device:
        return self._device

    def known_device(self) -> Device | None:
        # A layer that the ledger keeps is compiled without the machine.
        return self._device if self._is_local else self.__dict__.get("_device")

    def keep_jobs(self, ledger: Path, *, approve: Approve | None, run_tag: str | None) -> None:
        """Go on with a ledger in a file, which gets the layers that this process has compiled.

        Raises `OptionError` where jobs were planned before: their ledger alone tells of them.
        """
        if self.ledger.entries():
            raise OptionError(f"'{self.name}' has jobs already: name their ledger before the first")
        compiled = self.ledger.layers()
        self.ledger.close()
        for made in ("ledger", "_dispatcher", "_planner"):
            self.__dict__.pop(made, None)
        self._path, self._approve, self.run_tag = ledger, check_approve(approve), run_tag
        self._has_caught_up = False
        for key, machine, text in compiled:
            self.ledger.keep_layer(key, machine, text)

    def asking(
        self, options: ExecutionOptions, *, read_as: Mitigation | None = None
    ) -> MachineBackend:
        """The same machine by the same ledger and connection, which executes as `options` say.

        `read_as` is the readout mitigation that counts are read with in place of the options': a
        request whose jobs calibrate the readout is answered from the same counts once more. Raises
        `OptionError` for what the machine cannot do.
        """
        self.vendor.check(options, is_local=self._is_local)
        other = copy(self)
        shared = {"ledger": self.ledger, "gateway": self.gateway, "_dispatcher": self._dispatcher}
        other.__dict__ |= {**self.__dict__, **shared, "options": options, "_read_as": read_as}
        other.__dict__.pop("_planner", None)
        return other

    def together(self) -> AbstractContextManager[None]:
        """All that is sent while it lasts goes into one batch, where jobs would go alone."""
        return self._dispatcher.together()

    def close(self) -> None:
        """Close an open session, also one that another process left, and the ledger."""
        if "ledger" not in self.__dict__ or self.ledger.is_closed:
            return
        if self.ledger.open_workloads():
            self._dispatcher.close()
        self.ledger.close()

    def _catch_up(self) -> None:
        """Before anything is sent: what has this run sent that its ledger does not tell?

        Once; a run's ledger tells of what its own process sends from then on.
        """
        tag = self.run_tag
        if tag is None or self._is_local or self._has_caught_up:
            return
        catch_up(self.ledger, self.gateway.ask(lambda service: service.tagged(tag)))
        self._has_caught_up = True

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
        return self.name.startswith(self.vendor.local_prefixes)

    @cached_property
    def _device(self) -> Device:
        return self.gateway.ask(lambda service: service.device(self.name))

    @cached_property
    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(self.name, self.gateway, self.ledger, self.options)

    @cached_property
    def _planner(self) -> Planner:
        return Planner(
            machine=self.name,
            vendor=self.vendor,
            is_local=self._is_local,
            device=lambda: self._device,
            gateway=self.gateway,
            ledger=self.ledger,
            options=self.options,
            tell=self._tell,
            approve=self._approve,
        )

    @cached_property
    def _n_qubits(self) -> int:
        known = self.ledger.layers_of(self.name)
        if known:
            return from_text(known[0]).circuit.num_qubits
        return self._device.target.num_qubits or 0

    def _service(self) -> Service:
        if self._given is not None:
            return self._given
        kind = {"is_local": self._is_local, "fractional_gates": self.options.fractional_gates}
        return self.vendor.connect(self._credentials, self._profile, **kind)

    def _tell(self, words: str) -> None:
        self._progress(Progress(0, 0, words))

    def __deepcopy__(self, memo: dict[int, Any]) -> MachineBackend:
        # In one process there is one budget, and one ledger of what is paid for.
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Connections stay where they are; a ledger in a file is opened again.
        made = ("ledger", "gateway", "_device", "_dispatcher", "_planner")
        return {key: value for key, value in self.__dict__.items() if key not in made}
