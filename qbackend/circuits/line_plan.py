"""A layer's CNOTs rearranged for a line or a ring of qubits, where only neighbours interact.

Three things are free. CNOTs behind the last rotation go into the observables. Which wire sits
where can change, because later rotations and observables are renamed. And where every rotation of
an ansatz is an RX, all rotations commute with each other when the CNOTs are pulled out to the end:
what remains is a rotation about an X string per weight, in any order, and each string has to sit
on one qubit at one time (a parity network, Amy, Azimzadeh and Mosca, arXiv 1712.01859). Then the
prepared state may be any relabelling of the basis states by a linear map.

Strings and readings are integers: the first of Q wires (or of Q positions) is the most significant
of Q bits, as in a basis state's index. X string s carries |b> to |b ^ s>; Z string t has the sign
(-1)^(parity of b & t).

Searches are beam searches, deterministic and without chance. With four wires they find the
least number of CNOTs: 4 for two layers of `basic_entangler`, on a line or a ring.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, TypeVar

from ..layers.ansatze import Axis, Cnots, Operation, Rotations
from ..layers.spec import LayerSpec

MAX_WIRES = 6
"""The searches stay within seconds up to here."""

BEAM_WIDTH = 2000

Cnot = tuple[int, int]
Frame = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
NetworkState = tuple[Frame, frozenset[int]]
MapState = tuple[Frame, Frame]
State = TypeVar("State")


@dataclass(frozen=True)
class Turn:
    """A rotation by weight number `weight` about `axis` of the qubit at `position`."""

    axis: Axis
    weight: int
    position: int


@dataclass(frozen=True)
class LinePlan:
    """A layer behind its preparation, on positions 0 to Q - 1.

    Attributes:
        frame: the X string over the layer's wires that X at each position is, at the start.
        steps: rotations, and CNOTs (control position, target position) between neighbours.
        measured: per observable, the Z string over positions to measure.
    """

    frame: Frame
    steps: tuple[Turn | Cnot, ...]
    measured: tuple[int, ...]

    @property
    def n_cnots(self) -> int:
        """Number of two-qubit gates."""
        return sum(not isinstance(step, Turn) for step in self.steps)

    def order(self) -> tuple[int, ...]:
        """Amplitude `order[k]` of the layer's state is amplitude k of the state at the start."""
        n_wires = len(self.frame)
        return tuple(
            _sum(self.frame[p] for p in range(n_wires) if k >> (n_wires - 1 - p) & 1)
            for k in range(2**n_wires)
        )


def neighbours(n_wires: int, *, closed: bool) -> Pairs:
    """The pairs of positions that interact, on a line or, `closed`, on a ring."""
    pairs = tuple((p, p + 1) for p in range(n_wires - 1))
    return (*pairs, (n_wires - 1, 0)) if closed else pairs


@cache
def plan_line(spec: LayerSpec, *, closed: bool) -> LinePlan:
    """The fewest CNOTs that a search finds; `closed` asks for a ring of at least three qubits.

    With angle encoding the frame only says which wire sits where, because only a product state
    of single wires is prepared; with amplitude encoding it can be any.
    """
    pairs = neighbours(spec.n_wires, closed=closed)
    body, tail = split_final_cnots(spec.operations)
    if all(operation.axis == "x" for operation in body if isinstance(operation, Rotations)):
        return _plan_commuting(spec, body, tail, pairs)
    return _plan_in_order(spec, body, tail, pairs)


def split_final_cnots(
    operations: Iterable[Operation],
) -> tuple[tuple[Operation, ...], tuple[Cnot, ...]]:
    """(operations up to the last rotation, CNOTs behind it)."""
    body, tail = list(operations), list[Cnot]()
    while body and isinstance(last := body[-1], Cnots):
        tail[:0] = last.pairs
        body.pop()
    return tuple(body), tuple(tail)


def measured_before(spec: LayerSpec, cnots: Iterable[Cnot]) -> tuple[int, ...]:
    """The Z strings over wires that, measured before `cnots`, are the layer's observables."""
    reversed_cnots = tuple(cnots)[::-1]
    strings = []
    for name in spec.observables:
        string = int(name.replace("I", "0").replace("Z", "1"), 2)
        for control, target in reversed_cnots:
            if string & _bit(target, spec.n_wires):
                string ^= _bit(control, spec.n_wires)
        strings.append(string)
    return tuple(strings)


def _plan_commuting(
    spec: LayerSpec, body: tuple[Operation, ...], tail: tuple[Cnot, ...], pairs: Pairs
) -> LinePlan:
    n_wires = spec.n_wires
    cnots: list[Cnot] = []
    weights_of: dict[int, list[int]] = {}
    for operation in body:
        if isinstance(operation, Cnots):
            cnots += operation.pairs
            continue
        for wire, weight in enumerate(operation.weights):
            string = _bit(wire, n_wires)
            for control, target in reversed(cnots):
                if string & _bit(control, n_wires):
                    string ^= _bit(target, n_wires)
            weights_of.setdefault(string, []).append(weight)

    strings = frozenset(weights_of)
    if spec.encoding == "amplitude":
        starts = _promising_frames(strings, n_wires, pairs)
    else:
        starts = list(permutations(_bit(wire, n_wires) for wire in range(n_wires)))
    start, additions = _parity_network(strings, starts, pairs)

    frame, steps = list(start), list[Turn | Cnot]()
    waiting = dict(weights_of)

    def turn(position: int) -> None:
        steps.extend(Turn("x", weight, position) for weight in waiting.pop(frame[position], ()))

    for position in range(n_wires):
        turn(position)
    for changed, added in additions:
        frame[changed] ^= frame[added]
        # A CNOT carries X of its control to X on both, and leaves X of its target.
        steps.append((changed, added))
        turn(changed)
    measured = _from_wires(measured_before(spec, (*cnots, *tail)), frame)
    return LinePlan(start, tuple(steps), measured)


def _plan_in_order(
    spec: LayerSpec, body: tuple[Operation, ...], tail: tuple[Cnot, ...], pairs: Pairs
) -> LinePlan:
    n_wires = spec.n_wires
    arrangements = list(permutations(range(n_wires)))
    start: tuple[int, ...] | None = None
    wire_at = arrangements[0]
    steps: list[Turn | Cnot] = []
    pending: list[Rotations] = []

    def turn() -> None:
        for rotations in pending:
            steps.extend(
                Turn(rotations.axis, rotations.weights[wire], position)
                for position, wire in enumerate(wire_at)
            )
        pending.clear()

    for operation in body:
        if isinstance(operation, Rotations):
            pending.append(operation)
            continue
        candidates = arrangements if start is None else [wire_at]
        wire_at, cnots, arrived = _relabelled_cnots(operation.pairs, candidates, pairs)
        if start is None:
            start = wire_at
        turn()
        steps.extend(cnots)
        wire_at = arrived
    turn()
    places = [_bit(wire, n_wires) for wire in wire_at]
    frame = tuple(_bit(wire, n_wires) for wire in (start or wire_at))
    return LinePlan(frame, tuple(steps), _from_wires(measured_before(spec, tail), places))


def _parity_network(
    strings: frozenset[int], starts: list[Frame], pairs: Pairs
) -> tuple[Frame, tuple[Cnot, ...]]:
    """(start, additions): (p, q) adds the string at q to the one at p; all strings are met."""

    def add(state: NetworkState, changed: int, added: int) -> NetworkState:
        frame, missing = state
        frame = _added(frame, changed, added)
        return frame, missing - {frame[changed]}

    def promise(state: NetworkState) -> tuple[int, int, Frame]:
        frame, missing = state
        near = {frame[p] ^ frame[q] for p, q in pairs} & missing
        return len(missing), -len(near), frame

    first = [(start, strings.difference(start)) for start in starts]
    (start, _), additions, _ = _beam_search(first, pairs, add, promise, lambda s: not s[1])
    return start, additions


def _promising_frames(strings: frozenset[int], n_wires: int, pairs: Pairs) -> list[Frame]:
    """Frames of independent strings in which many neighbours add up to further strings."""

    def promise(frame: Frame) -> tuple[int, Frame]:
        sums = {frame[p] ^ frame[q] for p, q in pairs if max(p, q) < len(frame)}
        return -len(sums & strings.difference(frame)), frame

    frames: list[Frame] = [()]
    for _ in range(n_wires):
        longer = [(*f, s) for f in frames for s in strings if s not in _span(f)]
        frames = heapq.nsmallest(BEAM_WIDTH, longer, key=promise)
    return frames


def _relabelled_cnots(
    cnots: Iterable[Cnot], arrangements: list[tuple[int, ...]], pairs: Pairs
) -> tuple[tuple[int, ...], tuple[Cnot, ...], tuple[int, ...]]:
    """(wire at each position before, CNOTs between neighbours, wire at each position after).

    What a position reads is written as a sum of what the wires read after `cnots`; the goal is
    one wire at each position. The second tuple is the inverse map, which steers the search.
    """
    wanted = tuple(cnots)
    n_wires = len(arrangements[0])
    after, before = list[int](), list[int]()
    for rows, order in ((after, wanted[::-1]), (before, wanted)):
        rows[:] = [_bit(wire, n_wires) for wire in range(n_wires)]
        for control, target in order:
            rows[target] ^= rows[control]
    columns = [
        _sum(_bit(row, n_wires) for row in range(n_wires) if before[row] & _bit(wire, n_wires))
        for wire in range(n_wires)
    ]

    def add(state: MapState, changed: int, added: int) -> MapState:
        readings, inverse = state
        return _added(readings, changed, added), _added(inverse, added, changed)

    def promise(state: MapState) -> tuple[int, MapState]:
        return sum(value.bit_count() for half in state for value in half), state

    def done(state: MapState) -> bool:
        return all(reading.bit_count() == 1 for reading in state[0])

    starts = {
        (tuple(after[w] for w in wire_at), tuple(columns[w] for w in wire_at)): wire_at
        for wire_at in arrangements
    }
    start, additions, end = _beam_search(list(starts), pairs, add, promise, done)
    arrived = tuple(n_wires - reading.bit_length() for reading in end[0])
    # A CNOT adds what its control reads to its target.
    return starts[start], tuple((added, changed) for changed, added in additions), arrived


def _beam_search(
    starts: list[State],
    pairs: Pairs,
    add: Callable[[State, int, int], State],
    promise: Callable[[State], Any],
    done: Callable[[State], bool],
) -> tuple[State, tuple[Cnot, ...], State]:
    """(start, moves, end), breadth first, with the most promising states of each depth."""
    moves = [move for p, q in pairs for move in ((p, q), (q, p))]
    level: dict[State, tuple[State, tuple[Cnot, ...]]] = {s: (s, ()) for s in starts}
    seen = set(level)
    while True:
        for state, (start, path) in level.items():
            if done(state):
                return start, path, state
        following: dict[State, tuple[State, tuple[Cnot, ...]]] = {}
        for state, (start, path) in level.items():
            for move in moves:
                reached = add(state, *move)
                if reached not in seen:
                    seen.add(reached)
                    following[reached] = (start, (*path, move))
        best = heapq.nsmallest(BEAM_WIDTH, following, key=promise)
        level = {state: following[state] for state in best}


def _bit(wire: int, n_wires: int) -> int:
    return 1 << (n_wires - 1 - wire)


def _added(values: Frame, changed: int, added: int) -> Frame:
    values_list = list(values)
    values_list[changed] ^= values_list[added]
    return tuple(values_list)


def _sum(strings: Iterable[int]) -> int:
    total = 0
    for string in strings:
        total ^= string
    return total


def _span(strings: Frame) -> set[int]:
    span = {0}
    for string in strings:
        span |= {string ^ other for other in span}
    return span


def _from_wires(z_strings: tuple[int, ...], frame: Iterable[int]) -> tuple[int, ...]:
    """Z strings over wires as Z strings over positions where X is the X string of `frame`."""
    places = tuple(frame)
    return tuple(
        _sum(
            _bit(position, len(places))
            for position, x_string in enumerate(places)
            if (z_string & x_string).bit_count() % 2
        )
        for z_string in z_strings
    )
