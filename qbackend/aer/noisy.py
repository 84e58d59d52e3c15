"""Qiskit Aer with a device's noise: the density matrix of the qubits in use.

Exact values are those that endless shots on the device's model would give, misreads included; the
outcomes of a finite number of shots are drawn from the same probabilities.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities

from ..circuits.device_form import Preparation
from ..devices.noise import NoisyLayer, assignment_matrices, compile_under_noise
from ..devices.noise_spec import NoiseSpec
from ..errors import OptionError
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..seam.backend import Capabilities, check_width
from ..seam.device import Device
from ..seam.requests import CompiledLayer, Request, Result
from ..seam.simulators import ExactSimulator, SamplingSimulator, simulator_capabilities
from ..seam.uncertainty import averaged

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
        self._layers: dict[LayerSpec, NoisyLayer] = {}

    @property
    def capabilities(self) -> Capabilities:
        max_wires = min(self.device.target.num_qubits, MAX_QUBITS)
        return simulator_capabilities(exact=True, max_wires=max_wires, noisy=True)

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        """The layer on the device's best qubits, with the noise that acts there; one per spec.

        Raises:
            OptionError: too many wires, or a gate that the device has no calibration for.
        """
        if spec not in self._layers:
            check_width(self, spec)
            self._layers[spec] = self._compile(spec)
        return self._layers[spec]

    def _compile(self, spec: LayerSpec) -> NoisyLayer:
        layer = compile_under_noise(spec, self.device, self.noise, preparation=self.preparation)
        if layer.circuit.num_qubits > MAX_QUBITS:
            raise OptionError(
                f"the compiled layer takes {layer.circuit.num_qubits} qubits of '{self.name}', but "
                f"a density matrix takes at most {MAX_QUBITS}; choose fewer wires"
            )
        return layer

    def check(self, request: Request) -> None:
        _noisy(request)

    def run(self, request: Request, job_id: str) -> Result:
        layer = _noisy(request)
        values = probabilities(layer, request.parameters) @ eigenvalues(layer).T
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

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        return self._exact.compile(spec)

    def check(self, request: Request) -> None:
        _noisy(request)

    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        layer = _noisy(request)
        read = probabilities(layer, request.parameters)
        drawn = np.random.default_rng(seed).multinomial(shots, read)
        values, stderr = averaged(drawn, eigenvalues(layer))
        return _result(layer, job_id, values, stderr, shots)


def probabilities(layer: NoisyLayer, rows: Array) -> Array:
    """Probabilities to read each basis state for rows (N, P): (N, 2^Q), qubit 0 the last bit."""
    n_qubits = layer.circuit.num_qubits
    circuit = layer.circuit.copy()
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
        binds = [
            {parameter: share[:, index] for index, parameter in enumerate(layer.parameters)}
            for share in shares
        ]
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


def eigenvalues(layer: NoisyLayer) -> Array:
    """What each observable is worth in each basis state, (M, 2^Q), qubit 0 the last bit."""
    states = np.arange(2**layer.circuit.num_qubits)
    rows = np.zeros((len(layer.observables), len(states)))
    for row, observable in zip(rows, layer.observables, strict=True):
        for pauli, coefficient in zip(observable.paulis, observable.coeffs, strict=True):
            if pauli.x.any() or coefficient.imag != 0:
                raise OptionError(
                    f"the observable {observable.to_list()} is no real sum of products of Z: it "
                    "is not diagonal, or not real, and cannot be read"
                )
            mask = sum(1 << int(qubit) for qubit in np.flatnonzero(pauli.z))
            row += coefficient.real * (1.0 - 2.0 * (np.bitwise_count(states & mask) % 2))
    return rows


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
