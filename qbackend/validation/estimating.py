"""What a validation would take of each backend, known before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import nn

from ..layers.inputs import seed_number
from ..machines.cost import MachineCost
from ..machines.options import ExecutionOptions
from ..registry import AnyBackend
from ..seam.requests import check_shots
from .asking import stage_name
from .chosen import Ways, options_of
from .plan import Plan
from .prepared import Given, Prepared
from .telling import Telling, table_text

if TYPE_CHECKING:
    from ..circuits.device_form import Preparation
    from ..devices.noise_spec import NoiseSpec


@dataclass(frozen=True)
class BackendEstimate:
    """What one backend would be asked for.

    Attributes:
        backend: its name.
        rows: of all quantum layers together.
        jobs: that take them; one per layer on a simulator.
        executions: circuits times shots; 0 of an exact backend.
        qpu_seconds: that would be charged.
        machine_seconds: what a machine would take, also for a fake device; 0 of a simulator.
        money: for the seconds; None where no price is known.
        currency: of the money.
        basis: where the estimate comes from.
    """

    backend: str
    rows: int
    jobs: int
    executions: int
    qpu_seconds: float
    machine_seconds: float
    money: float | None
    currency: str | None
    basis: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Estimate:
    """What all backends would be asked for; `print` shows it.

    Attributes:
        items: of the data.
        backends: in the order in which they would be asked.
        plan: every request.
    """

    items: int
    backends: tuple[BackendEstimate, ...]
    plan: Plan

    def backend(self, name: str) -> BackendEstimate:
        """Of that name; raises `KeyError`."""
        return {each.backend: each for each in self.backends}[name]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"items": self.items, "backends": [each.to_dict() for each in self.backends]}

    def __str__(self) -> str:
        table = Table("backend", box=SIMPLE_HEAD)
        for heading in ("rows", "jobs", "executions", "QPU seconds", "about, on a machine", "cost"):
            table.add_column(heading, justify="right", no_wrap=True)
        for each in self.backends:
            money = "" if each.money is None else f"{each.money:,.2f} {each.currency}"
            table.add_row(
                each.backend,
                f"{each.rows:,}",
                f"{each.jobs:,}",
                f"{each.executions:,}" if each.executions else "exact",
                f"{each.qpu_seconds:,.1f}",
                f"{each.machine_seconds:,.1f}" if each.machine_seconds else "",
                money,
            )
        return f"{self.items:,} items\n" + table_text(table).rstrip("\n")

    __repr__ = __str__


def estimate(
    model: nn.Module,
    data: Any,
    backends: Sequence[AnyBackend] = ("aer",),
    *,
    shots: int | None = None,
    limit: int | None = None,
    calibrate: int | None = None,
    calibration_data: Any = None,
    options: ExecutionOptions | Mapping[str, Any] | None = None,
    noise: NoiseSpec | None = None,
    preparation: Preparation | None = None,
    seed: int = 0,
    credentials: str | Path | None = None,
    profile: str | None = None,
) -> Estimate:
    """What `validate` with the same arguments would take of each backend; nothing is sent.

    The model is evaluated without noise, here, to count the rows of its quantum layers.

    Raises:
        InputError, OptionError, QhcError: as `validate`.
    """
    telling = Telling()
    ways = Ways(
        shots=check_shots(shots),
        seed=seed_number(seed) or 0,
        options=options_of(options),
        noise=noise,
        preparation=preparation,
        credentials=None if credentials is None else Path(credentials),
        profile=profile,
    )
    given = Given.read(
        model,
        data,
        backends,
        ways,
        telling,
        limit=limit,
        calibrate=calibrate,
        calibration_data=calibration_data,
    )
    try:
        plan = Prepared.of(given, telling).plan(given.backends.all)
        names = [stage_name(each) for each in given.backends.all]
        return Estimate(len(given.batches), tuple(_of(plan, name) for name in names), plan)
    finally:
        given.backends.close()


def _of(plan: Plan, name: str) -> BackendEstimate:
    costs = [share.cost for share in plan.of(name)]
    whole = plan.total(name)
    price = None if whole is None else whole.price
    seconds = sum(cost.qpu_seconds for cost in costs)
    return BackendEstimate(
        backend=name,
        rows=sum(cost.rows for cost in costs),
        jobs=sum(cost.jobs for cost in costs),
        executions=sum(
            cost.executions if isinstance(cost, MachineCost) else cost.shots for cost in costs
        ),
        qpu_seconds=seconds,
        machine_seconds=0.0 if whole is None else whole.machine_seconds,
        money=None if price is None else price.money(seconds),
        currency=None if price is None else price.currency,
        basis=costs[0].basis if costs else "",
    )
