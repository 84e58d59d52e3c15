"""Compiled layers as text, so that a run keeps the one that its first job was made of.

A machine is calibrated anew every day, and the best qubits change with it: rows that are sent
tomorrow must execute the very circuit of today's.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

from qiskit import qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from ...circuits.copied import moved
from ...circuits.preparation import CompactPreparation
from ...layers.definitions import layer_of
from ...layers.spec_inputs import SpecInputs
from ...seam.requests import CompiledLayer


def to_text(compiled: CompiledLayer) -> str:
    """A compiled layer as JSON; its preparation must be the spec's own or the compact one."""
    buffer = io.BytesIO()
    qpy.dump([compiled.circuit, *(copy.circuit for copy in compiled.copies)], buffer)
    inputs = compiled.inputs
    preparation = inputs.prepare if isinstance(inputs, SpecInputs) else None
    if preparation is not None and not isinstance(preparation, CompactPreparation):
        raise TypeError(f"no text for a {type(preparation).__name__}")
    return json.dumps(
        {
            "spec": compiled.spec.to_dict(),
            "circuit": base64.b64encode(buffer.getvalue()).decode(),
            "observables": [sparse_terms(observable) for observable in compiled.observables],
            "parameters": [parameter.name for parameter in compiled.parameters],
            "record": compiled.record,
            "one_qubit_gates": list(compiled.one_qubit_gates),
            "order": None if preparation is None else [int(index) for index in preparation.order],
        }
    )


def from_text(text: str) -> CompiledLayer:
    """The layer that `to_text` wrote."""
    content = json.loads(text)
    circuit, *copied = qpy.load(io.BytesIO(base64.b64decode(content["circuit"])))
    named = {parameter.name: parameter for parameter in circuit.parameters}
    order, spec = content["order"], layer_of(content["spec"])
    inputs = spec.program().inputs
    if order is not None and isinstance(inputs, SpecInputs):
        n_angles = len(content["parameters"]) - spec.n_weights
        inputs = replace(inputs, prepare=CompactPreparation(tuple(order)), n_angles=n_angles)
    compiled = CompiledLayer(
        spec=spec,
        circuit=circuit,
        observables=tuple(
            SparsePauliOp.from_sparse_list(
                [(name, qubits, complex(*value)) for name, qubits, value in terms],
                num_qubits=circuit.num_qubits,
            )
            for terms in content["observables"]
        ),
        # A parameter that the transpiler found to be without effect is not in the circuit.
        parameters=tuple(named.get(name) or Parameter(name) for name in content["parameters"]),
        record=content["record"],
        inputs=inputs,
        # Ledgers from before there were changes of basis name no gates for them.
        one_qubit_gates=tuple(content.get("one_qubit_gates", ())),
    )
    copies = (
        replace(moved(compiled, each["place"], own), record={**compiled.record, **each})
        for each, own in zip(compiled.record.get("copies", ()), copied, strict=True)
    )
    return replace(compiled, copies=tuple(copies))


def sparse_terms(observable: SparsePauliOp) -> list[Any]:
    """An observable as plain lists: Paulis, their qubits, real and imaginary part."""
    return [
        [name, [int(qubit) for qubit in qubits], [value.real, value.imag]]
        for name, qubits, value in observable.to_sparse_list()
    ]
