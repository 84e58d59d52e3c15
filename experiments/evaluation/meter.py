"""Counting what an evaluation asks of a backend that samples.

Letters: N rows or images, M outputs of a quantum layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from qbackend.layers.inputs import Array
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import Request, Result

from ..assembly.construct import quantum_layers
from .handing_on import HandingOn

NO_COPY = -1
"""In place of a copy's number."""


class Meter(HandingOn):
    """A backend that hands everything on and keeps count.

    Attributes:
        jobs: that gave results.
        qpu_seconds: charged for them.
        performed: shots of each row, None before the first result.
        variance: sum over all rows of the squared standard errors, (M,).
        n_values: how many there were of all outputs together.
        answered: by copies on a device, for each request which one answered its rows (N,), and the
            standard errors (N, M).
    """

    def __init__(self, inner: QuantumBackend) -> None:
        super().__init__(inner)
        self.jobs = 0
        self.qpu_seconds = 0.0
        self.performed: int | None = None
        self.variance: Array = np.zeros(1)
        self.n_values = 0
        self.answered: list[tuple[NDArray[np.int_], Array]] = []

    def evaluate(self, request: Request) -> Result:
        result = self.inner.evaluate(request)
        self.jobs += len(result.job_ids)
        self.qpu_seconds += result.qpu_seconds
        self.performed = result.shots
        self.variance = self.variance + (result.stderr**2).sum(axis=0)
        self.n_values += result.stderr.size
        if result.copies is not None:
            self.answered.append((result.copies, result.stderr))
        return result


@dataclass(frozen=True)
class ImageCopies:
    """Which copy of a layer on a device answered each image.

    Attributes:
        copies: (N,), `NO_COPY` for an image that was never sent.
        stderr: (N, M) standard errors of its outputs, 0 there.
    """

    copies: NDArray[np.int_]
    stderr: Array


def image_copies(meters: Sequence[Meter], live: NDArray[np.bool_]) -> ImageCopies | None:
    """Those of N images of which each asks for one row, in their order.

    None where a layer stands alone, or other rows were asked for than the images' own.

    Args:
        meters: of the model's layers.
        live: (N,), which images have features that encode something: the others are not sent.
    """
    answered = [each for meter in meters for each in meter.answered]
    if len(meters) != 1 or sum(len(copies) for copies, _ in answered) != live.sum():
        return None
    if not answered:
        return None
    copies, stderr = (np.concatenate(parts) for parts in zip(*answered, strict=True))
    found = ImageCopies(np.full(len(live), NO_COPY), np.zeros((len(live), stderr.shape[1])))
    found.copies[live], found.stderr[live] = copies, stderr
    return found


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
