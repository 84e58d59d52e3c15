"""What Qiskit Aer is asked for: unitaries, states and probabilities of ansatze and layers.

Letters: D = 2^Q amplitudes, N rows, P circuit parameters.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities, SaveStatevector, SetStatevector
from qiskit_aer.quantum_info.states.aer_state import AerState

from .adjoint import ComplexArray, cuts
from .ansatze import Rotations
from .base import Array, CompiledLayer
from .compile import append_operation, qubit_of
from .spec import LayerSpec

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


def unitaries(spec: LayerSpec, weights: Array) -> list[ComplexArray]:
    """The ansatz's unitary up to every cut, and the whole of it, (D, D) each, up to a phase.

    The rows of the identity are carried as one big state whose higher qubits count them, in
    memory that Aer works on in place. A job of Aer's would take three times as long, most of it
    for what surrounds the simulation.
    """
    size = 2**spec.n_wires
    rows = np.eye(size, dtype=complex)
    state = AerState(method="statevector")
    state.initialize(rows.reshape(-1), copy=False)
    reached = []
    for operation in spec.operations:
        if isinstance(operation, Rotations):
            turn = U_ANGLES[operation.axis]
            for wire, index in enumerate(operation.weights):
                state.apply_u(qubit_of(wire, spec.n_wires), *turn(weights[index]))
            state.flush()
            reached.append(rows.T.copy())
        else:
            for control, target in operation.pairs:
                state.apply_cx(qubit_of(control, spec.n_wires), qubit_of(target, spec.n_wires))
    state.flush()
    reached.append(rows.T.copy())
    state.close()
    return reached


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
    data = _simulator().run(circuit).result().data()
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


def row_probabilities(compiled: CompiledLayer, rows: Array) -> Array:
    """Probabilities of the basis states for rows (N, P): (N, D), wire 0 first."""
    spec = compiled.spec
    n_angles = spec.encoder.n_angles(spec.n_wires)
    weights, group = np.unique(rows[:, n_angles:], axis=0, return_inverse=True)
    if spec.n_wires > UNITARY_WIRES or len(rows) < ROWS_PER_UNITARY * len(weights):
        probabilities = _bound_probabilities(compiled, rows)
    else:
        states = spec.encoder.states_of_angles(rows[:, :n_angles])
        probabilities = np.empty_like(states)
        for index, vector in enumerate(weights):
            chosen = group.ravel() == index
            unitary = unitaries(spec, vector)[-1]
            probabilities[chosen] = np.abs(states[chosen] @ unitary.T) ** 2
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _bound_probabilities(compiled: CompiledLayer, rows: Array) -> Array:
    """The same, each row a circuit of its own."""
    circuit = compiled.circuit.copy()
    circuit.append(SaveProbabilities(circuit.num_qubits), circuit.qubits)
    # Fusion costs more than it saves on circuits this small, bound at run time.
    simulator = AerSimulator(
        method="statevector", fusion_enable=False, runtime_parameter_bind_enable=True
    )
    probabilities = []
    for first in range(0, len(rows), BINDINGS):
        chunk = rows[first : first + BINDINGS]
        binds = {p: chunk[:, index] for index, p in enumerate(compiled.parameters)}
        result = simulator.run(circuit, parameter_binds=[binds]).result()
        probabilities += [result.data(index)["probabilities"] for index in range(len(chunk))]
    return np.array(probabilities)
