"""The circuit that a report draws: made to be read, not to be executed."""

from __future__ import annotations

from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, ParameterVector

from qbackend.layers.spec import LayerSpec
from qbackend.layers.spec_circuit import append_operation

DRAWN_LAYERS = 3
"""A picture of more layers of the ansatz than this would be longer, not clearer."""


def readable_circuit(spec: LayerSpec) -> QuantumCircuit:
    """The first layers of a layer's circuit, wire 0 on top, with weights by name.

    Amplitude encoding is one box, angle encoding RY(x[q]) on wire q; a box at the end marks each
    wire that an observable reads.
    """
    wires = range(spec.n_wires)
    drawing = QuantumCircuit(*(QuantumRegister(1, f"wire {wire}") for wire in wires))
    if spec.encoding == "amplitude":
        box = Gate("amplitude", spec.n_wires, [], label="amplitude\nencoding")
        drawing.append(box, drawing.qubits)
    else:
        features = ParameterVector("x", spec.n_features)
        for wire in wires:
            drawing.ry(features[wire], wire)
    drawing.barrier()
    weights = ParameterVector("w", spec.n_weights)
    per_layer = spec.circuit_family.n_weights(spec.n_wires, 1)
    for index in range(min(spec.n_layers, DRAWN_LAYERS)):
        layer = QuantumCircuit(spec.n_wires)
        for operation in spec.circuit_family.layer(spec.n_wires, index, index * per_layer):
            append_operation(layer, operation, weights)
        drawing.compose(layer.reverse_bits(), inplace=True)
        drawing.barrier()
    for wire in wires:
        if any(observable[wire] == "Z" for observable in spec.observables):
            drawing.append(Gate("read", 1, [], label="⟨Z⟩"), [wire])
    return drawing
