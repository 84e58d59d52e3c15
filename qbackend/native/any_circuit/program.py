"""What the kernels read of a circuit: its stages as flat arrays.

Letters: F features, W weights, M observables, S stages, D = 2^Q amplitudes, P' moving angles,
P'' shared ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...layers.expressions import ExpressionInputs
from ...layers.program import LayerProgram
from .split_tape import SplitTape, split
from .stages import Hadamards, Observables, Pair, Phases, Stage, cost, staged
from .turned import turned_circuit

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.floating]

PAIR, PHASES, TABLE, HADAMARDS = range(4)


class Program(NamedTuple):
    """A circuit for one number format.

    Attributes:
        tape: the angles; see `SplitTape`.
        stages: (S, 7) kind; for a pair whether its angle moves, the angle, x, z, whether its
            phase is odd, its sign; for phases and a table first and last of their turns, and the
            number of the table; for Hadamard gates the mask.
        masks: z of every turn in phases and tables.
        angles: the angle of each of these, a moving or a shared one.
        signs: (D,) of amplitudes, negative where the index has an odd number of bits.
        start: (2, D) real and imaginary parts.
        groups: (G, 3) x of strings that are measured together, first and last of their entries.
        entries: (E, 2) the output, and whether there is an imaginary part.
        tables: (2 E, D) what an output takes of |a|^2 or of conj(b) a, real and imaginary.
        n_tables: how many stages are tables.
        n_outputs: M.
    """

    tape: SplitTape
    stages: IntArray
    masks: IntArray
    angles: IntArray
    signs: FloatArray
    start: FloatArray
    groups: IntArray
    entries: IntArray
    tables: FloatArray
    n_tables: int
    n_outputs: int


class Shared(NamedTuple):
    """What all rows share for one weight vector.

    Attributes:
        nodes: (K,) of the tape.
        cosines, sines: (P'',) of half the shared angles.
        tables: (2 n, D) cosines and sines of the phases of every table.
    """

    nodes: NDArray[np.float64]
    cosines: FloatArray
    sines: FloatArray
    tables: FloatArray


def program_of(program: LayerProgram, dtype: DTypeLike) -> tuple[Program, int]:
    """The kernels' program, and its instructions per amplitude forwards."""
    assert isinstance(program.inputs, ExpressionInputs)
    circuit = turned_circuit(program)
    inputs = program.inputs
    n_angles, n_moving = len(inputs.by_features), int(inputs.by_features.sum())
    constant = [turn for turn in circuit.turns if turn.angle < 0]
    numbers = {id(turn): n_angles + k for k, turn in enumerate(constant)}
    turns = [
        turn if turn.angle >= 0 else type(turn)(turn.string, numbers[id(turn)], turn.offset)
        for turn in circuit.turns
    ]
    stages, observables = staged(
        turns, circuit.observables, circuit.n_qubits, lambda turn: turn.angle < n_moving
    )
    rows, masks, angles, n_tables = _rows(stages, n_moving)
    groups, entries, tables = _measured(observables, len(circuit.start))
    index = np.arange(len(circuit.start))
    found = Program(
        tape=split(inputs, [turn.offset for turn in constant]),
        stages=np.array(rows, dtype=np.int64).reshape(-1, 7),
        masks=np.array(masks, dtype=np.int64),
        angles=np.array(angles, dtype=np.int64),
        signs=(1.0 - 2.0 * (np.bitwise_count(index) % 2)).astype(dtype),
        start=np.stack([circuit.start.real, circuit.start.imag]).astype(dtype),
        groups=groups,
        entries=entries,
        tables=tables.astype(dtype),
        n_tables=n_tables,
        n_outputs=len(observables),
    )
    measuring = sum(2 if has_imaginary else 1 for _, has_imaginary in entries.tolist())
    return found, cost(stages, circuit.n_qubits) + measuring


def _rows(
    stages: list[Stage], n_moving: int
) -> tuple[list[tuple[int, ...]], list[int], list[int], int]:
    rows: list[tuple[int, ...]] = []
    masks: list[int] = []
    angles: list[int] = []
    n_tables = 0
    for stage in stages:
        match stage:
            case Hadamards(mask):
                rows.append((HADAMARDS, mask, 0, 0, 0, 0, 0))
            case Pair(turn):
                string, moves = turn.string, turn.angle < n_moving
                angle = turn.angle if moves else turn.angle - n_moving
                sign = 1 - (string.phase & 2)
                rows.append((PAIR, moves, angle, string.x, string.z, string.phase & 1, sign))
            case Phases(turns, moves):
                first = len(masks)
                for turn in turns:
                    masks.append(turn.string.z)
                    angles.append(turn.angle if moves else turn.angle - n_moving)
                    # A string of Z has a sign of its own: it belongs to the angle.
                    if turn.string.phase == 2:
                        masks[-1] = ~turn.string.z
                rows.append((PHASES if moves else TABLE, first, len(masks), n_tables, 0, 0, 0))
                n_tables += not moves
    return rows, masks, angles, n_tables


def _measured(observables: Observables, dimension: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Groups, entries and tables of the observables."""
    index = np.arange(dimension)
    groups: list[tuple[int, int, int]] = []
    entries: list[tuple[int, bool]] = []
    tables: list[FloatArray] = []
    for x in sorted({string.x for terms in observables for string, _ in terms}):
        first = len(entries)
        for output, terms in enumerate(observables):
            table = np.zeros((2, dimension))
            for string, value in terms:
                if string.x == x:
                    signs = 1.0 - 2.0 * (np.bitwise_count(index & string.z) % 2)
                    signs *= value * (1 - (string.phase & 2)) * (2 if x else 1)
                    table[string.phase & 1] += -signs if string.phase & 1 else signs
            if table.any():
                entries.append((output, bool(table[1].any())))
                tables.append(table)
        groups.append((x, first, len(entries)))
    return (
        np.array(groups, dtype=np.int64).reshape(-1, 3),
        np.array(entries, dtype=np.int64).reshape(-1, 2),
        np.concatenate(tables) if tables else np.zeros((0, dimension)),
    )
