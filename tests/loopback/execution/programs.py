"""What a job carries: programs decoded from their payload, executed, and their results encoded.

`sampler` and `estimator` are the programs of the V2 classes, `executor` that of the client-side
ones. All coding is the client's own. Options of mitigation are recorded and have no effect.

Letters: N rows, P circuit parameters, S shots, C classical bits.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import (
    ItemMetadataModel,
    MetadataModel,
    QuantumProgramResultItemModel,
    QuantumProgramResultModel,
)
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.primitives import (
    BitArray,
    DataBin,
    PrimitiveResult,
    PubResult,
    SamplerPubResult,
)
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.transpiler import Target
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.fake_provider.executor.broadcast_sample import broadcast_sample
from qiskit_ibm_runtime.options_models.executor import ExecutorOptions
from qiskit_ibm_runtime.quantum_program import CircuitItem, QuantumProgram, QuantumProgramItem
from qiskit_ibm_runtime.quantum_program.converters.converters_2_0 import passthrough_data_to_2_0
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
from qiskit_ibm_runtime.utils.utils import is_isa_circuit

from .expectations import Sample, expectations, measurement_bases

DEFAULT_SHOTS = 4096
SECONDS_PER_JOB = 2.0
SECONDS_PER_EXECUTION = 0.00035
"""IBM's estimate of QPU time, https://quantum.cloud.ibm.com/docs/guides/estimate-job-run-time."""
DEFAULT_REP_DELAY = 0.00025
"""Seconds between the shots that are in it, `default_rep_delay` of the machines here."""


class ProgramError(Exception):
    """A payload that the service refuses."""


@dataclass(frozen=True)
class Work:
    """What one PUB, or one item of a quantum program, asks of the machine.

    Attributes:
        circuit: as it was sent.
        rows: parameter sets; the client-side Estimator has one for each basis, and adds one that
            calibrates the readout.
        executed: circuits that run, each `shots` times: rows times measurement bases, or rows
            times randomisations.
        shots: of each of them.
    """

    circuit: QuantumCircuit
    rows: int
    executed: int
    shots: int


@dataclass(frozen=True)
class Program(ABC):
    """A decoded payload.

    Attributes:
        name: program id.
        work: one entry for each PUB, in their order.
        options: as they were sent.
    """

    name: str
    work: tuple[Work, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def executions(self) -> int:
        """Circuits times shots, which IBM's estimate counts."""
        return sum(work.executed * work.shots for work in self.work)

    @property
    def rep_delay(self) -> float | None:
        """Seconds between the shots, None for the machine's own."""
        return (self.options.get("execution") or {}).get("rep_delay")

    @property
    def estimated_seconds(self) -> float:
        more = 0.0 if self.rep_delay is None else self.rep_delay - DEFAULT_REP_DELAY
        return SECONDS_PER_JOB + (SECONDS_PER_EXECUTION + more) * self.executions

    def check(self, target: Target) -> str:
        """Why the machine cannot execute the circuits; empty if it can."""
        complaints = (is_isa_circuit(work.circuit, target) for work in self.work)
        return next(filter(None, complaints), "")

    @abstractmethod
    def run(self, sample: Sample, seeds: np.random.Generator) -> str:
        """The result as the service sends it; `seeds` draws what is drawn beside the samples."""


def decode_program(name: str, params: dict[str, Any]) -> Program:
    """The program with this id and these parameters, the JSON that the client posted.

    Raises:
        ProgramError: an unknown id, or a payload that does not decode.
    """
    decoders = {"sampler": _sampler, "estimator": _estimator, "executor": _executor}
    if name not in decoders:
        raise ProgramError(f"program '{name}' is not one of {', '.join(decoders)}")
    try:
        return decoders[name](params)
    except Exception as error:
        raise ProgramError(f"the parameters of '{name}' do not decode: {error}") from error


@dataclass(frozen=True)
class SamplerProgram(Program):
    """`SamplerV2`."""

    pubs: tuple[SamplerPub, ...] = ()

    def run(self, sample: Sample, seeds: np.random.Generator) -> str:
        results = []
        for pub, work in zip(self.pubs, self.work, strict=True):
            values = pub.parameter_values
            rows = values.as_array(pub.circuit.parameters)
            rows = rows.reshape(work.rows, pub.circuit.num_parameters)
            bits = sample(pub.circuit, rows, work.shots)
            arrays = {
                name: BitArray.from_bool_array(
                    register.reshape(*values.shape, work.shots, -1), order="little"
                )
                for name, register in _registers(pub.circuit, bits)
            }
            results.append(SamplerPubResult(DataBin(**arrays, shape=values.shape)))
        return json.dumps(PrimitiveResult(results, {"version": 2}), cls=RuntimeEncoder)


@dataclass(frozen=True)
class EstimatorProgram(Program):
    """`EstimatorV2`."""

    pubs: tuple[EstimatorPub, ...] = ()

    def run(self, sample: Sample, seeds: np.random.Generator) -> str:
        results = []
        for pub, work in zip(self.pubs, self.work, strict=True):
            values, errors = expectations(pub, work.shots, sample)
            data = DataBin(
                evs=values, stds=errors, ensemble_standard_error=errors, shape=values.shape
            )
            results.append(PubResult(data, {"shots": work.shots}))
        return json.dumps(PrimitiveResult(results, {"version": 2}), cls=RuntimeEncoder)


@dataclass(frozen=True)
class ExecutorProgram(Program):
    """The quantum program of the client-side primitives."""

    program: QuantumProgram = field(default_factory=lambda: QuantumProgram(shots=1))

    @property
    def rep_delay(self) -> float | None:
        return self.options.get("rep_delay")

    def run(self, sample: Sample, seeds: np.random.Generator) -> str:
        items = []
        for item in self.program.items:
            arrays, values = _arguments(item, seeds)
            rows = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
            bits = sample(item.circuit, rows, self.program.shots)
            for name, register in _registers(item.circuit, bits):
                arrays[name] = register.reshape(*values.shape[:-1], self.program.shots, -1)
            tensors = {k: CompressedTensorModel.from_numpy(v) for k, v in arrays.items()}
            items.append(
                QuantumProgramResultItemModel(results=tensors, metadata=ItemMetadataModel())
            )
        return QuantumProgramResultModel(
            data=items,
            metadata=MetadataModel(chunk_timing=[]),
            passthrough_data=passthrough_data_to_2_0(self.program.passthrough_data),
            semantic_role=self.program._semantic_role,
        ).model_dump_json()


def _sampler(params: dict[str, Any]) -> SamplerProgram:
    options = params.get("options", {})
    _check_classified(options.get("execution", {}).get("meas_type"))
    pubs = []
    for circuit, *rest in _decoded(params["pubs"]):
        values, shots = (*rest, None, None)[:2]
        pubs.append(SamplerPub.coerce((circuit, _bindings(circuit, values), shots)))
    default = options.get("default_shots") or DEFAULT_SHOTS
    work = []
    for pub in pubs:
        rows = pub.parameter_values.size
        work.append(Work(pub.circuit, rows, rows, pub.shots or default))
    return SamplerProgram("sampler", tuple(work), options, tuple(pubs))


def _estimator(params: dict[str, Any]) -> EstimatorProgram:
    options = params.get("options", {})
    pubs, work = [], []
    for circuit, observables, *rest in _decoded(params["pubs"]):
        values, precision = (*rest, None, None)[:2]
        pub = EstimatorPub.coerce((circuit, observables, _bindings(circuit, values), precision))
        rows = pub.parameter_values.size
        bases = len(measurement_bases(pub))
        pubs.append(pub)
        work.append(Work(circuit, rows, rows * bases, _estimator_shots(precision, options)))
    return EstimatorProgram("estimator", tuple(work), options, tuple(pubs))


def _executor(params: dict[str, Any]) -> ExecutorProgram:
    converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[params["schema_version"]]
    decoded: tuple[QuantumProgram, ExecutorOptions] = converter.decoder(
        converter.model.model_validate(params)
    )
    program = decoded[0]
    _check_classified(program.meas_level)
    work = tuple(
        Work(item.circuit, _rows_of(item), math.prod(item.shape), program.shots)
        for item in program.items
    )
    return ExecutorProgram("executor", work, params.get("options", {}), program)


def _check_classified(level: str | None) -> None:
    if level not in (None, "classified"):
        raise ValueError(f"measurement level '{level}' is not simulated")


def _decoded(pubs: Any) -> Any:
    return json.loads(json.dumps(pubs), cls=RuntimeDecoder)


def _bindings(circuit: QuantumCircuit, values: Any) -> BindingsArray | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=float)
    if not circuit.num_parameters:
        return BindingsArray(shape=array.shape[:-1])
    return BindingsArray({tuple(circuit.parameters): array})


def _estimator_shots(precision: float | None, options: dict[str, Any]) -> int:
    if precision is None and options.get("default_shots"):
        return options["default_shots"]
    precision = precision or options.get("default_precision") or DEFAULT_SHOTS**-0.5
    return math.ceil(precision**-2 - 1e-9)


def _registers(
    circuit: QuantumCircuit, bits: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each classical register's name and bits (N, S, size)."""
    for register in circuit.cregs:
        where = [circuit.find_bit(bit).index for bit in register]
        yield register.name, bits[:, :, where]


def _rows_of(item: QuantumProgramItem) -> int:
    """Parameter sets of an item, without its randomisations."""
    if isinstance(item, CircuitItem):
        return math.prod(item.shape)
    values = dict(item.samplex_arguments).get("parameter_values")
    return 1 if values is None else math.prod(values.shape[:-1])


def _arguments(
    item: QuantumProgramItem, seeds: np.random.Generator
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """What a samplex draws beside the circuit's arguments, and the arguments (..., P)."""
    if isinstance(item, CircuitItem):
        return {}, item.circuit_arguments
    item.samplex.finalize()
    drawn = broadcast_sample(item.samplex, item.samplex_arguments, item.shape, seeds)
    return drawn, drawn.pop("parameter_values")
