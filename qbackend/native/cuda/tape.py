"""What the kernels of `tape.cu` are given: a tape's nodes in levels, and who uses each.

Letters: K nodes of what the weights decide, K' of what moves with the row, P angles, U uses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...layers.tape import ADD, CONSTANT, MULTIPLY, POWER, VARIABLE
from ..any_circuit.split_tape import SplitTape

THREADS = 128
"""Of a block."""
OF_ANGLE = 1 << 30
"""In a message, that it is an angle's."""
ANGLE, CROSSING = 2, 3
"""As what a node is used, where it is no operand, the left one 0 and the right one 1."""

IntArray = NDArray[np.int32]
Node = tuple[int, int, int]
"""Operation, left, right."""


@dataclass(frozen=True)
class Levels:
    """A tape whose nodes are in the order of their levels.

    Attributes:
        nodes: (K + 1, 4) operation, left, right, first use; the last node ends the uses.
        levels: first node of each, and behind the last.
        uses: (U,) by whom and as what.
        angles: (P,) the node of each.
    """

    nodes: IntArray
    levels: IntArray
    uses: IntArray
    angles: IntArray

    def __len__(self) -> int:
        return len(self.nodes) - 1

    @property
    def widest(self) -> int:
        """Nodes of a level, or angles, that can be done at once."""
        return int(max(np.diff(self.levels).max(initial=1), len(self.angles)))

    def missing(self, n_variables: int) -> bool:
        """Whether a variable is no node."""
        return int(np.sum(self.nodes[:-1, 0] == VARIABLE)) < n_variables


@dataclass(frozen=True)
class Tape:
    """Both parts of a circuit's tape.

    Attributes:
        shared, moving: see `SplitTape`.
        constants: (K,) of shared nodes.
        crossings: first use by moving nodes of each shared one that has any; and behind the last.
        crossing_uses: those uses.
    """

    shared: Levels
    moving: Levels
    constants: NDArray[np.float64]
    crossings: IntArray
    crossing_uses: IntArray

    @property
    def row_threads(self) -> int:
        """That share a row: no more than have something to do."""
        return min(THREADS, 1 << (self.moving.widest - 1).bit_length())

    def shared_bytes(self, row_threads: int, *, back: bool) -> int:
        """Of a block's shared memory, as the kernels divide it."""
        rows, n_shared, n_moving = THREADS // row_threads, len(self.shared), len(self.moving)
        if not back:
            return 8 * (n_shared + rows * n_moving + 1)
        return 8 * (2 * n_shared + len(self.crossings) - 1 + 2 * rows * n_moving + THREADS)


@dataclass(frozen=True)
class TapeVariant:
    """What the kernels are compiled for; see `Variant`."""

    is_double: bool

    source: ClassVar[str] = "tape.cu"
    threads: ClassVar[int] = THREADS

    @property
    def definitions(self) -> list[str]:
        """As a compiler's options."""
        return ["-DDOUBLE"] if self.is_double else []


class LevelsParameters(ctypes.Structure):
    """`Tape` of the kernels."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("nodes", "levels", "uses", "angles")),
        *((name, ctypes.c_int) for name in ("n_nodes", "n_levels", "n_angles", "spare")),
    )


class TapeParameters(ctypes.Structure):
    """`Parameters` of the kernels."""

    _fields_ = (
        ("shared", LevelsParameters),
        ("moving", LevelsParameters),
        *(
            (name, ctypes.c_void_p)
            for name in (
                "constants", "crossings", "crossing_uses", "features", "weights", "shared_halves",
                "row_halves", "whole", "of_shared_angles", "of_row_angles", "of_features",
                "of_weights", "partial", "counter", "fault",
            )
        ),
        *(
            (name, ctypes.c_int)
            for name in (
                "n_rows", "n_features", "n_weights", "n_crossings", "row_threads", "spare",
            )
        ),
    )  # fmt: skip


def levelled(split: SplitTape) -> Tape:
    """The tape for the kernels."""
    shared_levels, shared_places = _levels(split.shared)
    moving_levels, moving_places = _levels(split.moving)
    shared = _renumbered(split.shared, shared_places, shared_places)
    moving = _renumbered(split.moving, moving_places, shared_places)
    constants = np.empty(len(shared))
    constants[shared_places] = split.constants
    shared_angles = shared_places[split.shared_angles]
    moving_angles = moving_places[split.moving_angles]

    of_shared, of_moving = (
        _of_angles(len(shared), shared_angles),
        _of_angles(len(moving), moving_angles),
    )
    crossings: dict[int, list[int]] = {}
    for user, node in enumerate(moving):
        for side, operand in enumerate(_operands(node)):
            uses = of_moving[operand] if operand >= 0 else crossings.setdefault(~operand, [])
            uses.append(user << 2 | side)
    for user, node in enumerate(shared):
        for side, operand in enumerate(_operands(node)):
            of_shared[operand].append(user << 2 | side)
    # Nobody asks for a constant's gradient.
    is_constant = [node[0] == CONSTANT for node in shared]
    crossings = {node: uses for node, uses in crossings.items() if not is_constant[node]}
    of_shared = [[] if known else uses for known, uses in zip(is_constant, of_shared, strict=True)]
    for crossing, place in enumerate(crossings):
        of_shared[place].append(crossing << 2 | CROSSING)
    firsts, crossing_uses = _flat(crossings.values())
    return Tape(
        shared=_tape(shared, shared_levels, of_shared, shared_angles),
        moving=_tape(moving, moving_levels, of_moving, moving_angles),
        constants=constants,
        crossings=firsts,
        crossing_uses=crossing_uses,
    )


def _operands(node: Node) -> tuple[int, ...]:
    operation, left, right = node
    if operation in (VARIABLE, CONSTANT):
        return ()
    return (left, right) if operation in (ADD, MULTIPLY, POWER) else (left,)


def _levels(nodes: NDArray[np.int64]) -> tuple[IntArray, NDArray[np.int64]]:
    """First nodes of the levels, and where each node then is."""
    level: list[int] = []
    for node in nodes.tolist():
        own = [level[operand] for operand in _operands(node) if operand >= 0]
        level.append(1 + max(own, default=-1))
    order = np.argsort(level, kind="stable")
    places = np.empty(len(level), dtype=np.int64)
    places[order] = np.arange(len(level))
    counts = np.bincount(level) if level else np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), places


def _renumbered(
    nodes: NDArray[np.int64], places: NDArray[np.int64], shared_places: NDArray[np.int64]
) -> list[Node]:
    """In their order of levels, with operands by their places there."""
    found: list[Node] = [(0, 0, 0)] * len(nodes)
    for place, node in zip(places.tolist(), nodes.tolist(), strict=True):
        operation, *sides = node
        if _operands(node):
            sides = [
                int(places[side]) if side >= 0 else ~int(shared_places[~side]) for side in sides
            ]
        found[place] = operation, sides[0], sides[1]
    return found


def _of_angles(n_nodes: int, angles: NDArray[np.int64]) -> list[list[int]]:
    """The uses of nodes as angles."""
    uses: list[list[int]] = [[] for _ in range(n_nodes)]
    for angle, node in enumerate(angles.tolist()):
        uses[node].append(angle << 2 | ANGLE)
    return uses


def _flat(uses: Collection[list[int]]) -> tuple[IntArray, IntArray]:
    """The first of each, behind the last, and all of them."""
    firsts = np.cumsum([0, *map(len, uses)])
    return firsts.astype(np.int32), np.array(list(chain(*uses)), dtype=np.int32)


def _tape(
    nodes: list[Node], levels: IntArray, uses: list[list[int]], angles: NDArray[np.int64]
) -> Levels:
    firsts, flat = _flat(uses)
    table = np.zeros((len(nodes) + 1, 4), dtype=np.int32)
    table[:-1, :3] = np.array(nodes, dtype=np.int32).reshape(-1, 3)
    table[:, 3] = firsts
    return Levels(table, levels, flat, angles.astype(np.int32))
