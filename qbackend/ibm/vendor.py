"""IBM Quantum as a seller of machines' time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..machines.cost import MachineCost
from ..machines.options import ExecutionOptions
from ..machines.service import Call, PlanInfo, Service
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from . import codes, limits
from .cost import estimate, shots_performed
from .readout_mitigation import check_installed

if TYPE_CHECKING:
    from ..layers.inputs import Array


class IbmQuantum:
    """Its machines, and Runtime's local mode with fake ones; the client loads on first use."""

    name = "IBM Quantum"
    prefixes = ("ibm_",)
    local_prefixes = ("fake_",)
    choice = "ibm"
    forms = (
        ("ibm", "the account's best machine for the layer, which is told and recorded"),
        ("ibm_NAME", "that machine of IBM Quantum's, with an account"),
        ("fake_NAME", "the same for nothing: its shipped snapshot, simulated here"),
    )
    longest_job = limits.MAX_EXECUTION_SECONDS
    meaning = staticmethod(codes.meaning)
    pack = staticmethod(limits.pack)
    performed = staticmethod(shots_performed)

    def estimate(
        self,
        compiled: CompiledLayer,
        n_rows: int,
        shots: int,
        options: ExecutionOptions,
        *,
        plan: PlanInfo | None = None,
    ) -> MachineCost:
        jobs = limits.pack(n_rows, shots, options, compiled)
        return estimate(compiled, jobs, shots, options, plan=plan)

    def check(self, options: ExecutionOptions, *, is_local: bool) -> None:
        check_installed(options.readout_mitigation)
        limits.check_execution_time(options.max_execution_time)
        limits.check_fractional_gates(options)
        if is_local:
            from .local import check_local

            check_local(options)

    def account(self, credentials: Path | None, profile: str | None) -> str | None:
        from .credentials import find_credentials

        found = find_credentials(credentials, profile)
        return None if found is None else found.source

    def connect(
        self,
        credentials: Path | None,
        profile: str | None,
        *,
        is_local: bool,
        fractional_gates: bool = False,
    ) -> Service:
        if is_local:
            from .local import LocalService

            return LocalService(fractional_gates=fractional_gates)
        from . import service
        from .credentials import find_credentials

        found = find_credentials(credentials, profile)
        return service.connect(found, fractional_gates=fractional_gates)

    def calibrated(self, machine: str) -> Device | None:
        from .calibrations import load_live

        return load_live(machine) if machine.startswith(self.prefixes) else None

    def decode(self, raw: bytes, call: Call) -> tuple[Array, Array]:
        from .results import decode

        return decode(raw, call)


IBM = IbmQuantum()
