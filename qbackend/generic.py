"""Any Qiskit `BackendV2`, by the module and name of its class, factory or instance."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any

import numpy as np
from qiskit.primitives import BackendEstimatorV2
from qiskit.providers import BackendV2
from qiskit.transpiler import generate_preset_pass_manager

from .circuits.logical import circuit_record, compile_layer
from .errors import BackendError, OptionError, UnknownNameError
from .layers.program import Layer
from .seam.backend import Capabilities, check_width
from .seam.requests import CompiledLayer, Request, Result
from .seam.simulators import SamplingSimulator, simulator_capabilities
from .seam.uncertainty import reach_of, standard_error

DEFAULT_SHOTS = 4096
TRANSPILER_SEED = 0


class QiskitBackend(SamplingSimulator):
    """A `BackendV2` behind Qiskit's `BackendEstimatorV2`.

    Args:
        path: `MODULE:OBJECT`, OBJECT a backend or something that returns one without arguments.
        shots: per row; 4096 unless given.
        seed: for requests that bring none.

    Raises:
        UnknownNameError: no such module or object.
        OptionError: the object is no `BackendV2`.
    """

    def __init__(self, path: str, *, shots: int | None = None, seed: int | None = None) -> None:
        super().__init__(DEFAULT_SHOTS if shots is None else shots, seed)
        self.name = f"qiskit:{path}"
        self._path = path

    @cached_property
    def device(self) -> BackendV2:
        """The backend that executes."""
        return _load(self._path)

    @property
    def capabilities(self) -> Capabilities:
        n_qubits = self.device.num_qubits
        return simulator_capabilities(
            exact=False, max_wires=n_qubits if n_qubits is not None else 30
        )

    def compile(self, spec: Layer) -> CompiledLayer:
        """Transpile once, parameters open, and lay the observables out with the circuit."""
        check_width(self, spec)
        logical = compile_layer(spec)
        passes = generate_preset_pass_manager(
            optimization_level=3, backend=self.device, seed_transpiler=TRANSPILER_SEED
        )
        circuit = passes.run(logical.circuit)
        return CompiledLayer(
            spec=spec,
            circuit=circuit,
            observables=tuple(op.apply_layout(circuit.layout) for op in logical.observables),
            parameters=logical.parameters,
            inputs=logical.inputs,
            record={**circuit_record(circuit), "transpiler_seed": TRANSPILER_SEED},
        )

    def sample(self, request: Request, shots: int, seed: int | None, job_id: str) -> Result:
        compiled = request.compiled
        estimator = BackendEstimatorV2(backend=self.device, options={"seed_simulator": seed})
        # A row's order of parameters is ours; Qiskit's PUB wants the circuit's own.
        column = {parameter: index for index, parameter in enumerate(compiled.parameters)}
        order = [column[parameter] for parameter in compiled.circuit.parameters]
        observables = [[observable] for observable in compiled.observables]
        pub = (compiled.circuit, observables, request.parameters[:, order])
        try:
            data: Any = estimator.run([pub], precision=1 / np.sqrt(shots)).result()[0].data
        except Exception as error:
            raise BackendError(
                f"{self.name} failed: {error}", job_id=job_id, backend=self.name, state="failed"
            ) from error
        reach = np.array([reach_of(observable) for observable in compiled.observables])
        variance = shots * np.asarray(data.stds, dtype=float).T ** 2
        return Result(
            values=np.asarray(data.evs, dtype=float).T.copy(),
            stderr=standard_error(variance, shots, reach),
            shots=shots,
            job_ids=(job_id,),
            device=self.device.name or self._path,
        )

    def __getstate__(self) -> dict[str, Any]:
        # A backend object may hold what cannot be pickled; its path finds it again.
        return {key: value for key, value in self.__dict__.items() if key != "device"}


def _load(path: str) -> BackendV2:
    module_name, _, object_name = path.partition(":")
    if not object_name:
        raise OptionError(f"'qiskit:{path}' names no object; write qiskit:MODULE:OBJECT")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UnknownNameError(f"cannot import '{module_name}': {error}") from None
    try:
        found = getattr(module, object_name)
    except AttributeError:
        raise UnknownNameError(f"module '{module_name}' has no '{object_name}'") from None
    device = found if isinstance(found, BackendV2) else found()
    if not isinstance(device, BackendV2):
        raise OptionError(f"'{path}' is a {type(device).__name__}, not a Qiskit BackendV2")
    return device
