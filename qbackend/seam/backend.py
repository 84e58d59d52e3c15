"""The seam: a layer is described once, a backend turns rows of parameters into expectation values.

A backend has few duties (`compile`, `submit`, `estimate`, `close`); what it can do is declared in
its `Capabilities`, never guessed. A backend that knows derivatives of its own is a
`DifferentiableBackend`; every other one is differentiated above the seam, by the plans of
`gradients.py`.

Letters: B batch, F features, P circuit parameters, W weights, M observables, Q wires, N rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OptionError
from ..layers.inputs import float64_array, seed_number, whole_number
from ..layers.spec import LayerSpec
from .jobs import Job

if TYPE_CHECKING:
    import torch
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp

    from .device import Device

Array = NDArray[np.float64]


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
    """

    exact: bool
    remote: bool
    vjp: bool
    max_wires: int
    gradient_methods: tuple[str, ...]
    noisy: bool = False


@dataclass(frozen=True)
class CompiledLayer:
    """A layer in the form that one backend executes.

    Attributes:
        spec: the layer.
        circuit: without measurements; its parameters, in the order of `parameters`, are the
            encoding's angles followed by the weights.
        observables: M Pauli sums over the circuit's qubits, laid out with it.
        parameters: the P parameters of `circuit` in the order of a row.
        record: what the run's record says of the compilation (gates, depth, layout).
        encode: features (N, F) to the circuit's angles (N, E), where they are not those of the
            spec's encoding.
    """

    spec: LayerSpec
    circuit: QuantumCircuit
    observables: tuple[SparsePauliOp, ...]
    parameters: tuple[Any, ...]
    record: dict[str, Any] = field(default_factory=dict)
    encode: Callable[[Array], Array] | None = None

    @property
    def is_noisy(self) -> bool:
        """Whether noise acts between the gates, so that encoding and weights do not separate."""
        return False

    def rows(self, features: Array, weights: Array) -> Array:
        """Rows of parameters for features (N, F) and weights (W,) or (N, W): (N, P)."""
        wide = np.asarray(features, dtype=np.float64)
        angles = (self.encode or self.spec.encoding_rule.angles)(wide)
        spread = np.broadcast_to(weights, (len(features), self.spec.n_weights))
        return np.concatenate([angles, spread], axis=1)


@dataclass(frozen=True)
class Request:
    """N executions of one compiled layer.

    Attributes:
        compiled: what to execute.
        parameters: (N, P), radians.
        shots: per row; None asks for exact values.
        seed: of the sampling; 0 is a seed like any other, None draws one.
        derivatives: how many of the rows only derivatives need.

    Raises:
        InputError: wrong shape, no floating-point numbers, or an entry that is not finite (the
            message names the row).
        OptionError: fewer than one shot, or no seed.
    """

    compiled: CompiledLayer
    parameters: Array
    shots: int | None = None
    seed: int | None = None
    derivatives: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", float64_array("parameters", self.parameters))
        expected = len(self.compiled.parameters)
        if self.parameters.ndim != 2 or self.parameters.shape[1] != expected:
            raise InputError(
                f"parameters must have shape (rows, {expected}), got {self.parameters.shape}"
            )
        check_finite("parameters", self.parameters)
        object.__setattr__(self, "shots", check_shots(self.shots))
        object.__setattr__(self, "seed", seed_number(self.seed))


@dataclass(frozen=True)
class Result:
    """What came back for a request.

    Attributes:
        values: (N, M) expectation values.
        stderr: (N, M) standard errors of the values; zero where values are exact, never where they
            are sampled, unless the observable is a constant (`uncertainty.standard_error`).
        shots: performed per row, None if exact.
        job_ids: of the jobs that produced it.
        device: name of the device or simulator.
        calibrated_at: time of the calibration in use, None without a device.
        qpu_seconds: charged, 0 on a simulator.
    """

    values: Array
    stderr: Array
    shots: int | None
    job_ids: tuple[str, ...]
    device: str
    calibrated_at: datetime | None = None
    qpu_seconds: float = 0.0


@dataclass(frozen=True)
class Cost:
    """What a request would take, known before anything is executed.

    `basis` says where `qpu_seconds` comes from and how far to trust it.
    """

    rows: int
    circuits: int
    jobs: int
    shots: int
    qpu_seconds: float
    basis: str


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
    def compile(self, spec: LayerSpec) -> CompiledLayer:
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


def local_cost(request: Request) -> Cost:
    """What a request takes on a simulator of this computer: no QPU time."""
    rows = len(request.parameters)
    return Cost(
        rows=rows,
        circuits=rows,
        jobs=1,
        shots=rows * (request.shots or 0),
        qpu_seconds=0.0,
        basis="simulated on this computer",
    )


def angles_of(weights: torch.Tensor) -> Array:
    """Weights (W,) as float64 on the CPU, whatever they are and wherever.

    Raises:
        InputError: a weight that is not finite.
    """
    there = weights.detach().cpu()
    # NumPy has no bfloat16.
    angles = (there if there.element_size() > 2 else there.float()).numpy().astype(np.float64)
    check_finite("weights", angles[None])
    return angles


def check_finite(what: str, values: NDArray[np.floating]) -> None:
    """Raise `InputError` that names the first row of `values` with a NaN or infinite entry."""
    # One product tells in almost every case; only one that overflows needs the closer look.
    if math.isfinite(np.vdot(values, values)):
        return
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(f"{what} row {row} has an entry that is not finite: {values[row]}")


def check_shots(shots: int | None) -> int | None:
    """Shots as Python's whole number; raises `OptionError` for what is none of at least 1."""
    return None if shots is None else whole_number("shots", shots)


def check_width(backend: QuantumBackend, spec: LayerSpec) -> None:
    """Raise `OptionError` if the layer has more wires than the backend takes."""
    limit = backend.capabilities.max_wires
    if spec.n_wires > limit:
        raise OptionError(
            f"the layer has {spec.n_wires} wires, but '{backend.name}' takes at most {limit}; "
            "choose fewer wires or another backend (qhc backends lists them)"
        )
