"""A backend in front of another, which hands on whatever it is asked."""

from __future__ import annotations

from qbackend.layers.program import Layer
from qbackend.seam.backend import Capabilities, QuantumBackend
from qbackend.seam.jobs import Job
from qbackend.seam.requests import CompiledLayer, Cost, Request


class HandingOn(QuantumBackend):
    """What another backend is, by its name.

    Attributes:
        inner: what executes.
    """

    def __init__(self, inner: QuantumBackend) -> None:
        self.inner = inner
        self.name, self.shots = inner.name, inner.shots

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def compile(self, spec: Layer) -> CompiledLayer:
        return self.inner.compile(spec)

    def submit(self, request: Request) -> Job:
        return self.inner.submit(request)

    def estimate(self, request: Request) -> Cost:
        return self.inner.estimate(request)
