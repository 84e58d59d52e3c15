"""Trainable circuits as plain data: rotations and CNOTs over wires.

The one description is read by the compiler (Qiskit circuits), by `native` (kernels) and by `aer`
(where to cut the circuit for derivatives), so that an ansatz is written once. Weights are flat,
ordered (layer, wire, angle). The definitions agree with PennyLane's `BasicEntanglerLayers` and
`StronglyEntanglingLayers` (https://docs.pennylane.ai/en/stable/introduction/templates.html);
`rotation_only` and `unentangled` are the two without their CNOTs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import UnknownNameError, suggest

Axis = Literal["x", "y", "z"]


@dataclass(frozen=True)
class Rotations:
    """exp(-i w[weights[q]] P/2) on every wire q, with P the Pauli matrix of `axis`."""

    axis: Axis
    weights: tuple[int, ...]


@dataclass(frozen=True)
class Cnots:
    """CNOTs in order, each (control wire, target wire)."""

    pairs: tuple[tuple[int, int], ...]


Operation = Rotations | Cnots


@dataclass(frozen=True)
class Ansatz:
    """A family of trainable circuits.

    `angles_per_wire` is the number of weights that one wire takes in one layer; `layer` lists one
    layer's operations from (n_wires, index of the layer, index of its first weight).
    """

    name: str
    angles_per_wire: int
    layer: Callable[[int, int, int], tuple[Operation, ...]]

    def n_weights(self, n_wires: int, n_layers: int) -> int:
        """W, the number of weights."""
        return self.angles_per_wire * n_wires * n_layers

    def operations(self, n_wires: int, n_layers: int) -> tuple[Operation, ...]:
        """The whole circuit in the order of execution."""
        per_layer = self.angles_per_wire * n_wires
        return tuple(
            operation
            for index in range(n_layers)
            for operation in self.layer(n_wires, index, index * per_layer)
        )


def _cycle(n_wires: int, reach: int) -> Cnots:
    return Cnots(tuple((wire, (wire + reach) % n_wires) for wire in range(n_wires)))


def _basic_entangler(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    rotations = _rotation_only(n_wires, index, first)
    if n_wires == 1:
        return rotations
    # On two wires the ring would undo half of itself: it is one CNOT there.
    return (*rotations, Cnots(((0, 1),)) if n_wires == 2 else _cycle(n_wires, 1))


def _rotation_only(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    return (Rotations("x", tuple(range(first, first + n_wires))),)


def _unentangled(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    phi, theta, omega = (
        tuple(first + 3 * wire + angle for wire in range(n_wires)) for angle in range(3)
    )
    return (Rotations("z", phi), Rotations("y", theta), Rotations("z", omega))


def _strongly_entangling(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    rotations = _unentangled(n_wires, index, first)
    if n_wires == 1:
        return rotations
    return (*rotations, _cycle(n_wires, index % (n_wires - 1) + 1))


ANSATZE: dict[str, Ansatz] = {
    ansatz.name: ansatz
    for ansatz in (
        Ansatz("basic_entangler", 1, _basic_entangler),
        Ansatz("strongly_entangling", 3, _strongly_entangling),
        Ansatz("rotation_only", 1, _rotation_only),
        Ansatz("unentangled", 3, _unentangled),
    )
}


def get_ansatz(name: str) -> Ansatz:
    """The ansatz of that name; raises `UnknownNameError`."""
    try:
        return ANSATZE[name]
    except KeyError:
        raise UnknownNameError(f"unknown ansatz '{name}': {suggest(name, ANSATZE)}") from None
