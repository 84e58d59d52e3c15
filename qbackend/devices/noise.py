"""A device's noise, part by part.

Qiskit Aer's device model (`NoiseModel.from_backend`) splits each gate's reported error into thermal
relaxation over the gate's duration and a depolarising rest. Here both parts, and the readout error,
carry a strength of their own: 1 is the device, 0 is ideal. At strength 1 the model is Aer's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Operation
from qiskit.circuit.library import IGate
from qiskit.quantum_info import average_gate_fidelity
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDelay
from qiskit.utils import apply_prefix
from qiskit_aer.noise import (
    QuantumError,
    ReadoutError,
    depolarizing_error,
    thermal_relaxation_error,
)

from ..circuits.device_form import Preparation, compile_for_target, drop_idle_qubits
from ..circuits.measuring import turned_circuits
from ..errors import OptionError
from ..layers.inputs import Array
from ..layers.program import Layer
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from .mixtures import TransparentModel
from .noise_spec import NoiseSpec, SavedNoise
from .properties import DeviceProperties, ReportedGate, is_unitary, read_properties

WAIT = "wait "
"""What the label of a waiting qubit's identity gate starts with; its length in seconds follows."""
WORST_READOUT = 0.5
"""A readout that is wrong half of the time says nothing; more would say the opposite."""


@dataclass(frozen=True, kw_only=True)
class ModelledLayer(CompiledLayer):
    """A layer under a noise model.

    Attributes:
        model: the channel after each gate, and the readout errors.
        measured: the circuit for each readout, behind it the change of basis.
    """

    model: TransparentModel
    measured: tuple[QuantumCircuit, ...]

    @property
    def is_noisy(self) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class NoisyLayer(ModelledLayer):
    """A layer on some qubits of a device, with the noise that acts there.

    Attributes:
        properties: what the device reports of the circuit's qubits, in the circuit's order.
        noise: the strengths.
    """

    properties: DeviceProperties
    noise: NoiseSpec


def compile_under_noise(
    spec: Layer, device: Device, noise: NoiseSpec, *, preparation: Preparation = "auto"
) -> NoisyLayer:
    """The layer on the device's best qubits, these alone, with the noise that acts there.

    Raises:
        OptionError: more wires than qubits, or a part of the noise for which a gate in use has no
            reported value.
        UnknownNameError: no such preparation.
    """
    compiled = drop_idle_qubits(
        compile_for_target(spec, device.target, device=device.name, preparation=preparation)
    )
    properties = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=compiled.record["physical_qubits"],
    )
    return add_noise(compiled, properties, noise)


def add_noise(
    compiled: CompiledLayer, properties: DeviceProperties, noise: NoiseSpec
) -> NoisyLayer:
    """The same layer under the noise of its qubits.

    Raises:
        OptionError: the device reports no value that a part in use needs; the message names the
            gate and the qubits.
    """
    measured = turned_circuits(compiled)
    for circuit in measured:
        _check_reported(circuit, properties, noise)
    # Aer works every channel of a model out before it runs: only those in use are worth it.
    used = {
        (item.operation.name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits))
        for circuit in measured
        for item in circuit.data
    }
    gates = tuple(gate for gate in properties.gates if (gate.name, gate.qubits) in used)
    model = build_noise_model(replace(properties, gates=gates), noise)
    circuit = compiled.circuit
    if noise.idle > 0:
        circuit = with_waits(circuit, properties)
        measured = [
            with_waits(each, properties) if readout.turned else circuit
            for each, readout in zip(measured, compiled.readouts, strict=True)
        ]
        _add_idle_relaxation(model, measured, properties, noise.idle)
    calibrated_at = properties.calibrated_at
    record = {
        **compiled.record,
        "device": properties.device,
        "calibration": properties.source,
        "calibrated_at": None if calibrated_at is None else calibrated_at.isoformat(),
        "physical_qubits": list(properties.physical_qubits),
        "noise": asdict(noise),
    }
    return NoisyLayer(
        spec=compiled.spec,
        circuit=circuit,
        observables=compiled.observables,
        parameters=compiled.parameters,
        record=record,
        inputs=compiled.inputs,
        properties=properties,
        noise=noise,
        model=model,
        measured=tuple(measured),
        one_qubit_gates=compiled.one_qubit_gates,
        read=compiled.read,
    )


def noise_of(compiled: CompiledLayer) -> SavedNoise | None:
    """What a file keeps of the noise on a layer's qubits; None where there is none."""
    if not isinstance(compiled, NoisyLayer):
        return None
    return SavedNoise(compiled.noise, compiled.properties)


def build_noise_model(properties: DeviceProperties, noise: NoiseSpec) -> TransparentModel:
    """Aer's device model with every part scaled; on circuits whose qubits are the positions.

    Where the device reports no value there is no error, as in `NoiseModel.from_backend`.
    """
    model = TransparentModel(basis_gates=list(properties.operations))
    for position, qubit in enumerate(properties.qubits):
        misreads = qubit.prob_meas1_prep0, qubit.prob_meas0_prep1
        if noise.readout > 0 and misreads[0] is not None and misreads[1] is not None:
            matrix = _assignment(misreads[0], misreads[1], noise.readout)
            model.add_misread(ReadoutError(matrix), position)
    for gate in properties.gates:
        error = _gate_error(gate, properties, noise)
        if error is not None:
            model.add_channel(error, gate.name, gate.qubits)
    return model


def channel_after(
    model: TransparentModel, operation: Operation, qubits: Sequence[int]
) -> QuantumError | None:
    """The channel that acts on `qubits` after `operation`; None where it is ideal."""
    key = getattr(operation, "label", None) or operation.name
    return model.channels.get((key, tuple(qubits)))


def assignment_matrices(model: TransparentModel, n_qubits: int) -> Array:
    """Probability to read column j where the qubit is in state i, (n_qubits, 2, 2)."""
    matrices = np.tile(np.eye(2), (n_qubits, 1, 1))
    for position, error in model.misreads.items():
        matrices[position] = error.probabilities
    return matrices


def _assignment(prob_meas1_prep0: float, prob_meas0_prep1: float, strength: float) -> Array:
    up, down = (
        min(strength * probability, max(probability, WORST_READOUT))
        for probability in (prob_meas1_prep0, prob_meas0_prep1)
    )
    return np.array([[1 - up, up], [down, 1 - down]])


def _check_reported(
    circuit: QuantumCircuit, properties: DeviceProperties, noise: NoiseSpec
) -> None:
    """Raise `OptionError` for the first value that a part in use needs and nobody reported."""
    for missing, positions in _missing_values(circuit, properties, noise):
        raise OptionError(
            f"'{properties.device}' reports no {missing} on {properties.where(positions)}; "
            "choose another device or switch that part of the noise off"
        )


def _missing_values(
    circuit: QuantumCircuit, properties: DeviceProperties, noise: NoiseSpec
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What is missing, and on which positions."""
    lasting = noise.relaxation > 0 or noise.idle > 0
    for item in circuit.data:
        name = item.operation.name
        positions = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        gate = properties.by_gate.get((name, positions))
        depolarising = noise.one_qubit if len(positions) == 1 else noise.two_qubit
        if depolarising > 0 and (gate is None or gate.error is None):
            yield f"error for gate '{name}'", positions
        if lasting and (gate is None or gate.duration is None):
            yield f"duration for gate '{name}'", positions
    for position, qubit in enumerate(properties.qubits):
        if lasting and qubit.t1 is None and qubit.t2 is None:
            yield "T1 or T2", (position,)
        if noise.readout > 0 and None in (qubit.prob_meas1_prep0, qubit.prob_meas0_prep1):
            yield "error for 'measure'", (position,)


def _gate_error(
    gate: ReportedGate, properties: DeviceProperties, noise: NoiseSpec
) -> QuantumError | None:
    """Depolarisation, then relaxation on each qubit."""
    strength = noise.one_qubit if len(gate.qubits) == 1 else noise.two_qubit
    depolarising = None
    if strength > 0 and gate.error and is_unitary(gate):
        depolarising = _depolarising(gate, properties, strength)
    relaxation = _relaxation(gate, properties, noise.relaxation)
    if depolarising is None or relaxation is None:
        return depolarising or relaxation
    return depolarising.compose(relaxation)


def _depolarising(
    gate: ReportedGate, properties: DeviceProperties, strength: float
) -> QuantumError | None:
    """What of the reported error the reported relaxation does not explain.

    With F the average gate fidelity of the relaxation alone and p the depolarising probability,
    the reported error is 1 - F + p (D F - 1) / D, where D = 2^qubits. The rest is that of the
    device as reported, whatever the strength of the relaxation in use.
    """
    assert gate.error is not None
    n_qubits = len(gate.qubits)
    dimension = 2**n_qubits
    reported = _relaxation(gate, properties, 1.0)
    fidelity = 1.0 if reported is None else average_gate_fidelity(reported)
    if gate.error <= 1 - fidelity:
        return None
    # No channel has a lower fidelity than 1 / (D + 1): Aer truncates the reported error there.
    excess = min(gate.error, dimension / (dimension + 1)) - (1 - fidelity)
    probability = dimension * excess / (dimension * fidelity - 1)
    largest = dimension**2 / (dimension**2 - 1)
    return depolarizing_error(min(strength * probability, largest), n_qubits)


def _relaxation(
    gate: ReportedGate, properties: DeviceProperties, strength: float
) -> QuantumError | None:
    """Relaxation of every qubit over the gate's duration, with its rates scaled."""
    if strength == 0 or not gate.duration:
        return None
    error: QuantumError | None = None
    for position in gate.qubits:
        single = _qubit_relaxation(properties, position, strength * gate.duration)
        error = single if error is None else error.expand(single)
    return error


def _qubit_relaxation(properties: DeviceProperties, position: int, duration: float) -> QuantumError:
    """Relaxation towards |0>; T2 is at most 2 T1, a time that is not reported is endless."""
    qubit = properties.qubits[position]
    t1 = math.inf if qubit.t1 is None else qubit.t1
    t2 = min(math.inf if qubit.t2 is None else qubit.t2, 2 * t1)
    return thermal_relaxation_error(t1, t2, duration)


def with_waits(circuit: QuantumCircuit, properties: DeviceProperties) -> QuantumCircuit:
    """Schedule every gate as late as possible, and make waiting explicit.

    A wait is an identity gate whose label says how long: a delay would lose its label whenever
    the circuit is copied.
    """
    target = properties.target()
    passes = PassManager([ALAPScheduleAnalysis(target=target), PadDelay(target=target)])
    scheduled = passes.run(circuit)
    for index, item in enumerate(scheduled.data):
        if isinstance(item.operation, Delay):
            wait = IGate(label=f"{WAIT}{_seconds(item.operation, properties.dt)!r}")
            scheduled.data[index] = item.replace(operation=wait)
    return scheduled


def _add_idle_relaxation(
    model: TransparentModel,
    circuits: Sequence[QuantumCircuit],
    properties: DeviceProperties,
    strength: float,
) -> None:
    """Relaxation of every qubit over every length that it waits."""
    waits = {
        (item.operation.label, circuit.find_bit(item.qubits[0]).index)
        for circuit in circuits
        for item in circuit.data
        if (item.operation.label or "").startswith(WAIT)
    }
    for label, position in sorted(waits):
        duration = float(label.removeprefix(WAIT))
        error = _qubit_relaxation(properties, position, strength * duration)
        model.add_channel(error, label, [position])


def _seconds(delay: Delay, dt: float | None) -> float:
    if delay.unit == "dt":
        assert dt is not None, "Qiskit pads in units of dt only where the target has one"
        return delay.duration * dt
    return apply_prefix(delay.duration, delay.unit)
