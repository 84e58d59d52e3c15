"""Layers under a noise model of Aer's, by Qiskit's density matrices."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction
from qiskit.quantum_info import DensityMatrix, SuperOp
from qiskit_aer.noise import NoiseModel

from qbackend.circuits.measuring import turned_circuits
from qbackend.layers.inputs import Array
from qbackend.seam.requests import CompiledLayer


def values_under(model: NoiseModel, compiled: CompiledLayer, rows: Array) -> Array:
    """Expectation values (N, M) of rows (N, P), by channels after gates and misread qubits.

    The circuit's qubits are the model's.
    """
    values = np.zeros((len(rows), len(compiled.observables)))
    circuits = turned_circuits(compiled)
    channels: dict[tuple[str, tuple[int, ...]], SuperOp | None] = {}
    for circuit, readout in zip(circuits, compiled.readouts, strict=True):
        used = sorted({q for item in circuit.data for q in _where(circuit, item)} | {0})
        for index, row in enumerate(rows):
            angles = dict(zip(compiled.parameters, row, strict=True))
            bound = circuit.assign_parameters({p: angles[p] for p in circuit.parameters})
            state = _evolved(model, bound, used, channels)
            for output, terms in enumerate(readout.terms):
                for coefficient, qubits in terms:
                    values[index, output] += coefficient * _sign(model, state, used, qubits)
    return values


def _where(circuit: QuantumCircuit, item: CircuitInstruction) -> tuple[int, ...]:
    return tuple(circuit.find_bit(qubit).index for qubit in item.qubits)


def _evolved(
    model: NoiseModel,
    circuit: QuantumCircuit,
    used: list[int],
    channels: dict[tuple[str, tuple[int, ...]], SuperOp | None],
) -> DensityMatrix:
    state = DensityMatrix.from_label("0" * len(used))
    for item in circuit.data:
        qubits = _where(circuit, item)
        positions = [used.index(qubit) for qubit in qubits]
        state = state.evolve(item.operation, positions)
        name = item.operation.name
        if (name, qubits) not in channels:
            error = model._local_quantum_errors.get(name, {}).get(qubits)
            error = error or model._default_quantum_errors.get(name)
            channels[name, qubits] = None if error is None else SuperOp(error)
        channel = channels[name, qubits]
        if channel is not None:
            state = state.evolve(channel, positions)
    return state


def _sign(
    model: NoiseModel, state: DensityMatrix, used: list[int], qubits: tuple[int, ...]
) -> float:
    """Mean product of the signs that are read on the qubits, each misread by itself."""
    if not qubits:
        return 1.0
    probabilities = state.probabilities([used.index(qubit) for qubit in qubits])
    weights = np.ones(1)
    for qubit in qubits:
        error = model._local_readout_errors.get((qubit,), model._default_readout_error)
        matrix = np.eye(2) if error is None else error.probabilities
        weights = np.kron(matrix @ [1.0, -1.0], weights)
    return float(probabilities @ weights)
