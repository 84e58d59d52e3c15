"""Which of a device's qubits a layer takes: those with the best reported errors.

A line or a ring of neighbours is looked for among all that the device has; where the layer is no
such thing, Qiskit's transpiler routes it from several seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from ..errors import OptionError
from ..layers.inputs import Array
from ..layers.spec import LayerSpec
from ..layers.spec_inputs import SpecInputs
from ..seam.requests import CompiledLayer
from .fractional import constants_folded, executed
from .line_plan import LinePlan, Turn, plan_line
from .logical import circuit_record
from .preparation import N_ANGLES, CompactPreparation, append_compact
from .pulses import in_few_pulses
from .reported_costs import ReportedCosts
from .zz_rotations import with_zz_rotations

# A placed layer only needs the device's gates: from level 2 on the transpiler makes constant
# two-qubit blocks anew, with more one-qubit gates around them.
_PLACED_LEVEL, _ROUTED_LEVEL = 1, 3
_PLACED_SEED = 0


def place(spec: LayerSpec, costs: ReportedCosts) -> CompiledLayer:
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
    compiled = recorded(_laid_out(layer, circuit, costs), costs)
    return replace(compiled, record={**compiled.record, "seed": _PLACED_SEED})


def route(logical: CompiledLayer, costs: ReportedCosts, seeds: Sequence[int]) -> CompiledLayer:
    """Of the transpiler's results, one per seed, the one with the best reported errors."""
    if costs.fractional:
        logical = replace(logical, circuit=with_zz_rotations(logical.circuit))
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
            compiled = recorded(_laid_out(logical, circuit, costs), costs)
        except OptionError as error:
            failure = error
            continue
        record = {**compiled.record, "seed": seed, "seeds": list(seeds)}
        candidates.append(replace(compiled, record=record))
    if not candidates:
        raise failure
    return max(candidates, key=reported_fidelity)


def reported_fidelity(compiled: CompiledLayer) -> float:
    """Product of the reported fidelities of a placed or routed layer's gates and readouts."""
    return float(compiled.record["gate_fidelity"] * compiled.record["readout_fidelity"])


def line_layer(spec: LayerSpec, plan: LinePlan) -> CompiledLayer:
    """The layer on a line or ring of ideal qubits; qubit p is the plan's position p."""
    n_wires = spec.n_wires
    circuit = QuantumCircuit(n_wires, name=f"{spec.encoding}-{spec.ansatz}")
    n_angles, prepare = n_wires, None
    if spec.encoding == "amplitude":
        angles = ParameterVector("angle", N_ANGLES[n_wires])
        append_compact(circuit, range(n_wires), list(angles))
        n_angles, prepare = N_ANGLES[n_wires], CompactPreparation(plan.order())
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
        inputs=SpecInputs(spec.encoding_rule, n_angles, spec.n_weights, prepare),
    )


def active_qubits(compiled: CompiledLayer) -> list[int]:
    """Those that have a gate or are measured, in ascending order; one where there are none."""
    used = {
        compiled.circuit.find_bit(qubit).index
        for item in compiled.circuit.data
        for qubit in item.qubits
    }
    return sorted(used.union(compiled.observed)) or [0]


def _laid_out(layer: CompiledLayer, circuit: QuantumCircuit, costs: ReportedCosts) -> CompiledLayer:
    """The layer with its transpiled circuit, shorter where the device has gates for that."""
    observables = tuple(o.apply_layout(circuit.layout) for o in layer.observables)
    if costs.fractional:
        circuit = in_few_pulses(constants_folded(circuit))
    return replace(
        layer, circuit=circuit, observables=observables, one_qubit_gates=costs.one_qubit_gates
    )


def _placement_costs(layer: CompiledLayer, costs: ReportedCosts, places: NDArray[np.int_]) -> Array:
    """Costs (N,) of a layer on N lines or rings, whose rows are the qubits at its positions."""
    gates = ["rz", "sx", "x", "cz", *(["rx"] if costs.fractional else [])]
    native = transpile(layer.circuit, basis_gates=gates, optimization_level=1)
    if costs.fractional:
        native = in_few_pulses(native)
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


def recorded(compiled: CompiledLayer, costs: ReportedCosts) -> CompiledLayer:
    """The layer with its record; raises `OptionError` for a gate without calibration."""
    circuit = executed(compiled.circuit)
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
        "physical_qubits": active_qubits(compiled),
        "duration": max(ends),
        "gate_fidelity": math.exp(-gate_cost),
        "readout_fidelity": math.exp(-sum(costs.readout[qubit] for qubit in measured)),
    }
    return replace(compiled, record=record)
