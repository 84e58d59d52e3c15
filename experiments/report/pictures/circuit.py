"""The circuits that a report draws: made to be read, not to be executed."""

from __future__ import annotations

from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Instruction, Operation, ParameterExpression, ParameterVector

from qbackend.layers.spec import LayerSpec
from qbackend.layers.spec_circuit import append_operation

DRAWN_LAYERS = 3
"""A picture of more layers of the ansatz than this would be longer, not clearer."""
LINE = 20
"""Columns of a picture, after which it goes on below."""
DRAWN_ROWS = 40
"""Qubits times lines of a picture, about; of a longer circuit the first gates are drawn."""
LETTERS = 8
"""Of a parameter that a column has room for."""
DEEPEST = 8
"""Boxes within boxes."""


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


def opened(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with what is in its boxes of no known gate: they would say nothing but a name."""
    for _ in range(DEEPEST):
        boxes = {item.operation.name for item in circuit.data if _is_box(item.operation)}
        if not boxes:
            break
        circuit = circuit.decompose(gates_to_decompose=sorted(boxes))
    return circuit


def beginning(circuit: QuantumCircuit) -> tuple[QuantumCircuit, str]:
    """As much of a circuit as a picture holds, and what is to be said of the rest."""
    most = LINE * max(2, DRAWN_ROWS // circuit.num_qubits)
    reached = [0] * circuit.num_qubits
    drawn = circuit.copy_empty_like()
    for item in circuit.data:
        places = [circuit.find_bit(qubit).index for qubit in item.qubits]
        # The drawer leaves no room for others between the qubits of a gate.
        across = range(min(places), max(places) + 1)
        column = max(reached[place] for place in across) + _columns(item.operation)
        for place in across:
            reached[place] = column
        if column <= most:
            drawn.append(item)
    if len(drawn.data) == len(circuit.data):
        return drawn, ""
    return drawn, f" The first {len(drawn.data):,} of {len(circuit.data):,} gates are drawn."


def _columns(operation: Operation) -> int:
    """How wide a gate is drawn, about; numbers are short."""
    open_ones = [each for each in operation.params if isinstance(each, ParameterExpression)]
    return 1 + sum(len(str(each)) for each in open_ones) // LETTERS


def _is_box(operation: Operation) -> bool:
    return type(operation) in (Gate, Instruction) and operation.definition is not None
