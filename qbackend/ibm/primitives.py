"""Runtime's primitives: how a call is put to them.

The one file that knows their two generations. `SamplerV2` and `EstimatorV2` are processed by the
service and deprecated since qiskit-ibm-runtime 0.50; `executor_sampler` and `executor_estimator`
process in the client and run as jobs of the program "executor". Both take options of the same
spelling, and give a `PrimitiveResult`, which `results` reads.
https://quantum.cloud.ibm.com/docs/guides/primitives

A row is a parameter set. For the Sampler every readout is a PUB, whose circuit measures the
readout's qubits only, those of each copy into a register; the Estimator takes the observables as
they are, in one.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit_ibm_runtime import EstimatorV2, IBMBackend, SamplerV2, Session
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler

from ..circuits.fractional import executed_rows
from ..circuits.measuring import turned_circuits
from ..machines.service import Call
from .results import asked, measured_in, measured_qubits, registers

EXTRAPOLATOR = "linear"
"""Of zero-noise extrapolation, where a service gives no more than the outcome."""

_CLASSES: dict[tuple[str, str], Any] = {
    ("sampler", "server"): SamplerV2,
    ("sampler", "client"): Sampler,
    ("estimator", "server"): EstimatorV2,
    ("estimator", "client"): Estimator,
}

FILTERS = threading.Lock()
"""Of Python's warning filters, which belong to all threads."""


def run(call: Call, mode: Any, tag: str) -> Any:
    """Start the job of a call; the client's job object.

    Args:
        call: what to execute.
        mode: the client's object of a machine, a batch or a session, or any other backend, which
            Runtime's local mode executes on.
        tag: of the job.

    Raises whatever the client raises.
    """
    kind = _CLASSES[call.options.primitive, call.options.generation]
    local = not isinstance(mode, IBMBackend | Session)
    with _quiet(DeprecationWarning):
        primitive = kind(mode=mode, options=spelled(call, tag, local=local))
    if not local:
        return primitive.run(pubs(call))
    # Local mode remarks on options that were checked before.
    with _quiet(Warning):
        return primitive.run(pubs(call))


def spelled(call: Call, tag: str, *, local: bool = False) -> dict[str, Any]:
    """The call's options as the primitives spell them; left out is what is not asked for.

    Shots are given as such also to the Estimator, whose precision would have to be squared.
    """
    options = call.options
    chosen: dict[str, Any] = {"environment": {"job_tags": [tag, *call.tags]}}
    if options.precision is None:
        chosen["default_shots"] = call.shots
    else:
        chosen["default_precision"] = options.precision
    if options.max_execution_time is not None:
        chosen["max_execution_time"] = options.max_execution_time
    if options.rep_delay is not None:
        chosen["execution"] = {"rep_delay": options.rep_delay}
    if options.dynamical_decoupling is not None:
        chosen["dynamical_decoupling"] = {
            "enable": True,
            "sequence_type": options.dynamical_decoupling,
        }
    trex = options.readout_mitigation == "trex"
    chosen["twirling"] = {
        "enable_gates": options.gate_twirling,
        "enable_measure": options.measurement_twirling or trex,
    }
    if options.primitive == "estimator":
        chosen["resilience_level"] = 0
        chosen["resilience"] = {"measure_mitigation": trex, "zne_mitigation": bool(options.zne)}
        if options.zne:
            chosen["resilience"]["zne"] = {
                "noise_factors": options.zne,
                "extrapolator": EXTRAPOLATOR,
            }
    if local and call.seed is not None:
        chosen["simulator"] = {"seed_simulator": local_seed(call.seed)}
    return chosen


def local_seed(seed: int) -> int:
    """A simulator's seed for ours, never 0: local mode takes 0 for none.

    Aer numbers the circuits of a job on from its seed, so that neighbouring seeds would share
    their random numbers; these do not.
    """
    return 1 + int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)


def pubs(call: Call) -> list[tuple[Any, ...]]:
    """For every readout one with all rows; for readout mitigation here, two more that calibrate."""
    compiled = call.compiled
    column = {parameter: index for index, parameter in enumerate(compiled.parameters)}
    circuit = compiled.circuit
    values = call.parameters[:, [column[parameter] for parameter in circuit.parameters]]
    if call.options.primitive == "estimator":
        observables = [[asked(observable)] for observable in compiled.observables]
        circuit, values = executed_rows(circuit, values)
        return [(circuit, observables, values)]
    copies = compiled.copies or (compiled,)
    measured: list[tuple[Any, ...]] = [
        executed_rows(
            _measuring(turned, [measured_in(copy.readouts[index]) for copy in copies]), values
        )
        for index, turned in enumerate(turned_circuits(compiled))
    ]
    if call.options.calibrates:
        qubits = [measured_qubits(copy) for copy in copies]
        for flipped in (False, True):
            prepared = QuantumCircuit(*circuit.qregs)
            if flipped:
                prepared.x([qubit for each in qubits for qubit in each])
            measured.append((_measuring(prepared, qubits),))
    return measured


def _measuring(circuit: QuantumCircuit, qubits: list[list[int]]) -> QuantumCircuit:
    """The circuit, and the qubits of each copy measured into a register of its own."""
    measured = circuit.copy()
    for name, each in zip(registers(len(qubits)), qubits, strict=True):
        register = ClassicalRegister(len(each), name)
        measured.add_register(register)
        measured.measure(each, register)
    return measured


@contextmanager
def _quiet(category: type[Warning]) -> Iterator[None]:
    """Silence what the client says of itself."""
    with FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
