"""An `AerSimulator` of the user's own, under the `NoiseModel` that it has.

A model's errors act on gates by their names, and a circuit of other gates would pass it untouched.
So a layer is compiled to the model's gates. A model that was made without naming any has `id`,
`rz`, `sx` and `cx` besides those with errors; such a `cx` would take the place of a device's noisy
`cz`. So of gates that do the same, those without an error give way to those that have one.

Exact values are those of endless shots, misreads included: a density matrix of the qubits in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate
from qiskit.circuit.library import IGate, get_standard_gate_name_mapping
from qiskit.transpiler.exceptions import TranspilerError
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, QuantumError

from ..circuits.device_form import drop_idle_qubits
from ..circuits.logical import circuit_record, compile_layer
from ..circuits.measuring import turned_circuits
from ..devices.mixtures import TransparentModel
from ..devices.noise import ModelledLayer
from ..errors import OptionError
from ..gradients.plans import check_rotations
from ..layers.program import ROTATION_ANGLES, Layer
from ..seam.backend import Capabilities, check_width
from ..seam.reading import expected
from ..seam.requests import CompiledLayer, Request, Result
from ..seam.simulators import ExactSimulator, simulator_capabilities
from .noisy import MAX_QUBITS, probabilities

ALIKE = ({"rz", "p", "u1"}, {"cx", "cy", "cz", "ecr"})
"""Gates that stand for each other: the same up to a phase, or with single-qubit gates around."""
MEASURED = "measured"
"""Label of the identity gate that stands for a measurement, where its quantum error acts."""
TRANSPILER_SEED = 0


class AerOwnNoise(ExactSimulator):
    """Exact expectation values under a user's noise model.

    Args:
        simulator: with a noise model.
        name: of the backend.

    Raises:
        OptionError: a model of which Aer would apply a part only.
    """

    def __init__(self, simulator: AerSimulator, name: str) -> None:
        check_model(simulator)
        self.name = name
        self.simulator = simulator
        self._layers: dict[Layer, ModelledLayer] = {}

    @property
    def advice(self) -> str:
        return "give the simulator with shots, as in get_backend(simulator, shots=N)"

    @property
    def capabilities(self) -> Capabilities:
        max_wires = min(width(self.simulator), MAX_QUBITS)
        return simulator_capabilities(exact=True, max_wires=max_wires, noisy=True)

    def compile(self, spec: Layer) -> CompiledLayer:
        """The layer on the qubits that it takes, with the noise that acts there; one per spec.

        Raises:
            OptionError: too many wires, gates that the layer cannot be made of, or no noise on it.
        """
        if spec not in self._layers:
            check_width(self, spec)
            layer = _under_model(compile_to_model(spec, self.simulator), self.simulator)
            if layer.circuit.num_qubits > MAX_QUBITS:
                raise OptionError(
                    f"the compiled layer takes {layer.circuit.num_qubits} qubits, but a density "
                    f"matrix takes at most {MAX_QUBITS}; {self.advice}"
                )
            self._layers[spec] = layer
        return self._layers[spec]

    def check(self, request: Request) -> None:
        if not isinstance(request.compiled, ModelledLayer):
            raise OptionError("the layer was compiled by another backend: compile it by this one")

    def run(self, request: Request, job_id: str) -> Result:
        layer = request.compiled
        assert isinstance(layer, ModelledLayer)
        values = expected(layer, probabilities(layer, request.parameters))
        return Result(
            values, np.zeros_like(values), shots=None, job_ids=(job_id,), device=self.simulator.name
        )


def has_noise(simulator: AerSimulator) -> bool:
    """Whether it has a noise model with an error in it."""
    model = getattr(simulator.options, "noise_model", None)
    return model is not None and not model.is_ideal()


def width(simulator: AerSimulator) -> int:
    """Its qubits, or those that its coupling map connects."""
    pairs = simulator.configuration().coupling_map
    n_qubits: int = simulator.num_qubits
    return min(n_qubits, 1 + max(map(max, pairs))) if pairs else n_qubits


def check_model(simulator: AerSimulator) -> None:
    """Raise `OptionError` for a readout error of several qubits, which Aer leaves out."""
    for qubits in simulator.options.noise_model._local_readout_errors:
        if len(qubits) > 1:
            raise OptionError(
                f"the noise model has a readout error of qubits {qubits} together, and Aer applies "
                "none but those of single qubits: model.add_readout_error(error, [qubit])"
            )


def compile_to_model(spec: Layer, simulator: AerSimulator) -> CompiledLayer:
    """The layer over all qubits of a simulator, in its noise model's gates.

    Without a coupling map gates of the model's are kept as they are, and others are translated one
    by one.

    Raises:
        OptionError: gates that the layer cannot be made of, or none of its gates has an error.
    """
    logical = compile_layer(spec)
    circuit, basis = _translated(logical.circuit, simulator)
    compiled = replace(
        logical,
        circuit=circuit,
        observables=tuple(each.apply_layout(circuit.layout) for each in logical.observables),
        record={**circuit_record(circuit), "basis_gates": basis},
        one_qubit_gates=tuple(name for name in basis if _gates()[name].num_qubits == 1),
    )
    _check_noise(compiled, simulator.options.noise_model)
    return compiled


def _translated(
    circuit: QuantumCircuit, simulator: AerSimulator
) -> tuple[QuantumCircuit, list[str]]:
    """The circuit in the first set of gates that it can be made of, and these gates' names.

    Each angle then is that of one rotation still, as the shift rule has it. Aer binds these rightly
    and no others: it takes the open angle of a controlled phase for 0.
    """
    pairs = simulator.configuration().coupling_map
    for basis in filter(None, _bases(simulator)):  # Qiskit takes none for leave to use all
        try:
            found = transpile(
                circuit,
                basis_gates=basis,
                coupling_map=[list(pair) for pair in pairs] if pairs else None,
                optimization_level=3 if pairs else 0,
                seed_transpiler=TRANSPILER_SEED,
            )
            check_rotations(found)
        except (TranspilerError, OptionError):
            continue
        # Nothing is controlled any more, and Aer would work its parameters out row by row.
        found.global_phase = 0
        return found, basis
    gates = ", ".join(_basis(simulator)) or "no gate"
    raise OptionError(
        f"the layer cannot be made of {gates}, which the noise model has, with each angle in one "
        "rotation; add gates without errors to the model before the AerSimulator is made: "
        "model.add_basis_gates(['rz', 'sx', 'cx'])"
    )


def _bases(simulator: AerSimulator) -> list[list[str]]:
    """Gates to compile to: those that do not give way to others, and where they do not do, all."""
    basis, noisy = _basis(simulator), set(simulator.options.noise_model.noise_instructions)
    given_way = {name for alike in ALIKE if alike & noisy for name in alike - noisy}
    return [[name for name in basis if name not in given_way], basis]


def _basis(simulator: AerSimulator) -> list[str]:
    """The gates that the simulator and its model name, without those that hide an angle."""
    named = simulator.configuration().basis_gates
    return sorted(name for name in set(named) if name in _gates())


@cache
def _gates() -> dict[str, Gate]:
    """Gates whose parameters are angles of rotations, which Aer has for density matrices."""
    known = AerSimulator(method="density_matrix").configuration().basis_gates
    return {
        name: gate
        for name, gate in get_standard_gate_name_mapping().items()
        if isinstance(gate, Gate) and name in known and (not gate.params or name in ROTATION_ANGLES)
    }


def _under_model(compiled: CompiledLayer, simulator: AerSimulator) -> ModelledLayer:
    """The layer on the qubits in use, these alone, with the errors that act there."""
    given: NoiseModel = simulator.options.noise_model
    compiled = drop_idle_qubits(compiled)
    physical = compiled.record["physical_qubits"]
    model = TransparentModel(basis_gates=given.basis_gates)
    measured = turned_circuits(compiled)
    for position, qubit in enumerate(physical):
        misread = given._local_readout_errors.get((qubit,), given._default_readout_error)
        if misread is not None:
            model.add_misread(misread, position)
        before = _error(given, "measure", (qubit,))
        if before is not None:
            model.add_channel(before, MEASURED, [position])
    for circuit in measured:
        for name, positions in _acting(circuit):
            error = _error(given, name, tuple(physical[position] for position in positions))
            if error is not None and (name, positions) not in model.channels:
                model.add_channel(error, name, positions)
    return ModelledLayer(
        spec=compiled.spec,
        circuit=compiled.circuit,
        observables=compiled.observables,
        parameters=compiled.parameters,
        inputs=compiled.inputs,
        record=compiled.record,
        one_qubit_gates=compiled.one_qubit_gates,
        read=compiled.read,
        model=model,
        measured=tuple(_with_measurements(circuit, model) for circuit in measured),
    )


def _with_measurements(circuit: QuantumCircuit, model: TransparentModel) -> QuantumCircuit:
    """The circuit with a gate in place of each measurement that has a quantum error."""
    longer = circuit.copy()
    for qubit in range(circuit.num_qubits):
        if (MEASURED, (qubit,)) in model.channels:
            longer.append(IGate(label=MEASURED), [qubit])
    return longer


def _check_noise(compiled: CompiledLayer, model: NoiseModel) -> None:
    """Raise `OptionError` where all that the layer is made of has no error."""
    made_of = {acting for circuit in turned_circuits(compiled) for acting in _acting(circuit)}
    made_of |= {("measure", (qubit,)) for qubit in compiled.observed}
    misread = any(
        model._local_readout_errors.get((qubit,), model._default_readout_error) is not None
        for qubit in compiled.observed
    )
    if not misread and all(_error(model, *acting) is None for acting in made_of):
        raise OptionError(
            "the noise model would leave the layer ideal: the layer is made of "
            f"{', '.join(sorted({name for name, _ in made_of}))}, and the model has errors on "
            f"{', '.join(model.noise_instructions)}; give the model the gates to compile to, as in "
            "NoiseModel(basis_gates=[...]), or take backend='aer' for ideal values"
        )


def _acting(circuit: QuantumCircuit) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What Aer looks a gate's error up by: its label, or its name if it has none; its qubits."""
    for item in circuit.data:
        name = getattr(item.operation, "label", None) or item.operation.name
        yield name, tuple(circuit.find_bit(qubit).index for qubit in item.qubits)


def _error(model: NoiseModel, name: str, qubits: tuple[int, ...]) -> QuantumError | None:
    """The error of an instruction on these qubits, their own before that of all qubits.

    Aer tells of a model's errors in no other way than as text.
    """
    local = model._local_quantum_errors.get(name, {}).get(qubits)
    return model._default_quantum_errors.get(name) if local is None else local
