"""What a backend says that requests take, alone and together.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from math import ceil

import numpy as np
from torch import nn

from qbackend.machines.cost import Price
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import CompiledLayer, Cost, Request

from ..assembly.construct import quantum_layers
from ..records.folder import Record
from .calls import Calls

SUMMED = (
    "rows",
    "derivatives",
    "circuits",
    "jobs",
    "shots",
    "qpu_seconds",
    "machine_seconds",
    "pubs",
    "executions",
)
"""Numbers of a cost that add up over requests."""
OF_ONE = ("readouts", "copies", "two_qubit_gates", "two_qubit_depth", "max_execution_time")
"""Those of a row or a job, of which the largest counts."""
MOST_ROWS = 20_000
"""Whose cost is worked out job by job."""


def cost_of_rows(
    backend: QuantumBackend, compiled: CompiledLayer, n_rows: int, together: Sequence[int]
) -> Cost:
    """Of one request of those that are sent together, by their rows.

    Very many rows cost what as many times fewer rows do.
    """
    asked = min(n_rows, MOST_ROWS)
    rows = np.zeros((asked, len(compiled.parameters)))
    request = Request(compiled, rows, shots=backend.shots, together=tuple(together))
    cost = backend.estimate(request)
    if asked == n_rows:
        return cost
    values = {name: getattr(cost, name) * n_rows / asked for name in summed(cost)}
    whole = {
        name: value if name.endswith("_seconds") else ceil(value) for name, value in values.items()
    }
    return replace(cost, **whole)


class CallEstimator:
    """A backend's estimates for the calls of a model's layers."""

    def __init__(self, model: nn.Module, backend: QuantumBackend) -> None:
        self.backend = backend
        self.compiled = [backend.compile(layer.spec) for layer in quantum_layers(model)]
        self._known: dict[tuple[int, int, str | None], Cost] = {}

    @property
    def n_copies(self) -> int:
        """Of the only layer; 0 of several, which are calibrated one by one."""
        return len(self.compiled[0].copies) if len(self.compiled) == 1 else 0

    def costs(self, calls: Calls, gradient: str | None = None) -> list[Cost]:
        """Of each call, derivatives included."""
        return [self.cost(place.layer, len(rows), gradient) for place, rows in calls.items()]

    def cost(self, layer: int, rows: int, gradient: str | None = None) -> Cost:
        """Of one request of that many rows."""
        known = self._known.get((layer, rows, gradient))
        if known is None:
            known = cost_with_derivatives(self.backend, self.compiled[layer], rows, gradient)
            self._known[layer, rows, gradient] = known
        return known


def cost_with_derivatives(
    backend: QuantumBackend, compiled: CompiledLayer, rows: int, gradient: str | None
) -> Cost:
    """Of one request of rows, and of those that their derivatives by the weights take."""
    derivatives = 0 if gradient is None else rows * _gradient_rows(backend, compiled, gradient)
    asked = np.zeros((rows + derivatives, len(compiled.parameters)))
    return backend.estimate(Request(compiled, asked, shots=backend.shots, derivatives=derivatives))


def _gradient_rows(backend: QuantumBackend, compiled: CompiledLayer, gradient: str) -> int:
    """Rows that the derivatives by the weights take for each row."""
    methods = backend.capabilities.gradient_methods
    method = methods[0] if gradient == "auto" else gradient
    if method == "spsa":
        return 2
    return 2 * int(compiled.inputs.by_weights.sum())


def sum_of(costs: Sequence[Cost]) -> Cost:
    """Costs together, in the first one's words."""
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in summed(costs[0])}
    of_one = {name: [getattr(cost, name) for cost in costs] for name in _known(costs[0], OF_ONE)}
    # What stops a job is nothing on a fake device.
    largest: Record = {
        name: max((value for value in values if value is not None), default=None)
        for name, values in of_one.items()
    }
    return replace(costs[0], **sums, **largest)


def price_of(cost: Cost) -> Price | None:
    """Of a second, where one is known."""
    return getattr(cost, "price", None)


def summed(cost: Cost) -> list[str]:
    """Which of its numbers add up."""
    return _known(cost, SUMMED)


def _known(cost: Cost, names: Sequence[str]) -> list[str]:
    known = {field.name for field in fields(cost)}
    return [name for name in names if name in known]
