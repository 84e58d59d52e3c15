"""What a quantum layer is, apart from where it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError, suggest
from .ansatze import ANSATZE, Ansatz, Operation, get_ansatz
from .encodings import ENCODINGS, Encoding, get_encoding
from .inputs import whole_number
from .program import LayerProgram
from .spec_inputs import SpecInputs


@lru_cache(maxsize=32)
def _signs(observables: tuple[str, ...]) -> NDArray[np.float64]:
    n_wires = len(observables[0])
    states = np.arange(2**n_wires)
    bits = (states[None, :] >> np.arange(n_wires)[::-1, None]) & 1
    measured = np.array([[letter == "Z" for letter in name] for name in observables])
    signs = 1.0 - 2.0 * ((measured.astype(int) @ bits) % 2)
    signs.flags.writeable = False
    return signs


@dataclass(frozen=True)
class LayerSpec:
    """A layer: encoding circuit, trainable circuit, observables.

    Attributes:
        n_wires: Q, at least 1.
        encoding: "amplitude" (F = 2^Q features) or "angle" (F = Q).
        ansatz: "basic_entangler", "strongly_entangling", "rotation_only" or "unentangled".
        n_layers: repetitions of the ansatz, at least 1.
        observables: M strings of Q letters I and Z, wire 0 first; by default Z on each wire in
            turn. One execution measures them all, because they commute wire by wire.

    Raises:
        SpecError: a value outside these limits.
    """

    n_wires: int
    encoding: str = "amplitude"
    ansatz: str = "basic_entangler"
    n_layers: int = 2
    observables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, count in (("n_wires", self.n_wires), ("n_layers", self.n_layers)):
            object.__setattr__(self, name, whole_number(name, count, SpecError))
        for kind, value, known in (
            ("encoding", self.encoding, ENCODINGS),
            ("ansatz", self.ansatz, ANSATZE),
        ):
            if value not in known:
                raise SpecError(f"unknown {kind} {value!r}: {suggest(str(value), known)}")
        chosen = tuple(self.observables) or tuple(
            "I" * wire + "Z" + "I" * (self.n_wires - wire - 1) for wire in range(self.n_wires)
        )
        for observable in chosen:
            if len(observable) != self.n_wires or set(observable) - {"I", "Z"}:
                raise SpecError(
                    f"observable {observable!r} must be {self.n_wires} letters I or Z, "
                    "one per wire, wire 0 first"
                )
        object.__setattr__(self, "observables", chosen)

    @property
    def n_features(self) -> int:
        """F."""
        return self.encoding_rule.n_features(self.n_wires)

    @property
    def n_weights(self) -> int:
        """W."""
        return self.circuit_family.n_weights(self.n_wires, self.n_layers)

    @property
    def n_outputs(self) -> int:
        """M."""
        return len(self.observables)

    @property
    def encoding_rule(self) -> Encoding:
        """The encoding that `encoding` names."""
        return get_encoding(self.encoding)

    @property
    def circuit_family(self) -> Ansatz:
        """The ansatz that `ansatz` names."""
        return get_ansatz(self.ansatz)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The trainable circuit, in the order of execution."""
        return self.circuit_family.operations(self.n_wires, self.n_layers)

    @property
    def title(self) -> str:
        """In a few words, for people."""
        return self.ansatz

    @property
    def key(self) -> str:
        """Identity, a hash of the definition."""
        content = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def program(self) -> LayerProgram:
        """The layer as a circuit of rotations by the encoding's angles, then by the weights."""
        # The command line reads specs long before it needs Qiskit.
        from qiskit import QuantumCircuit
        from qiskit.circuit import ParameterVector
        from qiskit.quantum_info import SparsePauliOp

        from .spec_circuit import append_operation, encoding_circuit

        n_angles = self.encoding_rule.n_angles(self.n_wires)
        angles = ParameterVector("angle", n_angles)
        weights = ParameterVector("weight", self.n_weights)
        circuit = QuantumCircuit(self.n_wires, name=f"{self.encoding}-{self.ansatz}")
        prepared = encoding_circuit(self.encoding_rule, self.n_wires, angles)
        circuit.compose(prepared, inplace=True)
        for operation in self.operations:
            append_operation(circuit, operation, weights)
        return LayerProgram(
            circuit=circuit,
            parameters=(*angles, *weights),
            # Qiskit reads a Pauli string from its last qubit to its first: wire 0 first, as we do.
            observables=tuple(SparsePauliOp(name) for name in self.observables),
            inputs=SpecInputs(self.encoding_rule, n_angles, self.n_weights),
        )

    def signs(self) -> NDArray[np.float64]:
        """Eigenvalues of the observables, (M, 2^Q): +1 or -1 per basis state, wire 0 first."""
        return _signs(self.observables)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and TOML; `from_dict` reads them back."""
        return {**asdict(self), "observables": list(self.observables)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LayerSpec:
        """The spec that `to_dict` described; raises `SpecError` for a key that is none of ours."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise SpecError(f"a layer has no '{key}': {suggest(key, known)}")
        if "n_wires" not in values:
            raise SpecError("a layer needs 'n_wires'")
        return cls(**{**values, "observables": tuple(values.get("observables", ()))})

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> LayerSpec:
        """The spec that `to_json` wrote; raises `SpecError`."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise SpecError(f"not a layer description: {error}") from None
        if not isinstance(values, dict):
            raise SpecError(f"a layer description is an object, got {values!r}")
        return cls.from_dict(values)
