"""A Qiskit `BackendV2` that counts what it measures, one circuit per row and readout.

Letters: N rows, M observables, T strings, n qubits of the circuit, k measured qubits, D outcomes.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.providers import BackendV2
from qiskit.transpiler import generate_preset_pass_manager
from qiskit.transpiler.exceptions import TranspilerError

from ..circuits.logical import circuit_record, compile_layer
from ..circuits.measuring import turned
from ..errors import BackendError, OptionError
from ..layers.inputs import Array
from ..layers.program import Layer
from ..layers.readout import Readout
from ..seam.backend import Capabilities, check_width
from ..seam.requests import CompiledLayer, Request, Result
from ..seam.simulators import SamplingSimulator, simulator_capabilities
from ..seam.uncertainty import standard_error
from .finding import find

DEFAULT_SHOTS = 4096
TRANSPILER_SEED = 0
WIDEST = 30
"""Wires where a backend does not say how many qubits it has."""


class QiskitBackend(SamplingSimulator):
    """Runs on a `BackendV2`, whatever that is.

    Qiskit's own `BackendEstimatorV2` adds the standard errors of an observable's terms up as if
    all of them were wrong together, and rounds the shots that a precision stands for up.

    Args:
        device: executes.
        name: of the backend.
        path: `MODULE:OBJECT` by which another process finds the device; without it the object
            itself is pickled.
        shots: of each readout of a row; 4096 unless given.
        seed: for requests that bring none.
    """

    def __init__(
        self,
        device: BackendV2,
        name: str,
        *,
        path: str | None = None,
        shots: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(DEFAULT_SHOTS if shots is None else shots, seed)
        self.device = device
        self.name = name
        self._path = path

    @property
    def capabilities(self) -> Capabilities:
        n_qubits = self.device.num_qubits
        return simulator_capabilities(
            exact=False, max_wires=WIDEST if n_qubits is None else n_qubits
        )

    def compile(self, spec: Layer) -> CompiledLayer:
        """Transpile once, parameters open, and lay the observables out with the circuit.

        Raises:
            OptionError: too many wires, or gates that the layer cannot be made of.
        """
        check_width(self, spec)
        logical, target = compile_layer(spec), self.device.target
        passes = generate_preset_pass_manager(
            optimization_level=3, backend=self.device, seed_transpiler=TRANSPILER_SEED
        )
        try:
            circuit = passes.run(logical.circuit)
        except TranspilerError as error:
            raise OptionError(
                f"the layer does not compile to the gates of '{self.name}': {error}"
            ) from None
        gates = zip(target.operation_names, target.operations, strict=True)
        return CompiledLayer(
            spec=spec,
            circuit=circuit,
            observables=tuple(op.apply_layout(circuit.layout) for op in logical.observables),
            parameters=logical.parameters,
            inputs=logical.inputs,
            record={**circuit_record(circuit), "transpiler_seed": TRANSPILER_SEED},
            one_qubit_gates=tuple(
                name for name, gate in gates if isinstance(gate, Gate) and gate.num_qubits == 1
            ),
        )

    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        compiled, rows = request.compiled, request.parameters
        values = np.zeros((len(rows), len(compiled.observables)))
        variances = np.zeros_like(values)
        seeds = np.random.SeedSequence(seed).generate_state(len(compiled.readouts)).tolist()
        for readout, stream in zip(compiled.readouts, seeds, strict=True):
            signs = _Signs.of(readout)
            if not readout.basis:
                values += signs.constants
                continue
            circuits = _bound(compiled, readout, rows)
            counts = self._counted(circuits, shots, None if seed is None else stream, job_id)
            for row, counted in enumerate(counts):
                mean, variance = signs.averaged(counted)
                values[row] += mean
                variances[row] += standard_error(variance, shots, signs.reach) ** 2
        return Result(
            values=values,
            stderr=np.sqrt(variances),
            shots=shots,
            job_ids=(job_id,),
            device=self.device.name or self.name,
        )

    def _counted(
        self, circuits: Sequence[QuantumCircuit], shots: int, seed: int | None, job_id: str
    ) -> list[dict[str, int]]:
        """Counts of each circuit; raises `BackendError` for what the device raises."""
        found: list[dict[str, int]] = []
        at_once = self.device.max_circuits or len(circuits)
        try:
            for first in range(0, len(circuits), at_once):
                chunk = list(circuits[first : first + at_once])
                # Equal seeds would draw the same shots again in every chunk.
                seeded = {} if seed is None else {"seed_simulator": (seed + first) % 2**31}
                result = self.device.run(chunk, shots=shots, **seeded).result()
                found += [result.get_counts(index) for index in range(len(chunk))]
        except Exception as error:  # whatever a device's own code raises
            raise self._failed(str(error), job_id) from error
        for counts in found:
            if (counted := sum(counts.values())) != shots:
                raise self._failed(f"it counted {counted} shots, not {shots}", job_id)
        return found

    def _failed(self, why: str, job_id: str) -> BackendError:
        return BackendError(
            f"{self.name} failed: {why}", job_id=job_id, backend=self.name, state="failed"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        device = state.pop("device")
        if self._path is None:
            try:
                state["pickled"] = pickle.dumps(device)
            except Exception as error:  # whatever the object's own code raises
                raise OptionError(
                    f"'{self.name}' cannot be copied or sent to another process, for the backend "
                    f"object cannot be pickled ({error}): write a function that returns it and "
                    "name that, backend='qiskit:MODULE:FUNCTION'"
                ) from error
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        pickled = state.pop("pickled", None)
        self.__dict__.update(state)
        self.device = find(str(self._path)) if pickled is None else pickle.loads(pickled)


class _Signs:
    """What outcomes of one readout are worth.

    Attributes:
        members: which measured qubits each string multiplies, (k, T).
        coefficients: of the strings in the observables, (T, M).
        constants: what of the observables is no string, (M,).
        reach: half the distance from the least to the largest value, at most, (M,).
    """

    def __init__(self, members: Array, coefficients: Array, constants: Array) -> None:
        self.members, self.coefficients, self.constants = members, coefficients, constants
        self.reach = np.abs(coefficients).sum(axis=0)

    @classmethod
    def of(cls, readout: Readout) -> _Signs:
        strings = sorted({qubits for each in readout.terms for _, qubits in each if qubits})
        column = {qubits: index for index, qubits in enumerate(strings)}
        coefficients = np.zeros((len(strings), len(readout.terms)))
        constants = np.zeros(len(readout.terms))
        for output, terms in enumerate(readout.terms):
            for coefficient, qubits in terms:
                if qubits:
                    coefficients[column[qubits], output] += coefficient
                else:
                    constants[output] += coefficient
        members = np.array([[q in qubits for qubits in strings] for q in readout.qubits])
        return cls(members.astype(float), coefficients, constants)

    def averaged(self, counts: Mapping[str, int]) -> tuple[Array, Array]:
        """Mean (M,) over all shots and variance (M,) of one; an outcome's last bit is the first."""
        bits = np.array([[letter == "1" for letter in reversed(each)] for each in counts])
        outcomes = (1 - 2 * (bits @ self.members % 2)) @ self.coefficients
        shares = np.array(list(counts.values())) / sum(counts.values())
        mean = shares @ outcomes
        return mean + self.constants, shares @ (outcomes - mean) ** 2


def _bound(compiled: CompiledLayer, readout: Readout, rows: Array) -> list[QuantumCircuit]:
    """The circuit of each row (N, P), with the readout's qubits measured in its basis."""
    body = turned(compiled, readout)
    measured = QuantumCircuit(body.num_qubits, len(readout.qubits))
    measured.compose(body, inplace=True)
    measured.measure(readout.qubits, range(len(readout.qubits)))
    column = {parameter: index for index, parameter in enumerate(compiled.parameters)}
    order = [column[parameter] for parameter in measured.parameters]
    return [measured.assign_parameters(row) for row in rows[:, order]]
