"""A layer of the user's own: any Qiskit circuit, its features and weights, and observables.

Conventions are Qiskit's, unchanged: qubit 0 is the right-most letter of a `SparsePauliOp`.

Letters: F features, W weights, M observables, Q wires.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Pauli, SparsePauliOp

from ..errors import SpecError, suggest
from .circuit_text import circuit_of, text_of
from .elementary import elementary
from .program import LayerProgram
from .readout import observables_of, projectors
from .unsharing import check_unitary, unshare

OUTPUTS = ("expectations", "probabilities")
MOST_PROBABLE = 8
"""Wires of a layer whose outputs are probabilities: 256 of them."""

_NUMBERED = re.compile(r"_?(?P<stem>.+?)[\[_]?\d+[\]_]?")
"""A vector's element, or what OpenQASM has in its place."""

Parameters: TypeAlias = Sequence[Parameter | ParameterVector | str]
Observable: TypeAlias = SparsePauliOp | Pauli | str


class CircuitLayer:
    """Any circuit of Qiskit's as a layer.

    Args:
        circuit: without measurements; it is copied.
        features: its parameters that are data, in the order of a row of features: parameters,
            vectors of them, or names of either; "x" stands for x0, x1, ... too where no parameter
            has that name. One that the circuit lacks has no effect.
        weights: its parameters that are trained, likewise.
        observables: M of them, real, as `SparsePauliOp`, `Pauli` or a string of letters; by
            default Z on qubit 0, 1, ... Output i is the expectation value of observable i.
        outputs: "expectations" of the observables, or "probabilities" of all basis states, M = 2^Q
            with qubit 0 the least significant bit.

    A `PauliEvolutionGate` is what its definition is, on every backend: where terms do not commute
    that differs from the exponential that Qiskit's `Statevector` takes it for.

    Raises:
        SpecError: measurements, resets, conditions, a parameter that is neither feature nor weight,
            complex observables; the message names the place.
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        *,
        features: Parameters | Parameter | ParameterVector = (),
        weights: Parameters | Parameter | ParameterVector = (),
        observables: Sequence[Observable] | Observable | None = None,
        outputs: str = "expectations",
    ) -> None:
        if not isinstance(circuit, QuantumCircuit):
            raise SpecError(f"a circuit is a QuantumCircuit of Qiskit's, got {circuit!r}")
        if circuit.num_qubits == 0:
            raise SpecError("the circuit has no qubits")
        if outputs not in OUTPUTS:
            raise SpecError(f"unknown outputs {outputs!r}: {suggest(str(outputs), OUTPUTS)}")
        check_unitary(circuit)
        self._circuit = circuit.copy()
        # It may be anything at all, and says nothing of the layer.
        self._circuit.metadata = {}
        self._text: str | None = None
        self.features = _flat("features", features, circuit)
        self.weights = _flat("weights", weights, circuit)
        _check_parameters(circuit, self.features, self.weights)
        self.outputs = outputs
        if outputs == "probabilities":
            if observables is not None:
                raise SpecError("outputs='probabilities' have no observables: leave one out")
            if circuit.num_qubits > MOST_PROBABLE:
                raise SpecError(
                    f"{circuit.num_qubits} wires have {2**circuit.num_qubits} probabilities; at "
                    f"most {MOST_PROBABLE} wires are taken: choose observables instead"
                )
        self._given = (
            None if observables is None else observables_of(circuit.num_qubits, observables)
        )
        # What cannot be decomposed is refused where the layer is made.
        self._program = self._unshared()

    @property
    def circuit(self) -> QuantumCircuit:
        """A copy of the circuit as it was given."""
        return self._circuit.copy()

    @property
    def n_wires(self) -> int:
        """Q."""
        return int(self._circuit.num_qubits)

    @property
    def n_features(self) -> int:
        """F."""
        return len(self.features)

    @property
    def n_weights(self) -> int:
        """W."""
        return len(self.weights)

    @property
    def n_outputs(self) -> int:
        """M."""
        return 2**self.n_wires if self.outputs == "probabilities" else len(self.observables)

    @cached_property
    def observables(self) -> tuple[SparsePauliOp, ...]:
        """M of them, with real coefficients."""
        if self.outputs == "probabilities":
            return projectors(self.n_wires)
        if self._given is not None:
            return self._given
        return tuple(
            SparsePauliOp.from_sparse_list([("Z", [qubit], 1.0)], num_qubits=self.n_wires)
            for qubit in range(self.n_wires)
        )

    @property
    def title(self) -> str:
        """In a few words, for people."""
        return f"circuit '{self._circuit.name}'"

    @cached_property
    def key(self) -> str:
        """Identity, a hash of the gates, the angles' expressions and the observables."""
        circuit, tape = self._program.circuit, self._program.inputs.tape  # type: ignore[attr-defined]
        content = {
            "gates": [
                [
                    item.operation.name,
                    [circuit.find_bit(qubit).index for qubit in item.qubits],
                    [_text(value) for value in item.operation.params],
                ]
                for item in circuit.data
            ],
            "angles": [
                tape.operations.tolist(),
                tape.left.tolist(),
                tape.right.tolist(),
                [_text(value) for value in tape.constants],
                tape.outputs.tolist(),
            ],
            "shape": [self.n_wires, self.n_features, self.n_weights],
            "outputs": self.outputs
            if self.outputs == "probabilities"
            else [[[name, _text(c.real)] for name, c in o.to_list()] for o in self.observables],
        }
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def program(self) -> LayerProgram:
        """The form that runs everywhere."""
        return self._program

    def to_dict(self) -> dict[str, Any]:
        """The definition in plain values, the circuit as text; see `from_dict`."""
        given = {}
        if self._given is not None:
            given["observables"] = [
                [[name, c.real] for name, c in each.to_list()] for each in self._given
            ]
        return {
            "circuit": self._text or self._as_text(),
            "name": self._circuit.name,
            "features": [parameter.name for parameter in self.features],
            "weights": [parameter.name for parameter in self.weights],
            **given,
            "outputs": self.outputs,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CircuitLayer:
        """The layer that `to_dict` described; raises `SpecError` for what is none."""
        try:
            circuit = circuit_of(values["circuit"])
            circuit.name = values.get("name", circuit.name)
            terms = values.get("observables")
            layer = cls(
                circuit,
                features=_named(values["features"], circuit),
                weights=_named(values["weights"], circuit),
                observables=None
                if terms is None
                else [SparsePauliOp.from_list([tuple(term) for term in each]) for each in terms],
                outputs=values["outputs"],
            )
        except (KeyError, TypeError, ValueError, QiskitError) as error:
            raise SpecError(f"not a circuit layer's description: {error}") from None
        # A layer that is read and written again stays as it was, to the letter.
        layer._text = values["circuit"]
        return layer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CircuitLayer) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return (
            f"CircuitLayer({self._circuit.name!r}: {self.n_wires} wires, {self.n_features} "
            f"features, {self.n_weights} weights, {self.n_outputs} outputs)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return CircuitLayer.from_dict, (self.to_dict(),)

    def _as_text(self) -> str:
        """The circuit as it was given, or in Qiskit's own gates where no file can hold that."""
        try:
            text = text_of(self._circuit)
            circuit_of(text)
        except (QiskitError, SpecError, AttributeError, TypeError, ValueError):
            # As a gate does whose class writes less of itself than it is made of.
            return text_of(elementary(self._circuit))
        return text

    def _unshared(self) -> LayerProgram:
        names = [parameter.name for parameter in (*self.features, *self.weights)]
        variables = {name: index for index, name in enumerate(names)}
        circuit, parameters, inputs = unshare(self._circuit, variables, self.n_features)
        return LayerProgram(circuit, tuple(parameters), self.observables, inputs)


def _flat(
    what: str, given: Parameters | Parameter | ParameterVector, circuit: QuantumCircuit
) -> tuple[Parameter, ...]:
    """Parameters and vectors, or names of them, as one list in the order given."""
    if isinstance(given, Parameter | ParameterVector | str):
        given = [given]
    if not isinstance(given, Iterable):
        raise SpecError(f"{what} are a list of the circuit's parameters, got {given!r}")
    found: list[Parameter] = []
    for each in given:
        if isinstance(each, Parameter):
            found.append(each)
        elif isinstance(each, ParameterVector):
            found += list(each)
        elif isinstance(each, str):
            found += parameters_named(what, each, circuit)
        else:
            raise SpecError(f"{what} are a list of the circuit's parameters, got {each!r} in it")
    return tuple(found)


def parameters_named(what: str, name: str, circuit: QuantumCircuit) -> list[Parameter]:
    """The parameter of that name, or all that bear it with a number, in the numbers' order.

    Those are a vector's elements, or what OpenQASM, which has no vectors, makes of them: "x" stands
    for x[0], x0, x_0 and _x_0_ alike. Raises `SpecError` for a name of none; `what` begins it.
    """
    exact = [parameter for parameter in circuit.parameters if parameter.name == name]
    pattern = re.compile(rf"_?{re.escape(name)}[\[_]?(\d+)[\]_]?")
    matches = ((pattern.fullmatch(parameter.name), parameter) for parameter in circuit.parameters)
    numbered = [(int(match[1]), parameter) for match, parameter in matches if match]
    found = exact or [parameter for _, parameter in sorted(numbered, key=lambda each: each[0])]
    if not found:
        raise SpecError(
            f"{what}: the circuit has no parameter '{name}': {suggest(name, stems(circuit))}"
        )
    return found


def stems(circuit: QuantumCircuit) -> list[str]:
    """The names by which `parameters_named` gives all of the circuit's parameters."""
    names = [parameter.name for parameter in circuit.parameters]
    matches = [(name, _NUMBERED.fullmatch(name)) for name in names]
    return list(dict.fromkeys(match["stem"] if match else name for name, match in matches))


def _named(names: Sequence[str], circuit: QuantumCircuit) -> list[Parameter]:
    """Parameters by their names; one that the circuit lacks has no effect in it."""
    known = {parameter.name: parameter for parameter in circuit.parameters}
    return [known.get(name) or Parameter(name) for name in names]


def _check_parameters(
    circuit: QuantumCircuit, features: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    names: set[str] = set()
    for parameter in (*features, *weights):
        if parameter.name in names:
            raise SpecError(
                f"the parameter '{parameter.name}' is listed twice among features and weights"
            )
        names.add(parameter.name)
    listed = {*features, *weights}
    strangers = [p.name for p in circuit.parameters if p not in listed]
    if strangers:
        known = "" if not set(strangers) & names else ", though others of the same name are listed"
        raise SpecError(
            f"the circuit's parameter{'s' if len(strangers) > 1 else ''} "
            f"{', '.join(map(repr, strangers))} {'are' if len(strangers) > 1 else 'is'} neither "
            f"feature nor weight{known}: list every parameter in features or in weights, or give "
            "it a value with circuit.assign_parameters"
        )


def _text(value: Any) -> str:
    return repr(float(value)) if not isinstance(value, Parameter) else value.name
