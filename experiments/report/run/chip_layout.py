"""Where the qubits of a chip are drawn, known from its couplings alone.

Heavy-hexagon and square lattices are numbered along their rows, one row below the other: qubits
that are joined to the next number stand side by side, and every other coupling is vertical. Where
that is not so, the distances of the picture follow the numbers of couplings between two qubits,
by stress majorisation (Gansner, Koren and North, https://doi.org/10.1007/978-3-540-31843-9_25).

Letters: n qubits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import rustworkx
from numpy.typing import NDArray

Pair = tuple[int, int]
Point = tuple[int, int]

ROUNDS = 300
"""Of the majorisation; a chip of 100 qubits no longer moves then."""
TALLEST = 1.5
"""Height over width of a chip that is not turned."""


def chip_layout(n_qubits: int, coupling: Sequence[Pair]) -> NDArray[np.floating]:
    """Places (n, 2) of qubits, the second coordinate downwards; couplings are about 1 long."""
    places = _in_rows(n_qubits, coupling)
    if places is None:
        places = _by_distance(n_qubits, coupling)
    width, height = np.ptp(places, axis=0)
    # A page is wider than high.
    return places[:, ::-1] if height > TALLEST * width else places


def _in_rows(n_qubits: int, coupling: Sequence[Pair]) -> NDArray[np.floating] | None:
    """On a grid where every coupling has the length 1; None where the numbers give none."""
    joined: list[set[int]] = [set() for _ in range(n_qubits)]
    for one, other in coupling:
        joined[one].add(other)
        joined[other].add(one)
    starts = [qubit for qubit in range(n_qubits) if qubit == 0 or qubit - 1 not in joined[qubit]]
    first, *pending = [range(start, end) for start, end in pairwise([*starts, n_qubits])]
    placed = {qubit: (qubit, 0) for qubit in first}
    while pending:
        found = [(_below(row, joined, placed), row) for row in pending]
        # A qubit that lost its couplings still stands beside its neighbour.
        found += [(_beside(row, placed), row) for row in pending]
        start, row = next(((start, row) for start, row in found if start), (None, pending[0]))
        if start is None:
            return None
        placed |= {qubit: (start[0] + step, start[1]) for step, qubit in enumerate(row)}
        pending.remove(row)
    places = np.array([placed[qubit] for qubit in range(n_qubits)], dtype=float)
    lengths = [math.dist(places[one], places[other]) for one, other in coupling]
    alike = len(set(placed.values())) == n_qubits and all(length == 1 for length in lengths)
    return places - places.min(axis=0) if alike else None


def _below(row: range, joined: Sequence[set[int]], placed: dict[int, Point]) -> Point | None:
    """Where a row begins that hangs on one of those that are placed, or bears it."""
    for qubit in row:
        for other in joined[qubit] & placed.keys():
            x, y = placed[other]
            return x - (qubit - row.start), y + (1 if qubit > other else -1)
    return None


def _beside(row: range, placed: dict[int, Point]) -> Point | None:
    """Where a row begins whose number before, or behind, is placed."""
    if row.start - 1 in placed:
        x, y = placed[row.start - 1]
        return x + 1, y
    if row.stop in placed:
        x, y = placed[row.stop]
        return x - len(row), y
    return None


def _by_distance(n_qubits: int, coupling: Sequence[Pair]) -> NDArray[np.floating]:
    """By stress majorisation; a circle where every two are joined."""
    graph = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(n_qubits))
    graph.add_edges_from([(one, other, None) for one, other in coupling])
    distances = rustworkx.graph_distance_matrix(graph, null_value=math.inf)
    # Parts that nothing joins lie a little apart.
    apart = 2 + distances[np.isfinite(distances)].max()
    distances[np.isinf(distances)] = apart
    if distances.max() <= 1:
        turns = 2 * np.pi * np.arange(n_qubits) / n_qubits
        return n_qubits / (2 * np.pi) * (1 + np.stack([np.sin(turns), -np.cos(turns)], axis=1))
    places = _scaled_to(distances)
    weights = 1 / np.square(distances + np.eye(n_qubits))
    np.fill_diagonal(weights, 0)
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    for _ in range(ROUNDS):
        between = np.linalg.norm(places[:, None] - places[None], axis=2)
        ratio = weights * distances / np.maximum(between, 1e-9)
        np.fill_diagonal(ratio, 0)
        places = inverse @ (np.diag(ratio.sum(axis=1)) - ratio) @ places
    return places - places.min(axis=0)


def _scaled_to(distances: NDArray[np.floating]) -> NDArray[np.floating]:
    """Classical scaling (Torgerson, https://doi.org/10.1007/BF02288916)."""
    centring = np.eye(len(distances)) - 1 / len(distances)
    sizes, vectors = np.linalg.eigh(-0.5 * centring @ np.square(distances) @ centring)
    axes = vectors[:, [-1, -2]] * np.sqrt(np.maximum(sizes[[-1, -2]], 0))
    # An axis has no direction of its own: the first qubit is up and left.
    return axes * np.where(axes[0] > 0, -1, 1)
