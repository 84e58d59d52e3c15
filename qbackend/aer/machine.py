"""Some qubits of a device as a machine that Aer stands in for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from qiskit_aer import AerSimulator

from ..devices.noise import build_noise_model
from ..devices.noise_spec import NoiseSpec
from ..devices.properties import read_properties
from ..seam.device import Device


def simulated(device: Device, qubits: Sequence[int]) -> AerSimulator:
    """A backend of these qubits alone, in this order, under the device's noise.

    A device of 127 qubits costs seconds for each job: Aer works out the noise of all of them.
    """
    properties = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=qubits,
    )
    target = properties.target()
    for position, qubit in enumerate(qubits):
        # Dynamical decoupling schedules the circuit, to the end of its measurements.
        target.update_instruction_properties(
            "measure", (position,), device.target["measure"][(qubit,)]
        )
    return AerSimulator(
        target=target,
        noise_model=build_noise_model(properties, NoiseSpec()),
        max_parallel_threads=torch.get_num_threads(),
    )
