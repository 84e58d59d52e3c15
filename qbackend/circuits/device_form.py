"""A layer in the gates of a device, on its best qubits, with its parameters open.

Two ways lead there. The compact preparation and the rearranged ansatz (`preparation`, `line_plan`)
need a line or a ring of neighbouring qubits and nothing else: of all that the device has, the one
with the best reported errors is taken. Everything else is routed by Qiskit's transpiler from
several seeds, and the result with the best reported errors is taken. Both are deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

from ..errors import OptionError, UnknownNameError, suggest
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..seam.requests import CompiledLayer
from .line_plan import MAX_WIRES, LinePlan, Turn, measured_before, plan_line, split_final_cnots
from .logical import append_operation, circuit_record, encoding_circuit, qubit_of
from .placement import ReportedCosts
from .preparation import N_ANGLES, CompactPreparation, append_compact, check_compact

Preparation = Literal["auto", "compact", "textbook"]
PREPARATIONS = ("auto", "compact", "textbook")

SEEDS = tuple(range(8))
"""The transpiler's seeds where none are given."""

# A placed layer only needs the device's gates: from level 2 on the transpiler makes constant
# two-qubit blocks anew, with more one-qubit gates around them.
_PLACED_LEVEL, _ROUTED_LEVEL = 1, 3
_PLACED_SEED = 0


def compile_for_target(
    spec: LayerSpec,
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
    chosen = choose_preparation(spec, preparation)
    n_qubits = target.num_qubits or 0
    if n_qubits < spec.n_wires:
        raise OptionError(
            f"the layer has {spec.n_wires} wires, more than the qubits of '{device}' ({n_qubits}); "
            "choose fewer wires or another device (qhc backends lists them)"
        )
    costs = ReportedCosts.of(device, target)
    if chosen == "compact" and move_final_cliffords and spec.n_wires <= MAX_WIRES:
        compiled = _place(spec, costs)
    else:
        logical = logical_layer(spec, preparation=chosen, move_final_cliffords=move_final_cliffords)
        compiled = _route(logical, costs, seeds)
    choices = {
        "device": device,
        "preparation": chosen,
        "final_cliffords_moved": move_final_cliffords,
    }
    return replace(compiled, record={**compiled.record, **choices})


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
    if compact:
        angles = ParameterVector("angle", N_ANGLES[spec.n_wires])
        qubits = [qubit_of(wire, spec.n_wires) for wire in range(spec.n_wires)]
        append_compact(circuit, qubits, list(angles))
    else:
        angles = ParameterVector("angle", spec.encoding_rule.n_angles(spec.n_wires))
        circuit.compose(encoding_circuit(spec, angles), inplace=True)
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
        encode=CompactPreparation(tuple(range(2**spec.n_wires))) if compact else None,
    )


def line_layer(spec: LayerSpec, plan: LinePlan) -> CompiledLayer:
    """The layer on a line or ring of ideal qubits; qubit p is the plan's position p."""
    n_wires = spec.n_wires
    circuit = QuantumCircuit(n_wires, name=f"{spec.encoding}-{spec.ansatz}")
    encode = None
    if spec.encoding == "amplitude":
        angles = ParameterVector("angle", N_ANGLES[n_wires])
        append_compact(circuit, range(n_wires), list(angles))
        encode = CompactPreparation(plan.order())
    else:
        angles = ParameterVector("angle", n_wires)
        for position, string in enumerate(plan.frame):
            circuit.ry(angles[n_wires - string.bit_length()], position)
    weights = ParameterVector("weight", spec.n_weights)
    for step in plan.steps:
        if isinstance(step, Turn):
            rotate = {"x": circuit.rx, "y": circuit.ry, "z": circuit.rz}[step.axis]
            rotate(weights[step.weight], step.position)
        else:
            circuit.cx(*step)
    observables = []
    for string in plan.measured:
        positions = [p for p in range(n_wires) if string >> (n_wires - 1 - p) & 1]
        terms = [("Z" * len(positions), positions, 1.0)]
        observables.append(SparsePauliOp.from_sparse_list(terms, num_qubits=n_wires))
    return CompiledLayer(
        spec=spec,
        circuit=circuit,
        observables=tuple(observables),
        parameters=(*angles, *weights),
        record=circuit_record(circuit),
        encode=encode,
    )


def drop_idle_qubits(compiled: CompiledLayer) -> CompiledLayer:
    """The same layer on the qubits that have a gate or are measured, in ascending order.

    The record's `physical_qubits` says which ones they are.
    """
    active = _active_qubits(compiled)
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
    return replace(compiled, circuit=circuit, observables=observables, record=record)


def _place(spec: LayerSpec, costs: ReportedCosts) -> CompiledLayer:
    """The layer on the line or ring of qubits with the best reported errors."""
    plan, places = plan_line(spec, closed=False), costs.lines(spec.n_wires)
    if spec.n_wires > 2 and next(costs.rings(spec.n_wires), None):
        closed = plan_line(spec, closed=True)
        if closed.n_cnots < plan.n_cnots:
            plan, places = closed, costs.rings(spec.n_wires)
    layer = line_layer(spec, plan)
    candidates = np.array(list(places), dtype=int).reshape(-1, spec.n_wires)
    totals = _placement_costs(layer, costs, candidates)
    if not np.isfinite(totals).any():
        raise costs.nowhere(spec.n_wires)
    circuit = transpile(
        layer.circuit,
        target=costs.target,
        initial_layout=candidates[np.argmin(totals)].tolist(),
        optimization_level=_PLACED_LEVEL,
        seed_transpiler=_PLACED_SEED,
    )
    compiled = _recorded(_laid_out(layer, circuit), costs)
    return replace(compiled, record={**compiled.record, "seed": _PLACED_SEED})


def _route(logical: CompiledLayer, costs: ReportedCosts, seeds: Sequence[int]) -> CompiledLayer:
    """Of the transpiler's results, one per seed, the one with the best reported errors."""
    candidates: list[CompiledLayer] = []
    failure = OptionError("routing takes at least one seed")
    for seed in seeds:
        circuit = transpile(
            logical.circuit,
            target=costs.target,
            optimization_level=_ROUTED_LEVEL,
            seed_transpiler=seed,
        )
        try:
            compiled = _recorded(_laid_out(logical, circuit), costs)
        except OptionError as error:
            failure = error
            continue
        record = {**compiled.record, "seed": seed, "seeds": list(seeds)}
        candidates.append(replace(compiled, record=record))
    if not candidates:
        raise failure
    return max(candidates, key=lambda c: c.record["gate_fidelity"] * c.record["readout_fidelity"])


def _laid_out(layer: CompiledLayer, circuit: QuantumCircuit) -> CompiledLayer:
    """The layer with its transpiled circuit."""
    observables = tuple(o.apply_layout(circuit.layout) for o in layer.observables)
    return replace(layer, circuit=circuit, observables=observables)


def _placement_costs(layer: CompiledLayer, costs: ReportedCosts, places: NDArray[np.int_]) -> Array:
    """Costs (N,) of a layer on N lines or rings, whose rows are the qubits at its positions."""
    native = transpile(layer.circuit, basis_gates=["rz", "sx", "x", "cz"], optimization_level=1)
    one_qubit, readout = np.array(costs.one_qubit), np.array(costs.readout)
    two_qubit = np.full((len(one_qubit), len(one_qubit)), math.inf)
    for (one, other), cost in costs.two_qubit.items():
        two_qubit[one, other] = two_qubit[other, one] = cost
    totals = np.zeros(len(places))
    for item in native.data:
        where = [native.find_bit(qubit).index for qubit in item.qubits]
        if len(where) == 2:
            totals += two_qubit[places[:, where[0]], places[:, where[1]]]
        elif item.operation.name != "rz":
            totals += one_qubit[places[:, where[0]]]
    for position in layer.observed:
        totals += readout[places[:, position]]
    return totals


def _recorded(compiled: CompiledLayer, costs: ReportedCosts) -> CompiledLayer:
    """The layer with its record; raises `OptionError` for a gate without calibration."""
    circuit = compiled.circuit
    ends = [0.0] * circuit.num_qubits
    gate_cost = 0.0
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        reported = costs.reported(item.operation.name, qubits)
        gate_cost -= math.log1p(-reported.error)
        end = max(ends[qubit] for qubit in qubits) + reported.duration
        for qubit in qubits:
            ends[qubit] = end
    measured = compiled.observed
    for qubit in measured:
        if math.isinf(costs.readout[qubit]):
            raise costs.uncalibrated("measure", (qubit,))
    record = {
        **circuit_record(circuit),
        "physical_qubits": _active_qubits(compiled),
        "duration": max(ends),
        "gate_fidelity": math.exp(-gate_cost),
        "readout_fidelity": math.exp(-sum(costs.readout[qubit] for qubit in measured)),
    }
    return replace(compiled, record=record)


def _active_qubits(compiled: CompiledLayer) -> list[int]:
    used = {
        compiled.circuit.find_bit(qubit).index
        for item in compiled.circuit.data
        for qubit in item.qubits
    }
    return sorted(used.union(compiled.observed))
