"""A layer in the gates of a device, on its best qubits, with its parameters open.

Two ways lead there. The compact preparation and the rearranged ansatz (`preparation`, `line_plan`)
need a line or a ring of neighbouring qubits and nothing else: of all that the device has, the one
with the best reported errors is taken. Everything else is routed by Qiskit's transpiler from
several seeds, and the result with the best reported errors is taken. Both are deterministic.

Where the device has fractional gates, the layer is compiled with them and without, and the one with
the better reported errors is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from ..errors import OptionError, UnknownNameError, suggest
from ..layers.program import Layer
from ..layers.spec import LayerSpec
from ..layers.spec_circuit import append_operation, encoding_circuit, qubit_of
from ..layers.spec_inputs import SpecInputs
from ..seam.requests import CompiledLayer
from .fractional import executed, has_fractional_gates, without_fractional_gates
from .line_plan import MAX_WIRES, measured_before, split_final_cnots
from .logical import circuit_record, compile_layer
from .placement import active_qubits, place, reported_fidelity, route
from .preparation import N_ANGLES, CompactPreparation, append_compact, check_compact
from .pulses import count_pulses
from .reported_costs import ReportedCosts

Preparation = Literal["auto", "compact", "textbook"]
PREPARATIONS = ("auto", "compact", "textbook")

SEEDS = tuple(range(8))
"""The transpiler's seeds where none are given."""


def compile_for_target(
    spec: Layer,
    target: Target,
    *,
    device: str = "the device",
    preparation: Preparation = "auto",
    move_final_cliffords: bool = True,
    seeds: Sequence[int] = SEEDS,
) -> CompiledLayer:
    """The layer over all qubits of a device, in its gates, observables laid out with it.

    Args:
        spec: the layer.
        target: the device's qubits, gates, errors and durations.
        device: its name, for messages and the record.
        preparation: how amplitudes are prepared. "textbook" is the tree of multiplexed rotations,
            "compact" takes fewer two-qubit gates, "auto" is compact wherever that is so.
        move_final_cliffords: let the observables take the CNOTs behind the last rotation.
        seeds: of the transpiler, where it routes.

    Raises:
        OptionError: more wires than qubits, no compact preparation for so many wires, or no place
            where every gate in use has a reported error and duration.
        UnknownNameError: no such preparation.
    """
    n_qubits = target.num_qubits or 0
    if n_qubits < spec.n_wires:
        raise OptionError(
            f"the layer has {spec.n_wires} wires, more than the qubits of '{device}' ({n_qubits}); "
            "choose fewer wires or another device (qhc backends lists them)"
        )

    def compiled_for(target: Target) -> CompiledLayer:
        costs = ReportedCosts.of(device, target)
        return _compiled(spec, costs, preparation, move_final_cliffords, seeds)

    if not has_fractional_gates(target):
        return compiled_for(target)
    plain, short = compiled_for(without_fractional_gates(target)), compiled_for(target)
    better = max(plain, short, key=reported_fidelity)
    comparison = {
        "used": better is short,
        "without": _length(plain),
        "with": _length(short),
    }
    return replace(better, record={**better.record, "fractional_gates": comparison})


def _compiled(
    spec: Layer,
    costs: ReportedCosts,
    preparation: Preparation,
    move_final_cliffords: bool,
    seeds: Sequence[int],
) -> CompiledLayer:
    """The layer in the gates of the target whose costs these are."""
    if not isinstance(spec, LayerSpec):
        if preparation != "auto":
            raise OptionError(
                f"preparation '{preparation}' is for amplitudes of the catalogue's layers; a "
                "circuit of your own brings its own: leave it out"
            )
        compiled = route(compile_layer(spec), costs, seeds)
        return replace(compiled, record={**compiled.record, "device": costs.device})
    chosen = choose_preparation(spec, preparation)
    if chosen == "compact" and move_final_cliffords and spec.n_wires <= MAX_WIRES:
        compiled = place(spec, costs)
    else:
        logical = logical_layer(spec, preparation=chosen, move_final_cliffords=move_final_cliffords)
        compiled = route(logical, costs, seeds)
    choices = {
        "device": costs.device,
        "preparation": chosen,
        "final_cliffords_moved": move_final_cliffords,
    }
    return replace(compiled, record={**compiled.record, **choices})


def _length(compiled: CompiledLayer) -> dict[str, float]:
    """What a layer takes on its device, for a comparison with another way."""
    record = compiled.record
    return {
        "two_qubit_gates": record["two_qubit_gates"],
        "two_qubit_depth": record["two_qubit_depth"],
        "pulses": count_pulses(executed(compiled.circuit)),
        "duration": record["duration"],
        "fidelity": reported_fidelity(compiled),
    }


def fractional_words(record: Mapping[str, Any]) -> str:
    """What fractional gates save of a compiled layer, by its record; "" for a device without."""
    comparison = record.get("fractional_gates")
    if comparison is None:
        return ""
    plain, short = comparison["without"], comparison["with"]
    words = (
        "fractional gates (without them): "
        f"{short['two_qubit_gates']} ({plain['two_qubit_gates']}) two-qubit gates, "
        f"two-qubit depth {short['two_qubit_depth']} ({plain['two_qubit_depth']}), "
        f"{short['pulses']} ({plain['pulses']}) pulses on one qubit, "
        f"{1e6 * short['duration']:.2f} ({1e6 * plain['duration']:.2f}) us, "
        f"reported fidelity of gates and readouts {short['fidelity']:.4f} ({plain['fidelity']:.4f})"
    )
    if not comparison["used"]:
        return f"{words}: nothing gained, the layer is compiled without them"
    if short["two_qubit_gates"] == plain["two_qubit_gates"]:
        return f"{words}: no two-qubit gate less"
    return words


def choose_preparation(spec: LayerSpec, preparation: Preparation) -> Literal["compact", "textbook"]:
    """What "auto" means for a layer; the other names stand for themselves.

    The compact preparation takes fewer two-qubit gates from two wires on, up to its widest. With
    angle encoding there is nothing to choose but how the ansatz is laid out.

    Raises:
        OptionError: no compact preparation for so many wires.
        UnknownNameError: no such preparation.
    """
    if preparation not in PREPARATIONS:
        raise UnknownNameError(
            f"unknown preparation '{preparation}': {suggest(str(preparation), PREPARATIONS)}"
        )
    if preparation == "compact" and spec.encoding == "amplitude":
        check_compact(spec.n_wires)
    if preparation != "auto":
        return preparation
    return "compact" if 1 < spec.n_wires <= max(N_ANGLES) else "textbook"


def logical_layer(
    spec: LayerSpec, *, preparation: Preparation = "auto", move_final_cliffords: bool = True
) -> CompiledLayer:
    """The layer on ideal qubits, with either preparation, with or without its final CNOTs.

    Raises:
        OptionError: no compact preparation for so many wires.
        UnknownNameError: no such preparation.
    """
    compact = choose_preparation(spec, preparation) == "compact" and spec.encoding == "amplitude"
    body, tail = split_final_cnots(spec.operations)
    circuit = QuantumCircuit(spec.n_wires, name=f"{spec.encoding}-{spec.ansatz}")
    prepare = None
    if compact:
        prepare = CompactPreparation(tuple(range(2**spec.n_wires)))
        angles = ParameterVector("angle", N_ANGLES[spec.n_wires])
        qubits = [qubit_of(wire, spec.n_wires) for wire in range(spec.n_wires)]
        append_compact(circuit, qubits, list(angles))
    else:
        angles = ParameterVector("angle", spec.encoding_rule.n_angles(spec.n_wires))
        circuit.compose(encoding_circuit(spec.encoding_rule, spec.n_wires, angles), inplace=True)
    weights = ParameterVector("weight", spec.n_weights)
    for operation in body if move_final_cliffords else spec.operations:
        append_operation(circuit, operation, weights)
    strings = measured_before(spec, tail if move_final_cliffords else ())
    names = (format(string, f"0{spec.n_wires}b") for string in strings)
    return CompiledLayer(
        spec=spec,
        circuit=circuit,
        observables=tuple(
            SparsePauliOp(name.replace("0", "I").replace("1", "Z")) for name in names
        ),
        parameters=(*angles, *weights),
        record=circuit_record(circuit),
        inputs=SpecInputs(spec.encoding_rule, len(angles), spec.n_weights, prepare),
    )


def drop_idle_qubits(compiled: CompiledLayer) -> CompiledLayer:
    """The same layer on the qubits that have a gate or are measured, in ascending order.

    The record's `physical_qubits` says which ones they are.
    """
    active = active_qubits(compiled)
    position = {qubit: index for index, qubit in enumerate(active)}
    circuit = QuantumCircuit(len(active), name=compiled.circuit.name)
    circuit.global_phase = compiled.circuit.global_phase
    for item in compiled.circuit.data:
        qubits = [position[compiled.circuit.find_bit(qubit).index] for qubit in item.qubits]
        circuit.append(item.operation, qubits)
    observables = tuple(
        SparsePauliOp.from_sparse_list(
            [
                (name, [position[qubit] for qubit in qubits], coefficient)
                for name, qubits, coefficient in observable.to_sparse_list()
            ],
            num_qubits=len(active),
        )
        for observable in compiled.observables
    )
    record = {**compiled.record, "qubits": len(active), "physical_qubits": active}
    read = tuple(readout.on(position) for readout in compiled.read)
    return replace(compiled, circuit=circuit, observables=observables, record=record, read=read)
