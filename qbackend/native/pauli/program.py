"""Noisy circuits as programs over Pauli vectors.

A compiled circuit alternates between what is constant and what turns: stages of transfer matrices,
then turns. `compile_program` cuts it where the data ends, so that what follows, shared by a whole
batch, can be pulled back onto the observables (Heisenberg's picture) once per weight vector.

Letters: P circuit parameters, K turns, M observables, N rows, Q qubits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from ...errors import OptionError
from ...layers.inputs import Array
from .transfer import ChannelAfter, Constant, Element, Turn, fuse, noisy_elements


@dataclass(frozen=True)
class Stage:
    """Constant matrices in order, then turns of different qubits."""

    constants: tuple[Constant, ...]
    turned: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """A part of a circuit.

    Attributes:
        stages: in order; their turns are numbered throughout.
        slopes: (K, P) derivatives of the turns' angles by the circuit's parameters.
        offsets: (K,) the angles where all parameters are zero, radians.
    """

    stages: tuple[Stage, ...]
    slopes: Array
    offsets: Array

    def angles(self, parameters: Array) -> Array:
        """The turns' angles for rows of parameters (N, P): (N, K)."""
        return parameters @ self.slopes.T + self.offsets


@dataclass(frozen=True)
class PauliProgram:
    """A compiled circuit in two parts.

    Attributes:
        n_qubits: Q.
        start: (4^Q,) the state before `head`.
        head: all that depends on the data, and what must come before that.
        tail: the rest, which is the same for all rows that share their weights.
        observables: (M, 4^Q) after `tail`, as the readout reports them.
    """

    n_qubits: int
    start: Array
    head: Segment
    tail: Segment
    observables: Array


def compile_program(
    circuit: QuantumCircuit,
    parameters: Sequence[Parameter],
    n_angles: int,
    observables: Sequence[SparsePauliOp],
    channel_after: ChannelAfter,
    assignment: Array,
) -> PauliProgram:
    """The program of a circuit of one- and two-qubit gates without measurements.

    Args:
        circuit: with its parameters open.
        parameters: P, in the order of a row.
        n_angles: how many of them, from the first, depend on the data.
        observables: M sums of strings of I and Z over the circuit's qubits.
        channel_after: the noise.
        assignment: (Q, 2, 2) probability to read column j where the qubit is in state i.

    Raises:
        OptionError: a parameter in a gate that is not among `TURNS`, or not affinely; an
            observable with an X or a Y.
    """
    head, tail = _cut(fuse(noisy_elements(circuit, parameters, channel_after)), n_angles)
    segment = _segment(head, len(parameters))
    first, *others = segment.stages
    # |0><0| = (I + Z) / 2 on every qubit.
    start = reduce(np.kron, [np.array([1.0, 0.0, 0.0, 1.0])] * circuit.num_qubits)
    for constant in first.constants:
        start = apply_constant(constant, start)
    return PauliProgram(
        n_qubits=circuit.num_qubits,
        start=start,
        head=Segment((Stage((), first.turned), *others), segment.slopes, segment.offsets),
        tail=_segment(tail, len(parameters)),
        observables=np.stack([_as_read(observable, assignment) for observable in observables]),
    )


def apply_constant(constant: Constant, vector: Array) -> Array:
    """The matrix on one Pauli vector (4^Q,)."""
    n_qubits = (len(vector).bit_length() - 1) // 2
    axes = [n_qubits - 1 - qubit for qubit in reversed(constant.qubits)]
    tensor = np.moveaxis(vector.reshape([4] * n_qubits), axes, range(len(axes)))
    product = constant.matrix @ tensor.reshape(len(constant.matrix), -1)
    return np.moveaxis(product.reshape(tensor.shape), range(len(axes)), axes).ravel()


def _as_read(observable: SparsePauliOp, assignment: Array) -> Array:
    """An observable before the readout, (4^Q,).

    A qubit read as z has the expectation a_0 in |0> and a_1 in |1>, so that its Z becomes
    (a_0 + a_1) / 2 + Z (a_0 - a_1) / 2.
    """
    means = assignment[:, :, 0] - assignment[:, :, 1]
    total = np.zeros(4 ** len(assignment))
    for label, coefficient in observable.to_list():
        if set(label) - {"I", "Z"} or coefficient.imag != 0:
            raise OptionError(
                f"the observable {observable.to_list()} is no real sum of products of Z, which is "
                "all that 'native:DEVICE' measures; the observables of a LayerSpec are of that kind"
            )
        factors = []
        for qubit, letter in zip(reversed(range(len(label))), label, strict=True):
            zero, one = means[qubit] if letter == "Z" else (1.0, 1.0)
            factors.append(np.array([(zero + one) / 2, 0, 0, (zero - one) / 2]))
        total += coefficient.real * reduce(np.kron, factors)
    return total


def _cut(elements: Sequence[Element], n_angles: int) -> tuple[list[Element], list[Element]]:
    """The elements that must come before some turn by the data, and the others."""
    head: list[Element] = []
    tail: list[Element] = []
    reached: set[int] = set()
    for element in reversed(elements):
        by_data = isinstance(element, Turn) and element.slopes[:n_angles].any()
        if by_data or reached & set(element.qubits):
            reached |= set(element.qubits)
            head.append(element)
        else:
            tail.append(element)
    return head[::-1], tail[::-1]


def _segment(elements: Sequence[Element], n_parameters: int) -> Segment:
    """Every element in the earliest stage that its qubits allow."""
    constants: list[list[Constant]] = [[]]
    turns: list[list[Turn]] = [[]]
    ready: dict[int, int] = {}
    for element in elements:
        stage = max(ready.get(qubit, 0) for qubit in element.qubits)
        if stage == len(constants):
            constants.append([])
            turns.append([])
        if isinstance(element, Turn):
            turns[stage].append(element)
            ready[element.qubit] = stage + 1
        else:
            constants[stage].append(element)
            ready |= dict.fromkeys(element.qubits, stage)
    numbered = [turn for group in turns for turn in group]
    return Segment(
        stages=tuple(
            Stage(tuple(group), tuple(turn.qubit for turn in turned))
            for group, turned in zip(constants, turns, strict=True)
        ),
        slopes=np.array([turn.slopes for turn in numbered]).reshape(len(numbered), n_parameters),
        offsets=np.array([turn.offset for turn in numbered]),
    )
