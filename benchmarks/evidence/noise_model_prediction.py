"""What a device's noise model says of the measured circuit on a line of its qubits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities

from qbackend.devices.noise import assignment_matrices, build_noise_model
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.properties import read_properties
from qbackend.seam.device import Device

EXACT_UP_TO = 10
"""Qubits of a density matrix; beyond, outcomes are drawn."""
SEED = 1


def measured_circuit(n_qubits: int) -> QuantumCircuit:
    """A ZZ feature map and its inverse: every shot would read zeros."""
    x = 2 * np.pi * np.random.RandomState(0).random_sample(n_qubits)
    there = QuantumCircuit(n_qubits)
    there.h(range(n_qubits))
    for qubit in range(n_qubits):
        there.rz(x[qubit], qubit)
    for first in (0, 1):
        for a in range(first, n_qubits - 1, 2):
            there.cx(a, a + 1)
            there.rz((np.pi - x[a]) * (np.pi - x[a + 1]), a + 1)
            there.cx(a, a + 1)
    circuit = there.copy()
    circuit.barrier()
    return circuit.compose(there.inverse())


def on_line(device: Device, line: tuple[int, ...]) -> QuantumCircuit:
    """The circuit in the device's gates, over all of its qubits."""
    return transpile(
        measured_circuit(len(line)),
        target=device.target,
        initial_layout=list(line),
        optimization_level=1,
        seed_transpiler=0,
    )


def predicted(device: Device, line: tuple[int, ...], shots: int) -> tuple[float, float]:
    """The share of shots that read all zeros, and its standard error."""
    compiled = on_line(device, line)
    active = sorted(line)
    position = {qubit: index for index, qubit in enumerate(active)}
    circuit = QuantumCircuit(len(active))
    for item in compiled.data:
        if item.operation.name != "barrier":
            on = [position[compiled.find_bit(qubit).index] for qubit in item.qubits]
            circuit.append(item.operation, on)
    properties = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=active,
    )
    used = {
        (item.operation.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for item in circuit.data
    }
    gates = tuple(gate for gate in properties.gates if (gate.name, gate.qubits) in used)
    model = build_noise_model(replace(properties, gates=gates), NoiseSpec())
    if len(line) <= EXACT_UP_TO:
        circuit.append(SaveProbabilities(len(active)), circuit.qubits)
        simulator = AerSimulator(method="density_matrix", noise_model=model)
        share = simulator.run(circuit).result().data()["probabilities"]
        for matrix in assignment_matrices(model, len(active)):
            # Qubit 0 is the last bit; each turn takes it away.
            share = share.reshape(-1, 2) @ matrix[:, 0]
        return float(share.item()), 0.0
    circuit.measure_all()
    simulator = AerSimulator(method="matrix_product_state", noise_model=model, seed_simulator=SEED)
    counts = simulator.run(circuit, shots=shots).result().get_counts()
    share = counts.get("0" * len(active), 0) / shots
    return share, float(np.sqrt(share * (1 - share) / shots))
