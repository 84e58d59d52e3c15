"""What a vendor of machines' time must be able to do; `registry` finds them.

Its `Service` executes; what is asked of it here needs no account, and loads its client's libraries
no sooner than they are used.

Letters: N rows, M observables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..layers.inputs import Array
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from .cost import MachineCost
from .options import ExecutionOptions
from .service import Call, Meaning, PlanInfo, Service


class Vendor(Protocol):
    """A seller of machines' time; its machines' names begin with one of its prefixes.

    Attributes:
        name: as a person knows it.
        prefixes: of machines that are paid for.
        local_prefixes: of those that this process simulates in their place, for nothing.
        choice: name that stands for the account's best machine for a layer; None for no such name.
        forms: how such names are written, and what they stand for.
        longest_job: seconds of QPU time that a job may ask for.
    """

    name: str
    prefixes: tuple[str, ...]
    local_prefixes: tuple[str, ...]
    choice: str | None
    forms: tuple[tuple[str, str], ...]
    longest_job: float

    def check(self, options: ExecutionOptions, *, is_local: bool) -> None:
        """Raise `OptionError` for what its machines cannot do, or would leave out in silence."""

    def account(self, credentials: Path | None, profile: str | None) -> str | None:
        """Where the access to an account comes from, in words; None without any.

        Raises:
            CredentialsError: what was named is not there, or cannot be read.
        """

    def connect(
        self,
        credentials: Path | None,
        profile: str | None,
        *,
        is_local: bool,
        fractional_gates: bool = False,
    ) -> Service:
        """The service of an account; its machines have `fractional_gates` where that is asked for.

        Raises:
            CredentialsError: no account, or one that is refused.
        """

    def calibrated(self, machine: str) -> Device | None:
        """A machine by its calibration of today, None where no account reaches it."""

    def meaning(self, words: str) -> Meaning | None:
        """What its service says by words, of an error or of a job's end; None for nothing else."""

    def pack(
        self, n_rows: int, shots: int, options: ExecutionOptions, compiled: CompiledLayer
    ) -> list[range]:
        """The rows of each job, in order; raises `OptionError` where one row is too much."""

    def performed(self, shots: int, options: ExecutionOptions) -> int:
        """Shots that a row gets when so many are asked for."""

    def estimate(
        self,
        compiled: CompiledLayer,
        n_rows: int,
        shots: int,
        options: ExecutionOptions,
        *,
        plan: PlanInfo | None = None,
    ) -> MachineCost:
        """What rows of a layer take; `plan` is None where nothing is paid.

        Raises:
            OptionError: one row alone is more than a job may hold.
            PlanError: something that the plan does not have.
        """

    def decode(self, raw: bytes, call: Call) -> tuple[Array, Array]:
        """Values (N, M) and standard errors (N, M) from a job's raw result.

        Raises:
            BackendError: it is not a result of this call.
        """
