"""Slow answers to compare with, written from the definitions alone."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from types import SimpleNamespace

import numpy as np
from qiskit.providers import BackendV2
from qiskit.quantum_info import DensityMatrix, SuperOp
from qiskit.transpiler import Target
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import fake_provider

from qbackend.devices.noise import NoisyLayer
from qbackend.layers.inputs import Array


@cache
def fake_backend(device: str) -> BackendV2:
    """The snapshot of a device `fake_...`, as qiskit-ibm-runtime has it."""
    return getattr(fake_provider, "Fake" + device.removeprefix("fake_").capitalize())()


@cache
def aers_model(device: str) -> NoiseModel:
    """Aer's own noise model of a whole device, `fake_...`."""
    return NoiseModel.from_backend(fake_backend(device))


def aers_model_of(backend: BackendV2, qubits: Collection[int]) -> NoiseModel:
    """Aer's own noise model of some of a device's qubits, under their numbers."""
    whole = backend.target
    part = Target(num_qubits=whole.num_qubits, qubit_properties=whole.qubit_properties)
    for name in whole.operation_names:
        reported = {q: known for q, known in whole[name].items() if q and set(q) <= set(qubits)}
        # Control flow is on no qubit in particular, and takes no properties.
        part.add_instruction(whole.operation_from_name(name), reported or None, name=name)
    names = backend.operation_names
    return NoiseModel.from_backend(
        SimpleNamespace(version=2, operation_names=names, target=part, dt=backend.dt)
    )


@cache
def _channel(device: str, gate: str, qubits: tuple[int, ...]) -> SuperOp | None:
    error = aers_model(device)._local_quantum_errors.get(gate, {}).get(qubits)
    return None if error is None else SuperOp(error)


def noisy_values(layer: NoisyLayer, rows: Array) -> Array:
    """Expectation values (N, M) under Aer's model of the device, by Qiskit's density matrices."""
    device = layer.properties.device
    physical = layer.properties.physical_qubits
    readout = np.eye(1)
    for qubit in physical:
        matrix = aers_model(device)._local_readout_errors[(qubit,)].probabilities
        readout = np.kron(matrix, readout)
    outcomes = np.array([np.diag(o.to_matrix()).real for o in layer.observables])
    return np.array([outcomes @ (readout.T @ _density(layer, row).probabilities()) for row in rows])


def _density(layer: NoisyLayer, row: Array) -> DensityMatrix:
    circuit = layer.circuit.assign_parameters(dict(zip(layer.parameters, row, strict=True)))
    state = DensityMatrix.from_label("0" * circuit.num_qubits)
    for item in circuit.data:
        where = [circuit.find_bit(qubit).index for qubit in item.qubits]
        state = state.evolve(item.operation, where)
        numbers = tuple(layer.properties.physical_qubits[position] for position in where)
        channel = _channel(layer.properties.device, item.operation.name, numbers)
        if channel is not None:
            state = state.evolve(channel, where)
    return state
