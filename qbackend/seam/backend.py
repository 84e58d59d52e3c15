"""The seam: a layer is described once, a backend turns rows of parameters into expectation values.

A backend has few duties (`compile`, `submit`, `estimate`, `close`); what it can do is declared in
its `Capabilities`, never guessed. A backend that knows derivatives of its own is a
`DifferentiableBackend`; every other one is differentiated above the seam, by the plans of
`gradients`.

Letters: B batch, F features, P circuit parameters, W weights, M observables, Q wires, N rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import OptionError
from ..layers.program import Layer
from .jobs import Job
from .requests import CompiledLayer, Cost, Request, Result

if TYPE_CHECKING:
    import torch

    from .device import Device


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        exact: values carry no shot noise.
        remote: executing costs money or a queue.
        vjp: the backend has derivatives of its own (it is a `DifferentiableBackend`).
        max_wires: the widest layer it accepts.
        gradient_methods: how a layer on it can be trained, the default first.
        noisy: values carry a simulated device's noise.
        on_device: values and derivatives are computed where the layer's tensors are, and nobody
            waits for them, so that they can be part of a CUDA graph.
    """

    exact: bool
    remote: bool
    vjp: bool
    max_wires: int
    gradient_methods: tuple[str, ...]
    noisy: bool = False
    on_device: bool = False


class QuantumBackend(ABC):
    """Turns rows of parameters into expectation values.

    Attributes:
        name: what `get_backend` takes for an equal backend.
        shots: per row, for requests that the layer makes; None if the backend is exact.
    """

    name: str
    shots: int | None = None

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do, as configured."""

    @abstractmethod
    def compile(self, spec: Layer) -> CompiledLayer:
        """The layer in the form that this backend executes; raises `OptionError` if too wide."""

    @abstractmethod
    def submit(self, request: Request) -> Job:
        """Start executing; everything that can be refused is refused here."""

    @abstractmethod
    def estimate(self, request: Request) -> Cost:
        """What `submit` would take; executes nothing."""

    def evaluate(self, request: Request) -> Result:
        """`submit`, and wait."""
        return self.submit(request).result()

    def reported_device(self) -> Device | None:
        """The device that executes, by the calibration that it compiles for; None without one.

        Raises `QhcError` for a device that does not answer.
        """
        return None

    def known_device(self) -> Device | None:
        """The same as far as it is known without asking anybody; None where it is not."""
        return None

    def keep_jobs(
        self, ledger: Path, *, approve: Callable[[Cost], bool], run_tag: str | None
    ) -> None:
        """Enter the jobs of a run in its ledger from now on; a simulator has none to enter.

        What was compiled before stays as it is. `approve` is shown what is about to be sent, and
        all jobs get the tag of the run.
        """
        return None

    def close(self) -> None:
        """Let go of connections and caches, once or again; many have none, and nothing to do."""
        return None


Gradients = tuple["torch.Tensor | None", "torch.Tensor | None"]
"""By features and by weights, None for one that nobody asked for."""


class Pullback(Protocol):
    """The backward pass that belongs to a forward pass.

    It may read the features and weights that were given to that: they must not have changed.
    """

    def __call__(
        self, cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
    ) -> Gradients:
        """Gradients of sum(values * cotangent (B, M)) by features (B, F) and weights (W,)."""


@dataclass
class Forward:
    """One forward pass: the values, and what its backward pass needs.

    Attributes:
        values: (B, M).
        pullback: None unless `differentiate` was asked for.
    """

    values: torch.Tensor
    pullback: Pullback | None


class DifferentiableBackend(QuantumBackend):
    """A backend with exact values and a vector-Jacobian product of its own."""

    @abstractmethod
    def forward(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        *,
        differentiate: bool,
    ) -> Forward:
        """Outputs for features (B, F) and weights (W,), in the features' dtype and on its device.

        Raises `InputError` for an entry that is not finite, before anything is executed.
        """


def check_width(backend: QuantumBackend, spec: Layer) -> None:
    """Raise `OptionError` if the layer has more wires than the backend takes."""
    limit = backend.capabilities.max_wires
    if spec.n_wires > limit:
        raise OptionError(
            f"the layer has {spec.n_wires} wires, but '{backend.name}' takes at most {limit}; "
            "choose fewer wires or another backend (qhc backends lists them)"
        )
