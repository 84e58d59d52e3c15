"""Counting what an evaluation asks of a backend that samples.

Letters: N rows, M outputs of a quantum layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from torch import nn

from qbackend.layers.inputs import Array
from qbackend.layers.program import Layer
from qbackend.seam.backend import Capabilities, QuantumBackend
from qbackend.seam.jobs import Job
from qbackend.seam.requests import CompiledLayer, Cost, Request, Result

from ..assembly.construct import quantum_layers


class Meter(QuantumBackend):
    """A backend that hands everything on and keeps count.

    Attributes:
        inner: what executes.
        jobs: that gave results.
        qpu_seconds: charged for them.
        performed: shots of each row, None before the first result.
        variance: sum over all rows of the squared standard errors, (M,).
        n_values: how many there were of all outputs together.
    """

    def __init__(self, inner: QuantumBackend) -> None:
        self.inner = inner
        self.name = inner.name
        self.shots = inner.shots
        self.jobs = 0
        self.qpu_seconds = 0.0
        self.performed: int | None = None
        self.variance: Array = np.zeros(1)
        self.n_values = 0

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def compile(self, spec: Layer) -> CompiledLayer:
        return self.inner.compile(spec)

    def submit(self, request: Request) -> Job:
        return self.inner.submit(request)

    def estimate(self, request: Request) -> Cost:
        return self.inner.estimate(request)

    def evaluate(self, request: Request) -> Result:
        result = self.inner.evaluate(request)
        self.jobs += len(result.job_ids)
        self.qpu_seconds += result.qpu_seconds
        self.performed = result.shots
        self.variance = self.variance + (result.stderr**2).sum(axis=0)
        self.n_values += result.stderr.size
        return result


def shot_error(meters: Sequence[Meter]) -> float | None:
    """Root mean square of all standard errors; None where nothing was sampled."""
    n_values = sum(meter.n_values for meter in meters)
    variance = sum(float(meter.variance.sum()) for meter in meters)
    return math.sqrt(variance / n_values) if n_values else None


def output_errors(meters: Sequence[Meter], n_images: int) -> tuple[float, ...]:
    """Root mean square over the images of each output's standard error, (M,).

    Images that no row was executed for have none. Empty where nothing was sampled, and where
    several layers were.
    """
    if len(meters) != 1 or not meters[0].n_values:
        return ()
    return tuple(np.sqrt(meters[0].variance / n_images).tolist())


@contextmanager
def metered(model: nn.Module) -> Iterator[list[Meter]]:
    """Count, while it lasts, what the model's quantum layers ask of backends that sample.

    Exact ones are left alone: a meter would hide the derivatives that they have of their own.
    """
    networks = [layer.neural_network for layer in quantum_layers(model)]
    sampled = [network for network in networks if not network.backend.capabilities.exact]
    meters = [Meter(network.backend) for network in sampled]
    for network, meter in zip(sampled, meters, strict=True):
        network.backend = meter
    try:
        yield meters
    finally:
        for network, meter in zip(sampled, meters, strict=True):
            network.backend = meter.inner
