"""What a run will ask of a machine, known before anything is sent.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
from torch import nn

from qbackend import LayerSpec
from qbackend.base import Cost, QuantumBackend, Request
from qbackend.errors import BudgetError, OptionError

from .config import Config
from .construct import quantum_layers
from .data import ImageData
from .record import Record
from .row_count import rows_per_image

SUMMED = ("rows", "circuits", "jobs", "shots", "qpu_seconds", "pubs", "executions")
"""Numbers of a cost that add up over requests."""


@dataclass(frozen=True)
class Share:
    """One purpose of a run's requests.

    Attributes:
        what: the purpose.
        images: that it needs.
        requests: of all quantum layers.
        cost: of all its requests together.
    """

    what: str
    images: int
    requests: int
    cost: Cost

    def to_dict(self) -> Record:
        """For JSON."""
        own = {"what": self.what, "images": self.images, "requests": self.requests}
        return {**own, **asdict(self.cost)}


@dataclass(frozen=True)
class RunPlan:
    """All that a run will ask of its backend, in order."""

    shares: tuple[Share, ...]

    @property
    def total(self) -> Share:
        """All shares together."""
        return Share(
            what="together",
            images=sum(share.images for share in self.shares),
            requests=sum(share.requests for share in self.shares),
            cost=_sum([share.cost for share in self.shares]),
        )

    def check(self, budget: float) -> None:
        """Raise `BudgetError` for more QPU seconds than the budget, or the account's plan, has."""
        cost = self.total.cost
        if cost.qpu_seconds > budget:
            raise BudgetError(
                f"this takes about {cost.qpu_seconds:.0f} s of QPU time, more than the budget of "
                f"{budget:g} s; nothing was sent. Take fewer images (--limit) or shots (--shots), "
                f"or allow it: --max-qpu-seconds {np.ceil(cost.qpu_seconds):.0f}"
            )
        left = getattr(cost, "seconds_left", None)
        if left is not None and cost.qpu_seconds > left:
            raise BudgetError(
                f"this takes about {cost.qpu_seconds:.0f} s of QPU time, and the account's plan "
                f"has {left:.0f} s left; nothing was sent. Take fewer images (--limit) or shots "
                "(--shots)"
            )

    def to_dict(self) -> Record:
        """For JSON: the sums, and each share."""
        whole = self.total.to_dict()
        del whole["what"]
        return {**whole, "shares": [share.to_dict() for share in self.shares]}


def plan_run(model: nn.Module, config: Config, data: ImageData, backend: QuantumBackend) -> RunPlan:
    """What training in the loop, calibration and evaluation will ask of the backend.

    Args:
        model: its quantum layers are moved to a simulator.
        config: of the run.
        data: its images.
        backend: that would execute; it is asked for estimates.

    Raises:
        OptionError: the model has no quantum layer.
        QhcError: as the backend's `estimate`.
    """
    layers = quantum_layers(model)
    if not layers:
        raise OptionError(
            f"{config.model.name} (arm {config.model.arm}) has no quantum layer for "
            f"'{backend.name}' to execute; its arm quantum has"
        )
    counted = _Estimator(model, data, backend)
    shares = []
    train = config.train
    if train.weights == "quantum":
        n_steps = len(data.train) // train.batch_size * train.epochs
        shares.append(
            counted.share("training", train.batch_size, requests=n_steps, gradient=train.gradient)
        )
        shares.append(counted.share("validation", len(data.validation), requests=train.epochs))
    n_images = len(data.test) if config.run.limit is None else min(config.run.limit, len(data.test))
    shares.append(counted.share("test", n_images))
    if config.run.calibrate is not None:
        shares.append(counted.share("calibration", min(config.run.calibrate, len(data.train))))
    return RunPlan(tuple(shares))


class _Estimator:
    """A backend's estimates for one model."""

    def __init__(self, model: nn.Module, data: ImageData, backend: QuantumBackend) -> None:
        self.backend = backend
        per_layer = rows_per_image(model, data)
        layers = quantum_layers(model)
        self.layers = [
            (backend.compile(layer.spec), rows)
            for layer, rows in zip(layers, per_layer, strict=True)
        ]

    def share(
        self, what: str, images: int, *, requests: int = 1, gradient: str | None = None
    ) -> Share:
        """The cost of `requests` requests, each for `images` images, derivatives included."""
        costs = []
        for compiled, rows in self.layers:
            each = 1 if gradient is None else 1 + self._gradient_rows(compiled.spec, gradient)
            asked = np.zeros((images * rows * each, len(compiled.parameters)))
            one = self.backend.estimate(Request(compiled, asked, shots=self.backend.shots))
            costs += [one] * requests
        return Share(what, images * requests, len(costs), _sum(costs))

    def _gradient_rows(self, spec: LayerSpec, gradient: str) -> int:
        """Rows that the derivatives by the weights take for each row."""
        methods = self.backend.capabilities.gradient_methods
        method = methods[0] if gradient == "auto" else gradient
        return 2 if method == "spsa" else 2 * spec.n_weights


def _sum(costs: Sequence[Cost]) -> Cost:
    """Costs together, in the first one's words."""
    known = {field.name for field in fields(costs[0])}
    summed = {name: sum(getattr(cost, name) for cost in costs) for name in SUMMED if name in known}
    return replace(costs[0], **summed)
