"""What Qiskit Aer is asked for: unitaries, states and probabilities of ansatze and layers.

Letters: D = 2^Q amplitudes, N rows, P circuit parameters.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities, SaveStatevector, SetStatevector
from qiskit_aer.quantum_info.states.aer_state import AerState

from ..circuits.measuring import turned_circuits
from ..gradients.adjoint import ComplexArray, cuts
from ..layers.ansatze import Operation, Rotations
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..layers.spec_circuit import append_operation, qubit_of
from ..seam.requests import CompiledLayer

UNITARY_WIRES = 6
"""Up to here an ansatz's unitary costs less than the states of a batch, forwards and backwards."""
ROWS_PER_UNITARY = 8
"""Rows that share their weights are worth a unitary from here on."""
BINDINGS = 128
"""Rows of one run: Aer's cost per row is lowest around here."""


U_ANGLES = {
    "x": lambda angle: (angle, -np.pi / 2, np.pi / 2),
    "y": lambda angle: (angle, 0.0, 0.0),
    "z": lambda angle: (0.0, 0.0, angle),
}
"""A rotation as Aer's U gate, up to a phase of the whole state."""


class UnitaryEngine:
    """Aer's state engine, set up once for ansatze of one width and run again and again.

    The rows of the identity are carried as one big state whose higher qubits count them, in memory
    of our own that Aer works on in place. A job of Aer's would take ten times as long, most of it
    for what surrounds the simulation.

    Attributes:
        n_wires: Q.
    """

    def __init__(self, n_wires: int) -> None:
        self.n_wires = n_wires
        self._identity = np.eye(2**n_wires, dtype=complex)
        self._states = self._identity.copy()
        self._lock = threading.Lock()
        self._state = AerState(method="statevector")
        self._state.initialize(self._states.reshape(-1), copy=False)
        # Aer keeps a list of the memory that it works on until it is told to let go.
        weakref.finalize(self, self._state.close)

    def run(self, spec: LayerSpec, weights: Sequence[float]) -> ComplexArray:
        """What becomes of the basis states, up to every cut and at the end: (K + 1, D, D).

        Entry [k, i, j] is amplitude j of basis state i, up to a phase that all share.
        """
        state, qubits = self._state, [qubit_of(wire, self.n_wires) for wire in range(self.n_wires)]
        reached = np.empty((len(cuts(spec)) + 1, *self._states.shape), dtype=complex)
        with self._lock:
            self._states[:] = self._identity
            n_reached = 0
            for operation in _operations(spec):
                if isinstance(operation, Rotations):
                    turn = U_ANGLES[operation.axis]
                    for qubit, index in zip(qubits, operation.weights, strict=True):
                        state.apply_u(qubit, *turn(weights[index]))
                    state.flush()
                    reached[n_reached] = self._states
                    n_reached += 1
                else:
                    for control, target in operation.pairs:
                        state.apply_cx(qubits[control], qubits[target])
            state.flush()
            reached[n_reached] = self._states
        return reached


@lru_cache(maxsize=32)
def _operations(spec: LayerSpec) -> tuple[Operation, ...]:
    return spec.operations


@lru_cache(maxsize=1)
def _simulator() -> AerSimulator:
    """Of states; making a simulator costs as much as running a small circuit."""
    return AerSimulator(method="statevector")


@lru_cache(maxsize=32)
def _labels(spec: LayerSpec) -> tuple[str, ...]:
    """What the circuits below call what they save."""
    return (*(f"cut{index}" for index in range(len(cuts(spec)))), "final")


def propagate(
    spec: LayerSpec, weights: Array, states: ComplexArray, *, inverse: bool
) -> list[ComplexArray]:
    """Carry states (N, D) through the ansatz, forwards or backwards, in one run of Aer.

    Returns them at every cut in the order met, and at the end, (N, D) each. Row n of the batch is
    the part of one big state whose batch qubits read n; a common factor makes that a unit vector.
    """
    length = np.linalg.norm(states)
    if length == 0:
        return [states] * (len(cuts(spec)) + 1)
    n_batch_qubits = max(len(states) - 1, 0).bit_length()
    padded = np.zeros((2**n_batch_qubits, states.shape[1]), dtype=complex)
    padded[: len(states)] = states / length
    body = _state_circuit(spec, n_batch_qubits, inverse).assign_parameters(weights)
    circuit = QuantumCircuit(body.num_qubits)
    circuit.append(SetStatevector(padded.ravel()), circuit.qubits)
    circuit.compose(body, inplace=True)
    data = _simulator().run(circuit, max_parallel_threads=torch.get_num_threads()).result().data()
    return [
        length * np.asarray(data[label]).reshape(padded.shape)[: len(states)]
        for label in _labels(spec)
    ]


@lru_cache(maxsize=32)
def _state_circuit(spec: LayerSpec, n_batch_qubits: int, inverse: bool) -> QuantumCircuit:
    """The ansatz, or its inverse, beside idle batch qubits, with states saved at every cut."""
    weights = ParameterVector("weight", spec.n_weights)
    circuit = QuantumCircuit(spec.n_wires + n_batch_qubits)
    index = 0

    def save(label: str) -> None:
        circuit.append(SaveStatevector(circuit.num_qubits, label=label), circuit.qubits)

    operations = spec.operations[::-1] if inverse else spec.operations
    for operation in operations:
        step = QuantumCircuit(spec.n_wires)
        append_operation(step, operation, weights)
        is_cut = isinstance(operation, Rotations)
        if inverse and is_cut:
            save(f"cut{index}")
        circuit.compose(step.inverse() if inverse else step, range(spec.n_wires), inplace=True)
        if is_cut and not inverse:
            save(f"cut{index}")
        index += is_cut
    save("final")
    return circuit


def row_probabilities(compiled: CompiledLayer, rows: Array) -> list[Array]:
    """Probabilities of the basis states for rows (N, P), (N, D) in each readout.

    The circuit's qubit 0 is the least significant bit of a basis state.
    """
    if isinstance(compiled.spec, LayerSpec):
        found = [_spec_probabilities(compiled, compiled.spec, rows)]
    else:
        found = [_bound_probabilities(each, compiled, rows) for each in turned_circuits(compiled)]
    return [each / each.sum(axis=1, keepdims=True) for each in found]


def _spec_probabilities(compiled: CompiledLayer, spec: LayerSpec, rows: Array) -> Array:
    n_angles = spec.encoding_rule.n_angles(spec.n_wires)
    weights, group = np.unique(rows[:, n_angles:], axis=0, return_inverse=True)
    if spec.n_wires > UNITARY_WIRES or len(rows) < ROWS_PER_UNITARY * len(weights):
        probabilities = _bound_probabilities(compiled.circuit, compiled, rows)
    else:
        states = spec.encoding_rule.states_of_angles(rows[:, :n_angles])
        probabilities = np.empty_like(states)
        engine = UnitaryEngine(spec.n_wires)
        for index, vector in enumerate(weights):
            chosen = group.ravel() == index
            kets = engine.run(spec, vector.tolist())[-1]
            probabilities[chosen] = np.abs(states[chosen] @ kets) ** 2
    return probabilities


def _bound_probabilities(circuit: QuantumCircuit, compiled: CompiledLayer, rows: Array) -> Array:
    """The same, each row a circuit of its own."""
    return np.array(_bound(circuit, compiled, rows, SaveProbabilities, "probabilities"))


def row_states(compiled: CompiledLayer, rows: Array) -> NDArray[np.complex128]:
    """The states (N, D) that the circuit ends in for rows (N, P)."""
    circuit = compiled.circuit
    found = _bound(circuit, compiled, rows, SaveStatevector, "statevector")
    return np.array(found, dtype=complex).reshape(len(rows), 2**circuit.num_qubits)


def _bound(
    circuit: QuantumCircuit,
    compiled: CompiledLayer,
    rows: Array,
    save: type[SaveProbabilities] | type[SaveStatevector],
    name: str,
) -> list[Any]:
    """What is saved at the end of each row."""
    circuit = circuit.copy()
    circuit.append(save(circuit.num_qubits), circuit.qubits)
    # Fusion costs more than it saves on circuits this small, bound at run time.
    simulator = AerSimulator(
        method="statevector",
        fusion_enable=False,
        runtime_parameter_bind_enable=True,
        max_parallel_threads=torch.get_num_threads(),
    )
    saved: list[Any] = []
    for first in range(0, len(rows), BINDINGS):
        chunk = rows[first : first + BINDINGS]
        binds = bindings(circuit, compiled, chunk)
        result = simulator.run(circuit, parameter_binds=[binds] if binds else None).result()
        n_results = len(chunk) if binds else 1
        found = [result.data(index)[name] for index in range(n_results)]
        saved += found if binds else found * len(chunk)
    return saved


def bindings(circuit: QuantumCircuit, compiled: CompiledLayer, rows: Array) -> dict[Any, Array]:
    """What Aer binds to the circuit's parameters for rows (N, P); some may have no effect."""
    present = set(circuit.parameters)
    return {p: rows[:, index] for index, p in enumerate(compiled.parameters) if p in present}
