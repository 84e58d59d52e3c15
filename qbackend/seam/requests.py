"""What a backend is asked, and what it answers: requests for rows, results, costs.

Letters: B batch, F features, P circuit parameters, W weights, M observables, Q wires, N rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..layers.inputs import Array, check_finite, float64_array, seed_number, whole_number
from ..layers.program import InputMap, Layer
from ..layers.readout import Readout, readouts_of

if TYPE_CHECKING:
    import torch
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp


@dataclass(frozen=True, eq=False)
class CompiledLayer:
    """A layer in the form that one backend executes.

    Attributes:
        spec: the layer.
        circuit: without measurements; each of its parameters is the angle of one rotation.
        observables: M Pauli sums over the circuit's qubits, laid out with it.
        parameters: P of them in the order of a row; one that the circuit lacks has no effect.
        record: what the run's record says of the compilation (gates, depth, layout): of the keys
            of `experiments.records.lines.Compiled` with the types that stand there, and others.
        inputs: features and weights to the parameters.
        one_qubit_gates: by which a basis is changed; any of Qiskit's where none is named.
        copies: the layer on C places of a device that are executed at once, itself the first; none
            where it stands alone.
        read: its readouts, where they follow another layer's order.
    """

    spec: Layer
    circuit: QuantumCircuit
    observables: tuple[SparsePauliOp, ...]
    parameters: tuple[Any, ...]
    inputs: InputMap
    record: dict[str, Any] = field(default_factory=dict)
    one_qubit_gates: tuple[str, ...] = ()
    copies: tuple[CompiledLayer, ...] = ()
    read: tuple[Readout, ...] = ()

    @cached_property
    def readouts(self) -> tuple[Readout, ...]:
        """What a circuit is executed for, each with a change of basis of its own."""
        return self.read or readouts_of(self.observables)

    @cached_property
    def eigenvalues(self) -> tuple[Array, ...]:
        """For each readout what the observables are worth in every basis state, (M, 2^n)."""
        return tuple(each.eigenvalues(self.circuit.num_qubits) for each in self.readouts)

    @property
    def is_noisy(self) -> bool:
        """Whether noise acts between the gates, so that encoding and weights do not separate."""
        return False

    @property
    def observed(self) -> list[int]:
        """The circuit's qubits that an observable acts on, in ascending order."""
        terms = (term for each in self.observables for term in each.to_sparse_list())
        return sorted({qubit for _, qubits, _ in terms for qubit in qubits})

    def rows(self, features: Array, weights: Array) -> Array:
        """Rows of parameters for features (N, F) and weights (W,) or (N, W): (N, P)."""
        return self.inputs.angles(np.asarray(features, dtype=np.float64), weights)


@dataclass(frozen=True)
class Request:
    """N executions of one compiled layer.

    Attributes:
        compiled: what to execute.
        parameters: (N, P), radians.
        shots: per row; None asks for exact values.
        seed: of the sampling; 0 is a seed like any other, None draws one.
        derivatives: how many of the rows, its last, only derivatives need: pairs of neighbours, of
            which the difference is taken.
        distinct: how many of the rows are different ones, where some are there once for each copy
            of the layer; None where all are.
        together: rows of each request that is sent before the first of them is waited for, this
            one among them; empty for this one alone.

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
    distinct: int | None = None
    together: tuple[int, ...] = ()

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
        copies: (N,), which of the copies on a device answered each row; None where there is one.
    """

    values: Array
    stderr: Array
    shots: int | None
    job_ids: tuple[str, ...]
    device: str
    calibrated_at: datetime | None = None
    qpu_seconds: float = 0.0
    copies: NDArray[np.int_] | None = None


@dataclass(frozen=True)
class Cost:
    """What a request would take, known before anything is executed.

    Attributes:
        rows: of the request.
        circuits: that are executed; of every row one for each readout, where they are sampled.
        jobs: that take them.
        shots: of all rows' circuits together.
        qpu_seconds: that will be charged.
        basis: where they come from, and how far to trust them.
    """

    rows: int
    circuits: int
    jobs: int
    shots: int
    qpu_seconds: float
    basis: str


def local_cost(request: Request) -> Cost:
    """What a request takes on a simulator of this computer: no QPU time."""
    rows = len(request.parameters)
    circuits = rows if request.shots is None else rows * len(request.compiled.readouts)
    return Cost(
        rows=rows,
        circuits=circuits,
        jobs=1,
        shots=circuits * (request.shots or 0),
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


def check_shots(shots: int | None) -> int | None:
    """Shots as Python's whole number; raises `OptionError` for what is none of at least 1."""
    return None if shots is None else whole_number("shots", shots)
