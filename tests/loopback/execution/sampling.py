"""Sample a circuit by Aer, however many qubits of the machine it measures.

The client-side primitives measure every qubit of a machine, of which few are entangled. A circuit
falls into parts that no operation joins; each part is simulated by itself, with the noise of its
own qubits, which is exact because Aer's device noise has no crosstalk. Circuits this small only
lose to a second thread, up to tenfold on a busy machine.

Letters: N rows, P circuit parameters, S shots, C classical bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Bit, CircuitInstruction
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import SamplerV2

IDLE_TOGETHER = 4
"""Single qubits simulated in one circuit: fewer circuits, and density matrices still small."""

NoiseOf = Callable[[tuple[int, ...]], NoiseModel | None]


@dataclass(frozen=True)
class Part:
    """What nothing joins to the rest: `circuit` on the qubits and clbits with these numbers."""

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    clbits: tuple[int, ...]


def sample(
    circuit: QuantumCircuit,
    values: NDArray[np.float64],
    shots: int,
    noise_of: NoiseOf,
    seeds: np.random.Generator,
) -> NDArray[np.bool_]:
    """Measured bits, (N, S, C), for rows (N, P) in the order of `circuit.parameters`.

    Raises:
        ValueError: the circuit has control flow.
    """
    bits = np.zeros((len(values), shots, circuit.num_clbits), dtype=bool)
    column = {parameter: index for index, parameter in enumerate(circuit.parameters)}
    for part in independent_parts(circuit):
        aer = {"noise_model": noise_of(part.qubits), "max_parallel_threads": 1}
        sampler = SamplerV2(seed=int(seeds.integers(2**31)), options={"backend_options": aer})
        parameters = tuple(part.circuit.parameters)
        if parameters:
            own = BindingsArray({parameters: values[:, [column[p] for p in parameters]]})
            result = sampler.run([(part.circuit, own, shots)]).result()
        else:
            result = sampler.run([(part.circuit, None, len(values) * shots)]).result()
        measured = result[0].data.c.to_bool_array(order="little")
        bits[:, :, part.clbits] = measured.reshape(len(values), shots, len(part.clbits))
    return bits


def independent_parts(circuit: QuantumCircuit) -> list[Part]:
    """The parts of `circuit` that measure something; lone qubits are put together by fours."""
    if circuit.has_control_flow_op():
        raise ValueError("circuits with control flow are not simulated")
    joined = _Joined()
    instructions = [i for i in circuit.data if i.operation.name != "barrier"]
    for instruction in instructions:
        joined.join([*instruction.qubits, *instruction.clbits])
    groups: dict[Bit, list[CircuitInstruction]] = {}
    for instruction in instructions:
        groups.setdefault(joined.root(instruction.qubits[0]), []).append(instruction)
    measuring = [group for group in groups.values() if any(i.clbits for i in group)]
    entangled = [group for group in measuring if any(len(i.qubits) > 1 for i in group)]
    lone = [group for group in measuring if all(len(i.qubits) == 1 for i in group)]
    for start in range(0, len(lone), IDLE_TOGETHER):
        entangled.append([i for group in lone[start : start + IDLE_TOGETHER] for i in group])
    return [_part(circuit, group) for group in entangled]


def _part(circuit: QuantumCircuit, instructions: list[CircuitInstruction]) -> Part:
    qubits = sorted({circuit.find_bit(q).index for i in instructions for q in i.qubits})
    clbits = sorted({circuit.find_bit(c).index for i in instructions for c in i.clbits})
    small = QuantumCircuit(len(qubits), len(clbits))
    for instruction in instructions:
        small.append(
            instruction.operation,
            [qubits.index(circuit.find_bit(q).index) for q in instruction.qubits],
            [clbits.index(circuit.find_bit(c).index) for c in instruction.clbits],
        )
    return Part(small, tuple(qubits), tuple(clbits))


class _Joined:
    """Disjoint sets of bits."""

    def __init__(self) -> None:
        self._parent: dict[Bit, Bit] = {}

    def root(self, bit: Bit) -> Bit:
        while (parent := self._parent.setdefault(bit, bit)) is not bit:
            self._parent[bit] = bit = self._parent[parent]
        return bit

    def join(self, bits: list[Bit]) -> None:
        for bit in bits[1:]:
            self._parent[self.root(bit)] = self.root(bits[0])
