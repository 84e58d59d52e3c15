"""What backends that compute in this process have in common: exact ones, and ones that sample."""

from __future__ import annotations

from abc import abstractmethod

from ..errors import OptionError
from ..layers.inputs import seed_number
from .backend import Capabilities, QuantumBackend
from .jobs import Job, LocalJob
from .requests import Cost, Request, Result, check_shots, local_cost

SHIFTED = ("parameter-shift", "spsa")


class _Simulator(QuantumBackend):
    def check(self, request: Request) -> None:
        """Raise `OptionError` for what cannot be executed; by default all is well."""
        return None

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)


class ExactSimulator(_Simulator):
    """Values without shot noise; `sampler` is the name of the backend that samples instead."""

    sampler: str

    @abstractmethod
    def run(self, request: Request, job_id: str) -> Result:
        """The request's values, computed here and now."""

    @property
    def advice(self) -> str:
        """How to have shots, as the end of a message."""
        return f"use --backend {self.sampler} --shots N, or get_backend('{self.sampler}', shots=N)"

    def submit(self, request: Request) -> Job:
        if request.shots is not None:
            raise OptionError(f"'{self.name}' is exact here and takes no shots: {self.advice}")
        self.check(request)
        return LocalJob(lambda job_id: self.run(request, job_id))


class SamplingSimulator(_Simulator):
    """Values from so many shots.

    Args:
        shots: per row, of requests that a layer makes.
        seed: for requests that bring none.
    """

    def __init__(self, shots: int, seed: int | None = None) -> None:
        self.shots = check_shots(shots)
        self.seed = seed_number(seed)

    @abstractmethod
    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        """The request's values, drawn here and now."""

    def submit(self, request: Request) -> Job:
        shots = request.shots
        if shots is None:
            raise OptionError("this backend samples: a request needs shots")
        self.check(request)
        seed = self.seed if request.seed is None else request.seed
        return LocalJob(lambda job_id: self.sample(request, shots, seed, job_id))


def simulator_capabilities(
    *, exact: bool, max_wires: int, vjp: bool = False, noisy: bool = False, on_device: bool = False
) -> Capabilities:
    """Those of a simulator; one with derivatives of its own offers these first."""
    return Capabilities(
        exact=exact,
        remote=False,
        vjp=vjp,
        max_wires=max_wires,
        gradient_methods=("vjp", *SHIFTED) if vjp else SHIFTED,
        noisy=noisy,
        on_device=on_device,
    )
