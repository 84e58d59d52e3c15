"""What a circuit takes of a control system: instructions per qubit, and two-qubit gates.

The weights and the limits are IBM's; dynamical decoupling and zero-noise extrapolation by folding
count with what they add. https://quantum.cloud.ibm.com/docs/guides/job-limits
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..circuits.fractional import executed
from ..circuits.measuring import turned_circuits
from ..machines.options import ExecutionOptions
from ..seam.requests import CompiledLayer

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

INSTRUCTIONS_PER_QUBIT = 26_800_000
"""That a job may have of all its circuits together."""
TWO_QUBIT_GATES = 5_000_000
"""That a job may have of all its circuits together."""

INIT, MEASURE = 50, 10
VIRTUAL, ONE_QUBIT, TWO_QUBIT = 1, 2, 5
"""Of a rotation about Z, any other gate on one qubit, and one on two: rz, sx and cz."""
_VIRTUAL_GATES = ("rz", "p", "u1", "delay")

PULSES = {"XX": 2, "XpXm": 2, "XY4": 4}
"""Of a decoupling sequence."""
PULSE = ONE_QUBIT + 2 * VIRTUAL
"""One of its pulses, with the changes of frame that give it its axis and sign."""

CALIBRATION = {
    "none": 0,
    "m3": 2 * (INIT + MEASURE) + ONE_QUBIT,
    "tensored": 2 * (INIT + MEASURE) + ONE_QUBIT,
    "trex": INIT + ONE_QUBIT + MEASURE,
}
"""Of a job's circuits that prepare all 0 and all 1, or all 0 twirled, on each qubit."""


@dataclass(frozen=True)
class Load:
    """What one row takes, and what a job takes beside its rows.

    Attributes:
        instructions: on its busiest qubit.
        two_qubit_gates: on all qubits.
        calibration: instructions on a qubit of the circuits that calibrate a job's readout.
    """

    instructions: int
    two_qubit_gates: int
    calibration: int = 0

    @property
    def most_rows(self) -> int:
        """Rows that a job may have."""
        by_gates = TWO_QUBIT_GATES // max(1, self.two_qubit_gates)
        left = INSTRUCTIONS_PER_QUBIT - self.calibration
        return min(left // self.instructions, by_gates)


def load_of(compiled: CompiledLayer, options: ExecutionOptions) -> Load:
    """What one row of a layer takes, in all its readouts; at most, each with a busiest qubit."""
    loads = [load(executed(circuit), options) for circuit in turned_circuits(compiled)]
    return Load(
        sum(each.instructions for each in loads),
        sum(each.two_qubit_gates for each in loads),
        CALIBRATION[options.readout_mitigation],
    )


def load(circuit: QuantumCircuit, options: ExecutionOptions) -> Load:
    """What one circuit takes, at all noise factors together.

    Where a sequence is put in is known once the service has scheduled the circuit: one is counted
    for every pause that a qubit can have, before each of its gates and before its measurement.
    """
    own, shared, pauses = Counter[int](), Counter[int](), Counter[int]()
    for item in circuit.data:
        name, qubits = item.operation.name, [circuit.find_bit(q).index for q in item.qubits]
        if name == "barrier":
            continue
        for qubit in qubits:
            if len(qubits) > 1:
                shared[qubit] += 1
                continue
            own[qubit] += VIRTUAL if name in _VIRTUAL_GATES else ONE_QUBIT
            pauses[qubit] += 1
    pulses = 0 if options.dynamical_decoupling is None else PULSES[options.dynamical_decoupling]
    factors = options.zne or (1.0,)
    busiest = max(
        sum(
            INIT
            + own[qubit]
            + factor * TWO_QUBIT * shared[qubit]
            + (pauses[qubit] + factor * shared[qubit] + 1) * pulses * PULSE
            + MEASURE
            for factor in factors
        )
        for qubit in range(circuit.num_qubits)
    )
    gates = sum(shared.values()) / 2 * sum(factors)
    return Load(round(busiest), round(gates), CALIBRATION[options.readout_mitigation])
