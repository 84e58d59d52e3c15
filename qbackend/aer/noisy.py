"""Qiskit Aer with a device's noise: the density matrix of the qubits in use.

Exact values are those that endless shots on the device's model would give, misreads included; the
outcomes of a finite number of shots are drawn from the same probabilities.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities

from ..circuits.device_form import Preparation
from ..devices.noise import (
    ModelledLayer,
    NoisyLayer,
    assignment_matrices,
    compile_under_noise,
)
from ..devices.noise_spec import NoiseSpec
from ..errors import OptionError
from ..layers.inputs import Array
from ..layers.program import Layer
from ..seam.backend import Capabilities, check_width
from ..seam.device import Device
from ..seam.reading import drawn, expected
from ..seam.requests import CompiledLayer, Request, Result
from ..seam.simulators import ExactSimulator, SamplingSimulator, simulator_capabilities
from .runs import bindings

MAX_QUBITS = 12
"""Qubits of a density matrix: 256 MiB."""
BINDINGS = 512
"""Rows of one copy of the circuit: every run of Aer works the noise model out anew."""


class AerNoisy(ExactSimulator):
    """Exact expectation values under a device's noise.

    Args:
        device: whose gates and noise to take.
        noise: the strength of each part.
        preparation: how amplitudes are prepared, "auto", "compact" or "textbook".
    """

    def __init__(
        self, device: Device, noise: NoiseSpec | None = None, preparation: Preparation = "auto"
    ) -> None:
        self.name = self.sampler = f"aer:{device.name}"
        self.device = device
        self.noise = NoiseSpec() if noise is None else noise
        self.preparation = preparation
        self._layers: dict[Layer, NoisyLayer] = {}

    @property
    def capabilities(self) -> Capabilities:
        max_wires = min(self.device.target.num_qubits, MAX_QUBITS)
        return simulator_capabilities(exact=True, max_wires=max_wires, noisy=True)

    def compile(self, spec: Layer) -> CompiledLayer:
        """The layer on the device's best qubits, with the noise that acts there; one per spec.

        Raises:
            OptionError: too many wires, or a gate that the device has no calibration for.
        """
        if spec not in self._layers:
            check_width(self, spec)
            self._layers[spec] = self._compile(spec)
        return self._layers[spec]

    def _compile(self, spec: Layer) -> NoisyLayer:
        layer = compile_under_noise(spec, self.device, self.noise, preparation=self.preparation)
        if layer.circuit.num_qubits > MAX_QUBITS:
            raise OptionError(
                f"the compiled layer takes {layer.circuit.num_qubits} qubits of '{self.name}', but "
                f"a density matrix takes at most {MAX_QUBITS}; choose fewer wires"
            )
        return layer

    def reported_device(self) -> Device:
        return self.device

    def check(self, request: Request) -> None:
        _noisy(request)

    def run(self, request: Request, job_id: str) -> Result:
        layer = _noisy(request)
        values = expected(layer, probabilities(layer, request.parameters))
        return _result(layer, job_id, values, np.zeros_like(values), None)


class AerNoisySampled(SamplingSimulator):
    """Sampled expectation values under a device's noise: what the device would count.

    Args:
        exact: the same device and noise without shots.
        shots: per row.
        seed: for requests that bring none.
    """

    def __init__(self, exact: AerNoisy, shots: int, seed: int | None = None) -> None:
        super().__init__(shots, seed)
        self.name = exact.name
        self._exact = exact

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._exact.capabilities, exact=False)

    def compile(self, spec: Layer) -> CompiledLayer:
        return self._exact.compile(spec)

    def reported_device(self) -> Device:
        return self._exact.device

    def check(self, request: Request) -> None:
        _noisy(request)

    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        layer = _noisy(request)
        read = probabilities(layer, request.parameters)
        values, stderr = drawn(layer, read, shots, seed)
        return _result(layer, job_id, values, stderr, shots)


def probabilities(layer: ModelledLayer, rows: Array) -> list[Array]:
    """Probabilities to read each basis state for rows (N, P): (N, 2^Q) in each readout.

    Qubit 0 is the last bit.
    """
    return [_probabilities(layer, circuit, rows) for circuit in layer.measured]


def _probabilities(layer: ModelledLayer, measured: QuantumCircuit, rows: Array) -> Array:
    n_qubits = measured.num_qubits
    circuit = measured.copy()
    circuit.append(SaveProbabilities(n_qubits), circuit.qubits)
    # Aer spreads circuits over threads, but not one's bindings.
    copies = torch.get_num_threads()
    # Fusion costs more than it saves on circuits this small, bound at run time.
    simulator = AerSimulator(
        method="density_matrix",
        noise_model=layer.model,
        fusion_enable=False,
        runtime_parameter_bind_enable=True,
        max_parallel_threads=copies,
        max_parallel_experiments=copies,
    )
    prepared = []
    for first in range(0, len(rows), BINDINGS * copies):
        chunk = rows[first : first + BINDINGS * copies]
        shares = np.array_split(chunk, min(copies, len(chunk)))
        binds = [bindings(circuit, layer, share) for share in shares]
        if not all(binds):
            prepared += [simulator.run(circuit).result().data()["probabilities"]] * len(chunk)
            continue
        result = simulator.run([circuit] * len(shares), parameter_binds=binds).result()
        prepared += [result.data(index)["probabilities"] for index in range(len(chunk))]
    read = _misread(np.array(prepared), assignment_matrices(layer.model, n_qubits))
    return read / read.sum(axis=1, keepdims=True)


def _misread(prepared: Array, matrices: Array) -> Array:
    """Probabilities of what is read (N, 2^Q), from those of what is there (N, 2^Q)."""
    n_rows, n_qubits = len(prepared), len(matrices)
    read = prepared
    for qubit, matrix in enumerate(matrices):
        # Qubit 0 is the last bit: its states are neighbours.
        split = read.reshape(n_rows, -1, 2, 2**qubit)
        read = np.einsum("nasb,sr->narb", split, matrix)
    return read.reshape(n_rows, 2**n_qubits)


def _result(
    layer: NoisyLayer, job_id: str, values: Array, stderr: Array, shots: int | None
) -> Result:
    return Result(
        values=values,
        stderr=stderr,
        shots=shots,
        job_ids=(job_id,),
        device=layer.properties.device,
        calibrated_at=layer.properties.calibrated_at,
    )


def _noisy(request: Request) -> NoisyLayer:
    if not isinstance(request.compiled, NoisyLayer):
        raise OptionError("the layer was compiled by another backend: compile it by this one")
    return request.compiled
