"""What a device reports of itself: coherence times, gate errors and durations, readout errors.

Plain values for the qubits in use, taken from a Qiskit `Target`, so that a noise model can be
built again from a file when the calibration behind it is long gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from qiskit.circuit import Delay, Gate, Instruction, Measure
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from ..errors import OptionError
from ..seam.device import Source


@dataclass(frozen=True)
class ReportedQubit:
    """One qubit's values; None where the device reports none.

    Attributes:
        t1: relaxation time, seconds.
        t2: dephasing time, seconds.
        prob_meas1_prep0: probability that |0> reads as 1.
        prob_meas0_prep1: probability that |1> reads as 0.
    """

    t1: float | None
    t2: float | None
    prob_meas1_prep0: float | None
    prob_meas0_prep1: float | None

    @property
    def readout_error(self) -> float | None:
        """The mean of the two misreads; None where one is not reported."""
        if self.prob_meas1_prep0 is None or self.prob_meas0_prep1 is None:
            return None
        return (self.prob_meas1_prep0 + self.prob_meas0_prep1) / 2


@dataclass(frozen=True)
class ReportedGate:
    """One gate's values on the qubits it acts on.

    Attributes:
        name: Qiskit's name of the gate, or of the reset.
        qubits: positions in `DeviceProperties.qubits`.
        error: 1 - average gate fidelity; None where the device reports none.
        duration: seconds; None where the device reports none.
    """

    name: str
    qubits: tuple[int, ...]
    error: float | None
    duration: float | None


@dataclass(frozen=True)
class DeviceProperties:
    """The reported values of some qubits of a device, in the order of a circuit's qubits.

    Attributes:
        device: its name.
        source: where the values come from.
        calibrated_at: when they were measured; None if the device does not say.
        dt: the device's time step, seconds.
        operations: names of everything the device executes.
        physical_qubits: the device's number of each qubit.
        qubits: each qubit's values, in the same order.
        gates: the gates among these qubits.
    """

    device: str
    source: Source
    calibrated_at: datetime | None
    dt: float | None
    operations: tuple[str, ...]
    physical_qubits: tuple[int, ...]
    qubits: tuple[ReportedQubit, ...]
    gates: tuple[ReportedGate, ...]

    @cached_property
    def by_gate(self) -> dict[tuple[str, tuple[int, ...]], ReportedGate]:
        """The reported gates by name and positions."""
        return {(gate.name, gate.qubits): gate for gate in self.gates}

    def where(self, positions: Sequence[int]) -> str:
        """The device's numbers of the qubits at `positions`, for messages."""
        numbers = ", ".join(str(self.physical_qubits[position]) for position in positions)
        return f"qubit{'s' if len(positions) > 1 else ''} {numbers}"

    def among(self, physical_qubits: Sequence[int]) -> DeviceProperties:
        """Those of some of the qubits, named by the device's numbers, in this order.

        Raises `ValueError` for a qubit that is none of them.
        """
        there = [self.physical_qubits.index(number) for number in physical_qubits]
        position = {old: new for new, old in enumerate(there)}
        return replace(
            self,
            physical_qubits=tuple(physical_qubits),
            qubits=tuple(self.qubits[old] for old in there),
            gates=tuple(
                replace(gate, qubits=tuple(position[qubit] for qubit in gate.qubits))
                for gate in self.gates
                if all(qubit in position for qubit in gate.qubits)
            ),
        )

    def target(self) -> Target:
        """A Qiskit target of these qubits alone.

        Raises:
            OptionError: a gate that Qiskit's standard library does not have.
        """
        target = Target(
            num_qubits=len(self.qubits),
            dt=self.dt,
            qubit_properties=[QubitProperties(t1=q.t1, t2=q.t2) for q in self.qubits],
        )
        library = get_standard_gate_name_mapping()
        for name in dict.fromkeys(gate.name for gate in self.gates):
            if name not in library:
                raise OptionError(f"'{self.device}' has a gate '{name}' that Qiskit does not know")
            reported = [gate for gate in self.gates if gate.name == name]
            target.add_instruction(
                library[name],
                {
                    gate.qubits: InstructionProperties(duration=gate.duration, error=gate.error)
                    for gate in reported
                },
            )
        positions = range(len(self.qubits))
        target.add_instruction(
            Measure(),
            {(q,): InstructionProperties(error=self.qubits[q].readout_error) for q in positions},
        )
        target.add_instruction(library["delay"], {(q,): None for q in positions})
        return target


def read_properties(
    target: Target,
    *,
    device: str,
    source: Source,
    calibrated_at: datetime | None,
    qubits: Sequence[int] | None = None,
) -> DeviceProperties:
    """The values that `target` reports for `qubits` (all of them by default), in that order."""
    n_qubits = target.num_qubits or 0
    chosen = tuple(range(n_qubits)) if qubits is None else tuple(qubits)
    position = {number: index for index, number in enumerate(chosen)}
    gates = []
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if not isinstance(operation, Instruction) or isinstance(operation, Measure | Delay):
            continue
        for where, values in (target[name] or {}).items():
            if where is not None and values is not None and all(q in position for q in where):
                gates.append(
                    ReportedGate(
                        name=name,
                        qubits=tuple(position[q] for q in where),
                        error=values.error,
                        duration=values.duration,
                    )
                )
    return DeviceProperties(
        device=device,
        source=source,
        calibrated_at=calibrated_at,
        dt=target.dt,
        operations=tuple(target.operation_names),
        physical_qubits=chosen,
        qubits=tuple(_read_qubit(target, number) for number in chosen),
        gates=tuple(gates),
    )


def is_unitary(gate: ReportedGate) -> bool:
    """Whether it is a gate proper and no reset: only those have a depolarising error."""
    operation = get_standard_gate_name_mapping().get(gate.name)
    return operation is None or isinstance(operation, Gate)


def _read_qubit(target: Target, number: int) -> ReportedQubit:
    coherence = target.qubit_properties[number] if target.qubit_properties else None
    readout = target["measure"].get((number,)) if "measure" in target.operation_names else None
    # Newer devices report both directions of a misread; the others only their mean.
    mean = getattr(readout, "error", None)
    return ReportedQubit(
        t1=getattr(coherence, "t1", None),
        t2=getattr(coherence, "t2", None),
        prob_meas1_prep0=getattr(readout, "prob_meas1_prep0", mean),
        prob_meas0_prep1=getattr(readout, "prob_meas0_prep1", mean),
    )
