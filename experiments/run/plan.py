"""What a run will ask of a machine, known before anything is sent.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from torch import nn

from models.exchange import quantum_pointwise
from qbackend import QuantumLayer
from qbackend.errors import BudgetError, OptionError
from qbackend.machines.backend import MachineBackend
from qbackend.machines.choice import Choice
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import Cost

from ..assembly.construct import quantum_layers
from ..config.sections import Config
from ..data.splits import ImageData
from ..mitigation.variants import questions, zero_rows
from ..records.folder import Record
from ..rows.calls import OwnCalls
from ..rows.count import rows_per_convolution, rows_per_image
from ..rows.draw import share_rows
from ..rows.estimates import (
    CallEstimator,
    cost_of_rows,
    cost_with_derivatives,
    price_of,
    sum_of,
    summed,
)


@dataclass(frozen=True)
class Share:
    """One purpose of a run's requests.

    Attributes:
        what: the purpose.
        images: that it needs.
        requests: of all quantum layers.
        cost: of all its requests together.
        steps: of a training, which all cost the same.
    """

    what: str
    images: int
    requests: int
    cost: Cost
    steps: int = 0

    def to_dict(self) -> Record:
        """For JSON."""
        own: Record = {"what": self.what, "images": self.images, "requests": self.requests}
        if self.steps:
            own["steps"] = self.steps
        if price := price_of(self.cost):
            own["money"] = price.money(self.cost.qpu_seconds)
        return {**own, **asdict(self.cost)}


@dataclass(frozen=True)
class RunPlan:
    """All that a run will ask of its backend, in order.

    Attributes:
        shares: by purpose.
        whole: what all images would take, where only rows of their feature maps are executed.
        choice: of the machine, where none was named.
        apart: what several models would take, each asked in a run of its own.
    """

    shares: tuple[Share, ...]
    whole: Share | None = None
    choice: Choice | None = None
    apart: Share | None = None

    @property
    def total(self) -> Share:
        """All shares together."""
        return Share(
            what="together",
            images=sum(share.images for share in self.shares),
            requests=sum(share.requests for share in self.shares),
            cost=sum_of([share.cost for share in self.shares]),
        )

    @property
    def sent(self) -> list[Share]:
        """The shares by their requests: one without any is in those of the one before."""
        found: list[Share] = []
        for share in self.shares:
            if share.requests or not found:
                found.append(share)
                continue
            first = found.pop()
            cost = sum_of([first.cost, share.cost])
            found.append(replace(first, what=f"{first.what} and {share.what}", cost=cost))
        return found

    def check(self, budget: float) -> None:
        """Raise `BudgetError` for more QPU seconds than the budget, or the account's plan, has."""
        cost = self.total.cost
        fewer = "images (--limit)" if self.whole is None else "rows (--rows)"
        if cost.qpu_seconds > budget:
            raise BudgetError(
                f"this takes about {cost.qpu_seconds:.0f} s of QPU time, more than the budget of "
                f"{budget:g} s; nothing was sent. Take fewer {fewer} or shots (--shots), "
                f"or allow it: --max-qpu-seconds {np.ceil(cost.qpu_seconds):.0f}"
            )
        left = getattr(cost, "seconds_left", None)
        if left is not None and cost.qpu_seconds > left:
            raise BudgetError(
                f"this takes about {cost.qpu_seconds:.0f} s of QPU time, and the account's plan "
                f"has {left:.0f} s left; nothing was sent. Take fewer {fewer} or shots (--shots)"
            )

    def to_dict(self) -> Record:
        """For JSON: the sums, and each share."""
        whole = self.total.to_dict()
        del whole["what"]
        plan = {**whole, "shares": [share.to_dict() for share in self.shares]}
        if self.choice is not None:
            plan["chosen_by"] = self.choice.prefer
            plan["chosen_from"] = [each.to_dict() for each in self.choice.candidates]
        if self.apart is not None:
            plan["apart"] = self.apart.to_dict()
        return plan if self.whole is None else {**plan, "whole": self.whole.to_dict()}


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
    n_images = len(data.test) if config.run.limit is None else min(config.run.limit, len(data.test))
    if config.run.rows is not None:
        return _plan_rows(model, config.run.rows, n_images, data, backend)
    if config.run.mitigations is not None:
        if len(layers) == 1 and (n_rows := rows_per_image(model, data)[0]) != 1:
            raise OptionError(
                f"an input passes the quantum layer of {config.model.name} {n_rows} times: "
                "mitigations are compared for a layer that it passes once; validate this network "
                "under each of them: qhc run"
            )
        return _plan_comparison(layers, config, n_images, data, backend)
    if config.model.factory is not None:
        return _plan_own(OwnCalls(model, config, data), backend)
    counted = _Estimator(model, data, backend)
    shares = []
    train = config.train
    if train.weights == "quantum":
        n_steps = len(data.train) // train.batch_size * train.epochs
        training = counted.share(
            "training", train.batch_size, requests=n_steps, gradient=train.gradient
        )
        shares.append(replace(training, steps=n_steps))
        shares.append(counted.share("validation", len(data.validation), requests=train.epochs))
    shares.append(counted.share("test", n_images))
    if config.run.calibrate is not None:
        shares.append(counted.calibration(min(config.run.calibrate, len(data.train)), shares[-1]))
    return RunPlan(tuple(shares))


def _plan_own(own: OwnCalls, backend: QuantumBackend) -> RunPlan:
    """What a user's own network takes, a request for each call of a layer."""
    config, data = own.config, own.data
    counted, train, tested = CallEstimator(own.model, backend), config.train, own.test()
    if not tested:
        raise OptionError(
            f"{config.model.name} sends none of {len(own.tested)} test inputs through a quantum "
            f"layer: there is nothing for '{backend.name}' to execute"
        )
    shares = []
    if train.weights == "quantum":
        steps, epochs, gradient = len(data.train) // train.batch_size, train.epochs, train.gradient
        of_step = counted.costs(own.step(), gradient) * (steps * epochs)
        training = _share("training", train.batch_size * steps * epochs, of_step)
        shares += [replace(each, steps=steps * epochs) for each in training]
        validating = counted.costs(own.validation()) * epochs
        shares += _share("validation", len(data.validation) * epochs, validating)
    test = counted.costs(tested)
    shares += _share("test", len(own.tested), test)
    if config.run.calibrate is not None:
        images, rows = min(config.run.calibrate, len(data.train)), own.calibration()
        n_copies = counted.n_copies
        if n_copies == 0:
            fitted = [counted.cost(layer, each) for layer, each in rows.items()]
            shares += _share("calibration", images, fitted + counted.costs(own.again()))
        else:
            whole = sum(map(len, tested.values())) + n_copies * rows.total()
            shares.append(_beside(images, counted.cost(0, whole), sum_of(test)))
    return RunPlan(tuple(shares))


def _share(what: str, images: int, costs: Sequence[Cost]) -> list[Share]:
    """The share of requests; none without any."""
    return [Share(what, images, len(costs), sum_of(costs))] if costs else []


def _beside(images: int, together: Cost, test: Cost) -> Share:
    """What images that calibrate add to the test's request."""
    more = {name: getattr(together, name) - getattr(test, name) for name in summed(together)}
    return Share("calibration", images, 0, replace(together, **more))


def _plan_rows(
    model: nn.Module, n_rows: int, n_images: int, data: ImageData, backend: QuantumBackend
) -> RunPlan:
    """What rows of feature maps take, and what all rows of the test split would."""
    per_image = rows_per_convolution(model, data)
    layers = dict(quantum_pointwise(model))
    compiled = [backend.compile(layers[name].spec) for name in per_image]
    drawn = share_rows(n_rows, list(per_image.values()))
    costs = [cost_of_rows(backend, *each, drawn) for each in zip(compiled, drawn, strict=True)]
    rows = Share("rows of feature maps", n_images, len(costs), sum_of(costs))
    counts = [each * len(data.test) for each in per_image.values()]
    costs = [cost_of_rows(backend, *each, counts) for each in zip(compiled, counts, strict=True)]
    whole = Share("all test images, not sent", len(data.test), len(costs), sum_of(costs))
    return RunPlan((rows,), whole)


def _plan_comparison(
    layers: Sequence[QuantumLayer],
    config: Config,
    n_images: int,
    data: ImageData,
    backend: QuantumBackend,
) -> RunPlan:
    """What each request takes of a comparison of mitigations."""
    assert isinstance(backend, MachineBackend)
    if len(layers) > 1:
        raise OptionError(
            f"{config.model.name} has {len(layers)} quantum layers, each of which takes what the "
            "one before it answered: mitigations are compared for a model with one; validate "
            "this one under each of them: qhc run"
        )
    compiled = backend.compile(layers[0].spec)
    n_training = min(config.run.calibrate or 0, len(data.train))
    shares = []
    asked = questions(config, backend).asked
    requests = zero_rows(asked, compiled, n_images, n_training, backend.shots)
    for question, request in zip(asked, requests, strict=True):
        cost = backend.asking(question.options).estimate(request)
        images = n_images + n_training * question.calibrates
        shares.append(Share(", ".join(question.variants), images, 1, cost))
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
            one = cost_with_derivatives(self.backend, compiled, images * rows, gradient)
            costs += [one] * requests
        return Share(what, images * requests, len(costs), sum_of(costs))

    def calibration(self, images: int, test: Share) -> Share:
        """What images that calibrate add to those of the test.

        Of a layer in copies each takes the image, in the request that has the test's.
        """
        n_copies = len(self.layers[0][0].copies)
        if len(self.layers) > 1 or n_copies == 0:
            return self.share("calibration", images)
        together = self.share("calibration", test.images + images * n_copies).cost
        return _beside(images, together, test.cost)
