"""What a backend made of a layer, for people: gates, qubits, and what their device reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..circuits.logical import circuit_record
from ..devices.noise import WAIT, NoisyLayer
from ..devices.properties import DeviceProperties, ReportedGate, read_properties
from ..seam.backend import QuantumBackend
from ..seam.requests import CompiledLayer


@dataclass(frozen=True)
class Compilation:
    """A compiled layer; `print` shows it.

    Attributes:
        backend: its name.
        device: the name of the device that the layer is compiled for; None for a simulator of
            ideal qubits, and for a backend that reports none.
        wires: of the layer.
        gates, depth, two_qubit_gates, two_qubit_depth: of the circuit, without measurements.
        physical_qubits: of the device, in ascending order.
        duration: of the circuit, seconds; None without a device.
        fidelity: expected, the product of the reported ones of all gates and readouts; None
            without a device.
        properties: what the device reports of these qubits; None where it was not asked.
        used: the gates among `properties.gates` that the circuit has.
    """

    backend: str
    device: str | None
    wires: int
    gates: int
    depth: int
    two_qubit_gates: int
    two_qubit_depth: int
    physical_qubits: tuple[int, ...]
    duration: float | None
    fidelity: float | None
    properties: DeviceProperties | None
    used: tuple[ReportedGate, ...]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _lines(self) -> Iterator[str]:
        yield f"{self.wires} wires on '{self.backend}'"
        yield (
            f"  gates {self.gates}, depth {self.depth}; of two qubits {self.two_qubit_gates}, "
            f"depth {self.two_qubit_depth}"
        )
        if self.device is None:
            yield "  no device: the backend reports none"
            return
        numbers = ", ".join(map(str, self.physical_qubits))
        if self.duration is not None and self.fidelity is not None:
            yield f"  duration {1e6 * self.duration:.2f} µs, expected fidelity {self.fidelity:.3f}"
        if self.properties is None:
            yield (
                f"  qubits {numbers} of '{self.device}'; "
                "layer.backend.reported_device() asks it for their errors"
            )
            return
        at = self.properties.calibrated_at
        yield f"  '{self.device}'" + ("" if at is None else f", calibrated {at:%Y-%m-%d %H:%M}")
        for index, number in enumerate(self.physical_qubits):
            qubit = self.properties.qubits[index]
            yield (
                f"  qubit {number}: readout {_percent(qubit.readout_error)}, "
                f"T1 {_microseconds(qubit.t1)}, T2 {_microseconds(qubit.t2)}"
                + "".join(
                    f", {gate.name} {_percent(gate.error)}"
                    for gate in self.used
                    if gate.qubits == (index,)
                )
            )
        for gate in self.used:
            if len(gate.qubits) > 1:
                yield f"  {gate.name} on {self.properties.where(gate.qubits)}: " + _percent(
                    gate.error
                )


def compilation_of(compiled: CompiledLayer, backend: QuantumBackend) -> Compilation:
    """What `backend` compiled, by what is known of its device without asking for more."""
    record = {**circuit_record(compiled.circuit), **compiled.record}
    physical = tuple(record.get("physical_qubits", ()))
    properties = _properties(compiled, backend, physical)
    gates, readouts = record.get("gate_fidelity"), record.get("readout_fidelity")
    return Compilation(
        backend=backend.name,
        device=record.get("device"),
        wires=compiled.spec.n_wires,
        gates=record["gates"],
        depth=record["depth"],
        two_qubit_gates=record["two_qubit_gates"],
        two_qubit_depth=record["two_qubit_depth"],
        physical_qubits=physical,
        duration=record.get("duration"),
        fidelity=None if gates is None or readouts is None else gates * readouts,
        properties=properties,
        used=() if properties is None else _used(compiled, properties),
    )


def _properties(
    compiled: CompiledLayer, backend: QuantumBackend, physical: tuple[int, ...]
) -> DeviceProperties | None:
    if isinstance(compiled, NoisyLayer):
        return compiled.properties
    device = backend.known_device()
    if device is None:
        return None
    return read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=physical,
    )


def _used(compiled: CompiledLayer, properties: DeviceProperties) -> tuple[ReportedGate, ...]:
    circuit = compiled.circuit
    numbers = properties.physical_qubits
    # Under simulated noise a circuit is over the qubits in use, otherwise over all of the device.
    where = range(len(numbers)) if isinstance(compiled, NoisyLayer) else numbers
    position = {qubit: index for index, qubit in enumerate(where)}
    found = set()
    for item in circuit.data:
        if (item.operation.label or "").startswith(WAIT):
            continue
        positions = tuple(position[circuit.find_bit(qubit).index] for qubit in item.qubits)
        found.add((item.operation.name, positions))
    return tuple(gate for gate in properties.gates if (gate.name, gate.qubits) in found)


def _percent(error: float | None) -> str:
    return "not reported" if error is None else f"{100 * error:.3g} %"


def _microseconds(seconds: float | None) -> str:
    return "not reported" if seconds is None else f"{1e6 * seconds:.0f} µs"
