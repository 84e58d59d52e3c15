"""What makes a request the same request in another process.

A run that goes on asks again for what it asked for before, and must be given what is there
already. Texts that a library writes (QPY, expressions) may vary between processes, and angles
that a network computes vary by their last bits: a circuit is known by its gates at fixed angles,
parameters by being equal but for rounding.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from ...circuits.copying import Copying
from ...layers.inputs import Array
from ...layers.program import Layer
from ...layers.spec import LayerSpec
from ...seam.requests import CompiledLayer
from ..options import ExecutionOptions
from .layers import sparse_terms

ROUNDING = 1e-6
"""Radians by which parameters may differ and be the same.

Float32 networks differ by that much between computers; no number of shots resolves it.
"""


def layer_key(
    spec: Layer, machine: str, preparation: str, options: ExecutionOptions | None = None
) -> str:
    """Of a layer before it is compiled; options that it is not compiled by are no part of it."""
    # "encoder" as ledgers have it: under another word their jobs would be paid for once more. Nor
    # do they know of copies: a layer that such a ledger keeps stands alone, and goes on to.
    known = {"spec": _definition(spec), "machine": machine, "encoder": preparation}
    chosen = options or ExecutionOptions()
    placed = {} if chosen.copying == Copying() else {"copying": asdict(chosen.copying)}
    made = {"fractional_gates": True} if chosen.fractional_gates else {}
    return _digest({**known, **placed, **made})


def content_key(
    compiled: CompiledLayer,
    machine: str,
    shots: int,
    seed: int | None,
    options: ExecutionOptions,
) -> str:
    """Of a request but for its parameters."""
    return _digest(
        {
            "circuit": _gates(compiled),
            "observables": [sparse_terms(observable) for observable in compiled.observables],
            "parameters": [parameter.name for parameter in compiled.parameters],
            "machine": machine,
            "shots": shots,
            "seed": seed,
            "options": options.physical(),
            **_bases(compiled),
        }
    )


def what_key(
    spec: Layer,
    machine: str,
    n_rows: int,
    shots: int,
    seed: int | None,
    options: ExecutionOptions,
) -> str:
    """Of what a request is for, whatever circuit and angles it comes to be executed with."""
    return _digest(
        {
            "spec": _definition(spec),
            "machine": machine,
            "rows": n_rows,
            "shots": shots,
            "seed": seed,
            "options": options.physical(),
        }
    )


def request_key(content: str, parameters: Array) -> str:
    """Of a request whose parameters (N, P) are exactly these."""
    rows = np.ascontiguousarray(parameters, dtype="<f8")
    return hashlib.sha256(f"{content} {rows.shape}".encode() + rows.tobytes()).hexdigest()


def are_same(one: Array, other: Array) -> bool:
    """Whether two arrays of parameters (N, P) differ by no more than `ROUNDING`."""
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= ROUNDING))


def _definition(spec: Layer) -> dict[str, Any]:
    """The catalogue's layers as ledgers have always had them; others by what they are."""
    return spec.to_dict() if isinstance(spec, LayerSpec) else {"key": spec.key}


def _bases(compiled: CompiledLayer) -> dict[str, Any]:
    """In which bases a result was measured, in their order; nothing where all is read as it is.

    Another version of Qiskit may group observables otherwise, and would read an X as a Z.
    """
    bases = [[list(each) for each in readout.basis] for readout in compiled.readouts]
    return {"bases": bases} if any(each.turned for each in compiled.readouts) else {}


def _gates(compiled: CompiledLayer) -> list[Any]:
    """Gates, qubits and angles of the circuit where parameter k is cos(k + 1)."""
    angles = {p.name: math.cos(k + 1) for k, p in enumerate(compiled.parameters)}
    circuit = compiled.circuit
    bound = circuit.assign_parameters({p: angles[p.name] for p in circuit.parameters})
    return [
        [
            item.operation.name,
            [bound.find_bit(qubit).index for qubit in item.qubits],
            [round(float(value), 9) for value in item.operation.params],
        ]
        for item in bound.data
    ]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
