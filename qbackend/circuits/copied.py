"""A compiled layer with its copies on other qubits of the device.

A copy has the layer's own gates wherever the device has them there; where a two-qubit gate points
the other way, the transpiler turns it, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target, TranspilerError

from ..errors import OptionError
from ..seam.requests import CompiledLayer
from .copies import Place, find_copies
from .copying import Copying
from .placement import active_qubits, recorded
from .reported_costs import ReportedCosts

_LEVEL, _SEED = 1, 0
"""Of the transpiler, where a gate has to be turned round."""


def with_copies(compiled: CompiledLayer, target: Target, copying: Copying) -> CompiledLayer:
    """The layer on the best of its copies' places, with them; alone where one is all that fits.

    Where more fit without the best place of all, they go without it.

    Args:
        compiled: over the device's qubits.
        target: the device's, by which it was compiled.
        copying: how many.

    Raises:
        OptionError: fewer fit than are wanted.
    """
    if copying.copies == 1:
        return compiled
    device = compiled.record["device"]
    costs = ReportedCosts.of(device, target)
    wanted = None if copying.copies == "auto" else copying.copies
    places = find_copies(compiled, costs, border=copying.border, within=copying.within, most=wanted)
    tried = [(place, _on(compiled, place, costs)) for place in places]
    found = [(place, copy) for place, copy in tried if copy is not None]
    if wanted is not None and len(found) < wanted:
        raise OptionError(
            f"'{device}' has {len(found)} places for a copy of the layer, {copying.border} idle "
            f"qubits between them and within {copying.within:.0%} of the best one's reported "
            f"fidelity, and {wanted} are wanted: take --copies {max(1, len(found))} or auto, "
            "--border 0, or a larger --fidelity-within"
        )
    if len(found) < 2:
        return compiled
    places, copies = [place for place, _ in found], [copy for _, copy in found]
    # From the first copy's qubits in ascending order, which is the layer from here on.
    order = sorted(range(len(places[0])), key=places[0].__getitem__)
    record = {
        **copies[0].record,
        "border": copying.border,
        "coupling": _coupling(target),
        "copies": [
            {"place": [place[index] for index in order], **_of_copy(copy.record)}
            for place, copy in zip(places, copies, strict=True)
        ],
    }
    return replace(copies[0], record=record, copies=tuple(copies))


def _coupling(target: Target) -> list[list[int]]:
    """The pairs of qubits that have a two-qubit gate, in ascending order."""
    pairs = {tuple(sorted(qubits)) for qubits in target.qargs or () if len(qubits) == 2}
    return [list(pair) for pair in sorted(pairs)]


def _of_copy(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("physical_qubits", "gate_fidelity", "readout_fidelity")}


def moved(compiled: CompiledLayer, place: Place, circuit: QuantumCircuit) -> CompiledLayer:
    """The layer with a circuit of its own, its observables on the qubits of a place.

    Args:
        compiled: the layer.
        place: where each of its qubits goes, in their ascending order.
        circuit: what is executed there, with parameters of the same names.
    """
    to = dict(zip(active_qubits(compiled), place, strict=True))
    named = {parameter.name: parameter for parameter in circuit.parameters}
    return replace(
        compiled,
        circuit=circuit,
        parameters=tuple(named.get(each.name, each) for each in compiled.parameters),
        observables=tuple(
            SparsePauliOp.from_sparse_list(
                [
                    (letters, [to[qubit] for qubit in qubits], coefficient)
                    for letters, qubits, coefficient in observable.to_sparse_list()
                ],
                num_qubits=circuit.num_qubits,
            )
            for observable in compiled.observables
        ),
        read=tuple(readout.on(to) for readout in compiled.readouts),
        copies=(),
    )


def _on(compiled: CompiledLayer, place: Place, costs: ReportedCosts) -> CompiledLayer | None:
    """The layer on a place, with its record; None where it cannot be.

    A gate may be calibrated in one direction only, and of a device with two kinds of two-qubit
    gates Qiskit turns none round.
    """
    active = active_qubits(compiled)
    if place == tuple(active):
        return compiled
    to = dict(zip(active, place, strict=True))
    circuit = QuantumCircuit(*compiled.circuit.qregs, name=compiled.circuit.name)
    circuit.global_phase = compiled.circuit.global_phase
    supported = True
    for item in compiled.circuit.data:
        qubits = [to[compiled.circuit.find_bit(qubit).index] for qubit in item.qubits]
        supported &= costs.target.instruction_supported(item.operation.name, tuple(qubits))
        circuit.append(item.operation, qubits)
    try:
        turned = circuit if supported else _turned(circuit, costs.target)
        found = recorded(moved(compiled, place, turned), costs)
    except (OptionError, TranspilerError):
        return None
    return replace(found, record={**compiled.record, **found.record})


def _turned(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """The circuit on its qubits, with every gate in the direction that the device has."""
    return transpile(
        circuit,
        target=target,
        initial_layout=list(range(circuit.num_qubits)),
        optimization_level=_LEVEL,
        seed_transpiler=_SEED,
    )
