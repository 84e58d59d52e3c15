"""A backend that is far away, without being so."""

from __future__ import annotations

from dataclasses import replace

from qbackend.aer.exact import AerSampled
from qbackend.seam.backend import Capabilities
from qbackend.seam.jobs import Job
from qbackend.seam.requests import Request


class Distant(AerSampled):
    """Says that executing costs money or a queue, and keeps count.

    Attributes:
        asked: rows of each request.
    """

    def __init__(self, shots: int) -> None:
        super().__init__(shots, 0)
        self.name = "distant"
        self.asked: list[int] = []

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, remote=True)

    def submit(self, request: Request) -> Job:
        self.asked.append(len(request.parameters))
        return super().submit(request)
