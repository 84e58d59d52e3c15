"""A user's circuit gate by gate, for peers that are not given Qiskit's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qbackend.layers.expressions import ExpressionInputs
from qbackend.layers.program import Layer
from qbackend.native.any_circuit.plain import angles_on

Term = tuple[float, dict[int, str]]
"""A coefficient, and a letter for each qubit that a Pauli string acts on."""


def angles(layer: Layer, features: Any, weights: Any) -> list[Any]:
    """The circuit's angles for one row of features (F,) and weights (W,), in whatever library."""
    inputs = layer.program().inputs
    assert isinstance(inputs, ExpressionInputs)
    variables = [features[k] for k in range(layer.n_features)]
    return angles_on(inputs.tape, [*variables, *(weights[k] for k in range(layer.n_weights))])


def gates(layer: Layer, angles: Sequence[Any]) -> Iterator[tuple[str, list[int], list[Any]]]:
    """Name, qubits and angles of every gate, in order."""
    program = layer.program()
    column = {parameter: index for index, parameter in enumerate(program.parameters)}
    for item in program.circuit.data:
        qubits = [program.circuit.find_bit(qubit).index for qubit in item.qubits]
        values = [
            angles[column[value]] if value in column else float(value)
            for value in item.operation.params
        ]
        yield item.operation.name, qubits, values


def observables(layer: Layer) -> list[list[Term]]:
    """The terms of every output."""
    return [
        [
            (value.real, dict(zip(qubits, letters, strict=True)))
            for letters, qubits, value in observable.to_sparse_list()
        ]
        for observable in layer.program().observables
    ]
