"""Lines and rings of a device's qubits, and what its reported errors say of them.

A cost is -log of a fidelity, so that costs add up; it is infinite where a device reports no error,
an error of 1, or no duration of a gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from qiskit.circuit import Gate
from qiskit.transpiler import InstructionProperties, Target

from ..errors import OptionError
from .fractional import has_fractional_gates, without_bounds

TWO_QUBIT_GATES = ("cz", "ecr", "cx")
"""Native gates that a CNOT takes one of."""


@dataclass(frozen=True)
class ReportedCosts:
    """What the gates and readouts of a device cost.

    Attributes:
        device: its name.
        target: what it reports; RZZ by any angle, as `fractional` folds it.
        one_qubit_gates: their names.
        one_qubit: per qubit, the worst of its one-qubit gates.
        two_qubit: per pair of neighbours in ascending order, the best of its two-qubit gates;
            pairs without a calibrated gate are left out.
        readout: per qubit.
        fractional: whether it has RX and RZZ by any angle.
    """

    device: str
    target: Target
    one_qubit_gates: tuple[str, ...]
    one_qubit: tuple[float, ...]
    two_qubit: dict[tuple[int, int], float]
    readout: tuple[float, ...]
    fractional: bool

    @classmethod
    def of(cls, device: str, target: Target) -> ReportedCosts:
        """The costs that `target` reports."""
        fractional = has_fractional_gates(target)
        gates = [
            name
            for name, operation in zip(target.operation_names, target.operations, strict=True)
            if isinstance(operation, Gate) and operation.num_qubits == 1
        ]
        two_qubit: dict[tuple[int, int], float] = {}
        for name in TWO_QUBIT_GATES:
            for pair, reported in _instances(target, name).items():
                cost = _cost(reported)
                key = (min(pair), max(pair))
                if math.isfinite(cost):
                    two_qubit[key] = min(cost, two_qubit.get(key, math.inf))
        qubits = [(qubit,) for qubit in range(target.num_qubits or 0)]
        measure = _instances(target, "measure")
        return cls(
            device=device,
            target=without_bounds(target) if fractional else target,
            one_qubit_gates=tuple(gates),
            one_qubit=tuple(
                max((_cost(_instances(target, name).get(q)) for name in gates), default=math.inf)
                for q in qubits
            ),
            two_qubit=dict(sorted(two_qubit.items())),
            readout=tuple(_error_cost(measure.get(q)) for q in qubits),
            fractional=fractional,
        )

    def between(self, one: int, other: int) -> float:
        """Cost of a two-qubit gate of two qubits, infinite if they have none."""
        return self.two_qubit.get((min(one, other), max(one, other)), math.inf)

    def reported(self, name: str, qubits: tuple[int, ...]) -> InstructionProperties:
        """What the device reports of a gate.

        Raises:
            OptionError: nothing usable; the message names the gate and its qubits.
        """
        found = _instances(self.target, name).get(qubits)
        if found is None or math.isinf(_cost(found)):
            raise self.uncalibrated(name, qubits)
        return found

    def uncalibrated(self, name: str, qubits: tuple[int, ...]) -> OptionError:
        """The error for a gate or readout without a usable calibration."""
        found = _instances(self.target, name).get(qubits)
        where = f"qubit{'s' if len(qubits) > 1 else ''} {', '.join(map(str, qubits))}"
        values = f"error {found.error}, duration {found.duration} s" if found else "nothing"
        return OptionError(
            f"'{self.device}' has no usable calibration of '{name}' on {where}: it reports "
            f"{values}; choose another device (qhc backends lists them)"
        )

    def nowhere(self, n_qubits: int) -> OptionError:
        """The error for a layer that fits on no line of calibrated qubits."""
        for name in TWO_QUBIT_GATES:
            for qubits, reported in _instances(self.target, name).items():
                if math.isinf(_cost(reported)):
                    return self.uncalibrated(name, qubits)
        for qubit, cost in enumerate(self.readout):
            if math.isinf(cost):
                return self.uncalibrated("measure", (qubit,))
        return OptionError(
            f"'{self.device}' has no line of {n_qubits} neighbouring qubits with a native gate "
            f"among {', '.join(TWO_QUBIT_GATES)}; choose preparation 'textbook' or another device"
        )

    def lines(self, n_qubits: int) -> Iterator[tuple[int, ...]]:
        """All lines of neighbours, each in both directions."""
        neighbours: dict[int, list[int]] = {q: [] for q in range(len(self.one_qubit))}
        for one, other in self.two_qubit:
            neighbours[one].append(other)
            neighbours[other].append(one)

        def extend(line: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
            if len(line) == n_qubits:
                yield line
                return
            for qubit in neighbours[line[-1]]:
                if qubit not in line:
                    yield from extend((*line, qubit))

        for qubit in neighbours:
            yield from extend((qubit,))

    def rings(self, n_qubits: int) -> Iterator[tuple[int, ...]]:
        """All rings of at least three neighbours, from each qubit, in both directions."""
        for line in self.lines(n_qubits):
            if math.isfinite(self.between(line[-1], line[0])):
                yield line


def _instances(target: Target, name: str) -> dict[tuple[int, ...], InstructionProperties | None]:
    """What a target reports of a gate, per tuple of qubits."""
    if name not in target.operation_names:
        return {}
    return {qubits: found for qubits, found in target[name].items() if qubits is not None}


def _cost(reported: InstructionProperties | None) -> float:
    has_duration = reported is not None and reported.duration is not None
    return _error_cost(reported) if has_duration else math.inf


def _error_cost(reported: InstructionProperties | None) -> float:
    if reported is None or reported.error is None or reported.error >= 1:
        return math.inf
    return -math.log1p(-reported.error)
