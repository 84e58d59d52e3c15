"""A tape in two: what the weights alone decide, and what moves with the row.

Letters: F features, W weights, P angles, K nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...layers.expressions import ExpressionInputs
from ...layers.tape import CONSTANT, VARIABLE

IntArray = NDArray[np.int64]


class SplitTape(NamedTuple):
    """Nodes in the order of their evaluation.

    Attributes:
        shared: (K, 3) operation, left, right of nodes that the weights decide; the number of a
            weight, and whatever a constant is, in `left` and in `constants`.
        constants: (K,) of these.
        moving: (K', 3) of the others. An operand is a node of the same kind, or ~node of a shared
            one; a feature's number is in `left`.
        shared_angles: (P - P',) the shared nodes that are angles, in the order of the angles.
        moving_angles: (P',) the moving ones.
    """

    shared: IntArray
    constants: NDArray[np.float64]
    moving: IntArray
    shared_angles: IntArray
    moving_angles: IntArray


def split(inputs: ExpressionInputs, offsets: list[float]) -> SplitTape:
    """The inputs' tape, and behind its shared angles constant ones."""
    tape = inputs.tape
    moves = tape.depends_on(range(inputs.n_features))
    shared: list[tuple[int, int, int]] = []
    constants: list[float] = []
    moving: list[tuple[int, int, int]] = []
    place: list[int] = []
    for node, operation in enumerate(tape.operations.tolist()):
        left, right = int(tape.left[node]), int(tape.right[node])
        if moves[node]:
            if operation != VARIABLE:
                left, right = place[left], place[right]
            place.append(len(moving))
            moving.append((operation, left, right))
            continue
        if operation == VARIABLE:
            left -= inputs.n_features
        elif operation != CONSTANT:
            left, right = ~place[left], ~place[right]
        place.append(~len(shared))
        shared.append((operation, left, right))
        constants.append(float(tape.constants[node]))
    angles = [place[node] for node in tape.outputs.tolist()]
    for offset in offsets:
        angles.append(~len(shared))
        shared.append((CONSTANT, 0, 0))
        constants.append(offset)
    return SplitTape(
        shared=np.array(shared, dtype=np.int64).reshape(-1, 3),
        constants=np.array(constants, dtype=np.float64),
        moving=np.array(moving, dtype=np.int64).reshape(-1, 3),
        shared_angles=np.array([~node for node in angles if node < 0], dtype=np.int64),
        moving_angles=np.array([node for node in angles if node >= 0], dtype=np.int64),
    )
