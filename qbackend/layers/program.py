"""What every layer comes down to: a circuit in angles, observables, and a map to the angles.

A circuit's *angles* are its parameters, each the angle of one Pauli rotation exp(-i angle P/2) and
of no other. That one form runs on every backend, and has the same derivatives there.

Letters: B batch, F features, P angles, W weights, M observables, Q wires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from .inputs import Array

if TYPE_CHECKING:
    import numpy as np
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter
    from qiskit.quantum_info import SparsePauliOp

PAULI_ROTATIONS = {"rx", "ry", "rz", "p", "rxx", "ryy", "rzz", "rzx"}
"""Gates exp(-i angle P/2) up to a phase: the two-term shift rule holds for their angle."""
ROTATION_ANGLES = {**dict.fromkeys(PAULI_ROTATIONS, 1), "r": 1, "u1": 1, "u2": 2, "u": 3, "u3": 3}
"""Of gates that are such rotations with constant gates around them: how many of their parameters,
the first ones, are such an angle. A device may have no others; Aer binds all of these rightly."""


class InputMap(Protocol):
    """From features and weights to angles."""

    @property
    def by_features(self) -> NDArray[np.bool_]:
        """Which angles move with the row, (P,): the first ones."""

    @property
    def by_weights(self) -> NDArray[np.bool_]:
        """Which angles move with the weights, (P,)."""

    def angles(self, features: Array, weights: Array) -> Array:
        """Angles (B, P) in radians of features (B, F) and weights (W,) or (B, W)."""

    def live(self, features: Any) -> Any:
        """Rows that encode something, (B,): the others give zero and are never executed.

        Features are an array or a tensor, and the answer is one too.
        """


class SmoothInputMap(InputMap, Protocol):
    """One whose derivatives are those of the layer, noise or not."""

    def pull(self, features: Array, weights: Array, of_angles: Array) -> tuple[Array, Array]:
        """Gradients by features (B, F) and each row's weights (B, W), from those by angles (B, P).

        The gradient by weights that all rows share is the sum over the rows.
        """


@dataclass(frozen=True)
class LayerProgram:
    """A layer in the form that runs everywhere.

    Attributes:
        circuit: without measurements; its parameters are the angles.
        parameters: the P of them, in the order of a row; one that the circuit lacks has no effect.
        observables: M Pauli sums with real coefficients.
        inputs: the map to the angles.
    """

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]
    inputs: InputMap


class Layer(Protocol):
    """What a backend compiles: `LayerSpec`, of the catalogue, or `CircuitLayer`, the user's own.

    Layers are equal if their definitions are.
    """

    @property
    def n_wires(self) -> int:
        """Q."""

    @property
    def n_features(self) -> int:
        """F."""

    @property
    def n_weights(self) -> int:
        """W."""

    @property
    def n_outputs(self) -> int:
        """M."""

    @property
    def key(self) -> str:
        """Identity, a hash of the definition, the same in every process."""

    @property
    def title(self) -> str:
        """In a few words, for people."""

    def program(self) -> LayerProgram:
        """The form that runs everywhere."""

    def to_dict(self) -> dict[str, Any]:
        """The definition in plain values, for JSON and TOML."""

    def __hash__(self) -> int: ...
