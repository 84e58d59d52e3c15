"""Who sells time on machines: what a vendor must be able to do, and which there are.

Other packages add theirs through the entry-point group `qbackend.vendors`: each entry names a
`Vendor`. What is asked of it by the name of a machine loads none of its client's libraries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from ..errors import UnknownNameError
from ..layers.inputs import Array
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from .cost import MachineCost
from .options import ExecutionOptions
from .service import Call, PlanInfo, Service

ENTRY_POINT_GROUP = "qbackend.vendors"
OURS = (EntryPoint("ibm", "qbackend.ibm.vendor:IBM", ENTRY_POINT_GROUP),)


class Vendor(Protocol):
    """A seller of machines' time; its machines' names begin with one of its prefixes.

    Attributes:
        name: as a person knows it.
        prefixes: of machines that are paid for.
        local_prefixes: of those that this process simulates in their place, for nothing.
        forms: how such names are written, and what they stand for.
    """

    name: str
    prefixes: tuple[str, ...]
    local_prefixes: tuple[str, ...]
    forms: tuple[tuple[str, str], ...]

    def check(self, options: ExecutionOptions, *, is_local: bool) -> None:
        """Raise `OptionError` for what its machines cannot do, or would leave out in silence."""

    def account(self, credentials: Path | None, profile: str | None) -> str | None:
        """Where the access to an account comes from, in words; None without any.

        Raises:
            CredentialsError: what was named is not there, or cannot be read.
        """

    def connect(self, credentials: Path | None, profile: str | None, *, is_local: bool) -> Service:
        """The service of an account.

        Raises:
            CredentialsError: no account, or one that is refused.
        """

    def calibrated(self, machine: str) -> Device | None:
        """A machine by its calibration of today, None where no account reaches it."""

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


@cache
def vendors() -> tuple[Vendor, ...]:
    """Ours, then those of other packages."""
    return tuple(entry.load() for entry in (*OURS, *entry_points(group=ENTRY_POINT_GROUP)))


def find_vendor(machine: str) -> Vendor | None:
    """Who sells the machine of that name."""
    for vendor in vendors():
        if machine.startswith((*vendor.prefixes, *vendor.local_prefixes)):
            return vendor
    return None


def vendor_of(machine: str) -> Vendor:
    """The same; raises `UnknownNameError` where nobody does."""
    vendor = find_vendor(machine)
    if vendor is None:
        known: Sequence[str] = [form for each in vendors() for form, _ in each.forms]
        raise UnknownNameError(f"nobody sells a machine '{machine}': known are {', '.join(known)}")
    return vendor
