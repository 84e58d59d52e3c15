"""Disjoint places of a device for copies of one compiled layer, the best reported errors first.

A place is a set of qubits whose neighbours are joined as the layer's are (subgraph isomorphism by
VF2, Cordella et al., https://doi.org/10.1109/TPAMI.2004.75, in rustworkx). As many as fit are
packed by taking, again and again, the place that shuts out the fewest others; several random orders
of equal ones are tried.

Letters: C copies, K candidates, q qubits of the layer, n of the device.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import rustworkx
from numpy.typing import NDArray

from ..layers.inputs import Array
from ..seam.requests import CompiledLayer
from .placement import active_qubits
from .reported_costs import ReportedCosts

Place = tuple[int, ...]
"""A device's qubits, in the order of the layer's own in ascending order."""

ORDERS = 64
"""Random orders in which places that shut out equally many are taken."""
MOST_EMBEDDINGS = 50_000
"""That are looked at; wide layers have more, of which few fit beside each other."""
MOST_PLACES = 2_000
"""The best of them, among which disjoint ones are looked for."""


@dataclass(frozen=True)
class _Needs:
    """What a layer does on its q qubits, by their positions.

    Attributes:
        pulses: how many one-qubit gates that take time, on each.
        joined: how many two-qubit gates, on each pair in ascending order.
        measured: those that observables ask for.
    """

    pulses: Counter[int]
    joined: Counter[tuple[int, int]]
    measured: tuple[int, ...]

    @classmethod
    def of(cls, compiled: CompiledLayer) -> _Needs:
        position = {qubit: index for index, qubit in enumerate(active_qubits(compiled))}
        pulses, joined = Counter[int](), Counter[tuple[int, int]]()
        for item in compiled.circuit.data:
            on = sorted(position[compiled.circuit.find_bit(qubit).index] for qubit in item.qubits)
            if len(on) == 2:
                joined[on[0], on[1]] += 1
            elif item.operation.name != "rz":
                pulses[on[0]] += 1
        return cls(pulses, joined, tuple(position[qubit] for qubit in compiled.observed))

    def costs(self, costs: ReportedCosts, places: NDArray[np.int_], part: Sequence[int]) -> Array:
        """Of K places of some of the qubits, (K,): -log of the product of reported fidelities."""
        column = {position: index for index, position in enumerate(part)}
        one_qubit, readout = np.array(costs.one_qubit), np.array(costs.readout)
        two_qubit = np.full((len(one_qubit), len(one_qubit)), math.inf)
        for (one, other), cost in costs.two_qubit.items():
            two_qubit[one, other] = two_qubit[other, one] = cost
        total = np.zeros(len(places))
        for position, count in self.pulses.items():
            if position in column:
                total += count * one_qubit[places[:, column[position]]]
        for (one, other), count in self.joined.items():
            if one in column:
                total += count * two_qubit[places[:, column[one]], places[:, column[other]]]
        for position in self.measured:
            if position in column:
                total += readout[places[:, column[position]]]
        return total


def find_copies(
    compiled: CompiledLayer,
    costs: ReportedCosts,
    *,
    border: int = 1,
    within: float = 0.1,
    most: int | None = None,
) -> list[Place]:
    """C disjoint places for a layer, those with the best reported errors first.

    Args:
        compiled: over the device's qubits.
        costs: what the device reports.
        border: idle qubits on every way from one copy to another.
        within: by which share a place's reported fidelity may be lower than the best one's.
        most: how many are enough; the better ones of them.
    """
    needs, n_qubits = _Needs.of(compiled), len(active_qubits(compiled))
    graph = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(len(costs.one_qubit)))
    graph.add_edges_from([(one, other, None) for one, other in costs.two_qubit])
    near = _within(costs, border)
    parts = _parts(needs, n_qubits)
    found = [_candidates(needs, costs, graph, part, active_qubits(compiled)) for part in parts]
    if any(len(places) == 0 for places, _ in found):
        return []
    margin = -math.log1p(-within)
    if len(parts) == 1:
        places, totals = found[0]
        kept = np.flatnonzero(totals <= totals[0] + margin + 1e-12)[:MOST_PLACES]
        return _packed(places[kept], totals[kept], near, most)
    return list(islice(_put_together(parts, found, near, margin), most))


def _parts(needs: _Needs, n_qubits: int) -> list[list[int]]:
    """Positions that two-qubit gates join, each part in ascending order."""
    graph = rustworkx.PyGraph()
    graph.add_nodes_from(range(n_qubits))
    graph.add_edges_from([(one, other, None) for one, other in needs.joined])
    return sorted(sorted(part) for part in rustworkx.connected_components(graph))


def _candidates(
    needs: _Needs,
    costs: ReportedCosts,
    graph: rustworkx.PyGraph,
    part: Sequence[int],
    own: Sequence[int],
) -> tuple[NDArray[np.int_], Array]:
    """Places (K, q) of a part with their costs (K,), ascending; of equal qubits the best order.

    Where the layer was compiled to is among them: `own` has its qubits.
    """
    pattern = rustworkx.PyGraph()
    pattern.add_nodes_from(part)
    index = {position: number for number, position in enumerate(part)}
    joined = [(index[one], index[other], None) for one, other in needs.joined if one in index]
    pattern.add_edges_from(joined)
    if len(part) == 1:
        places = np.arange(len(costs.one_qubit))[:, None]
    else:
        # The mapping leads from the device's qubits to the pattern's.
        mappings = islice(
            rustworkx.vf2_mapping(graph, pattern, subgraph=True, induced=False), MOST_EMBEDDINGS
        )
        rows = [sorted(each, key=each.__getitem__) for each in map(dict, mappings)]
        places = np.array([*rows, [own[position] for position in part]], dtype=int)
    totals = needs.costs(costs, places, part)
    order = np.lexsort((*places.T[::-1], totals))
    order = order[np.isfinite(totals[order])]
    _, first = np.unique(np.sort(places[order], axis=1), axis=0, return_index=True)
    best = order[np.sort(first)]
    return places[best], totals[best]


def _within(costs: ReportedCosts, border: int) -> NDArray[np.bool_]:
    """Which qubits (n, n) may not belong to two copies, because so few lie between.

    A coupling whose gate is broken still disturbs.
    """
    size = len(costs.one_qubit)
    couplings = costs.target.build_coupling_map()
    step = np.eye(size, dtype=bool)
    for one, other in [] if couplings is None else couplings.get_edges():
        step[one, other] = step[other, one] = True
    reached = np.eye(size, dtype=bool)
    for _ in range(border):
        reached = (reached.astype(int) @ step.astype(int)) > 0
    return reached


def _packed(
    places: NDArray[np.int_], totals: Array, near: NDArray[np.bool_], most: int | None
) -> list[Place]:
    """As many of K places as fit, in the order of their costs."""
    if len(places) == 0:
        return []
    taken = np.zeros((len(places), len(near)), dtype=np.float32)
    np.put_along_axis(taken, places, values=1.0, axis=1)
    shuts_out = (taken @ near.astype(np.float32) @ taken.T) > 0
    best = _in_order(shuts_out)
    if most is None or len(best) < most:
        random = np.random.default_rng(0)
        tried = [best, *(_fewest_first(shuts_out, random) for _ in range(ORDERS))]
        best = max(tried, key=lambda chosen: (len(chosen), -totals[chosen].sum()))
    return [tuple(map(int, places[index])) for index in sorted(best)[:most]]


def _in_order(shuts_out: NDArray[np.bool_]) -> list[int]:
    """The best place, the best of those that it leaves, and so on."""
    chosen, free = [], np.ones(len(shuts_out), dtype=bool)
    for index in range(len(shuts_out)):
        if free[index]:
            chosen.append(index)
            free &= ~shuts_out[index]
    return chosen


def _fewest_first(shuts_out: NDArray[np.bool_], random: np.random.Generator) -> list[int]:
    """Always one of the places that shut out the fewest of those that are left."""
    chosen: list[int] = []
    free = np.ones(len(shuts_out), dtype=bool)
    lost = shuts_out.sum(axis=1)
    while free.any():
        left = np.flatnonzero(free)
        index = int(random.choice(left[lost[left] == lost[left].min()]))
        chosen.append(index)
        gone = np.flatnonzero(free & shuts_out[index])
        free[gone] = False
        lost = lost - shuts_out[:, gone].sum(axis=1)
    return chosen


def _put_together(
    parts: Sequence[Sequence[int]],
    found: Sequence[tuple[NDArray[np.int_], Array]],
    near: NDArray[np.bool_],
    margin: float,
) -> Iterator[Place]:
    """Copies of a layer whose parts nothing joins, each of the best places that are left."""
    blocked = np.zeros(len(near), dtype=bool)
    best = None
    while True:
        own: dict[int, int] = {}
        total = 0.0
        for part, (places, totals) in zip(parts, found, strict=True):
            free = ~(blocked[places] | np.isin(places, list(own.values()))).any(axis=1)
            if not free.any():
                return
            first = int(np.argmax(free))
            own |= dict(zip(part, places[first].tolist(), strict=True))
            total += totals[first]
        best = total if best is None else best
        if total > best + margin:
            return
        yield tuple(own[position] for position in range(len(own)))
        blocked |= near[list(own.values())].any(axis=0)
