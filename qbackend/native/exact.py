"""The backend `native`: our own batched simulator, exact, on CPU and CUDA.

On the CPU wide layers run as statevectors. For layers of few wires it can pay to compute the
ansatz's unitary once per weight vector instead, and every row as a quadratic form of its features.
On CUDA fused kernels run statevectors of any width; without them, and on other devices, torch does.

Letters: B batch, F features, W weights, M observables, N rows, D = 2^Q amplitudes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import DTypeLike

from ..circuits.logical import compile_layer
from ..kernels.lanes import VECTOR_BYTES
from ..layers.definitions import in_catalogue
from ..layers.inputs import Array
from ..layers.program import Layer
from ..layers.spec import LayerSpec
from ..seam.backend import Capabilities, Forward, check_width
from ..seam.forms import Forms, PixelBackend
from ..seam.requests import CompiledLayer, Request, Result, angles_of
from ..seam.simulators import ExactSimulator, simulator_capabilities
from . import tensors
from .any_circuit import tensors as in_torch
from .any_circuit.engine import engine_of
from .cuda.driver import machine_of
from .cuda.engine import Engine
from .forms import LayerForms
from .pixel_circuits import PixelCircuits
from .statevector import engine, small_batch
from .statevector.unitaries import Unitaries

MAX_WIRES = 20
FORM_WIRES = 4
TENSOR_FORM_WIRES = 6
"""The widest layers that run as quadratic forms: on the CPU, and elsewhere."""
FORM_OVERHEAD = 100
"""Vectors of rows that pass through one repetition of an ansatz, and back, in the time that it
takes to set forms up and to pull their gradient back."""


class NativeBackend(ExactSimulator, PixelBackend):
    """Exact expectation values and derivatives, in the features' own precision.

    Args:
        seed: accepted as every backend accepts one; exact values need none.
    """

    name = "native"
    sampler = "aer"

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._forms: LayerForms | None = None
        self._engines: dict[torch.device, Engine | None] = {}

    @property
    def capabilities(self) -> Capabilities:
        return simulator_capabilities(exact=True, max_wires=MAX_WIRES, vjp=True, on_device=True)

    def compile(self, spec: Layer) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def forward_loaded(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        dtype = features.dtype
        if differentiate and features.is_cpu and weights.is_cpu and weights.dtype == dtype:
            program, max_rows = _small_batches(spec, dtype)
            if features.shape[0] <= max_rows:
                return program.forward(features, weights)
        if (fused := self._fused(spec, features)) is not None:
            return fused.forward(spec, features, weights, differentiate)
        angles = angles_of(weights)
        if not _prefers_forms(spec, features, differentiate):
            simulate = engine.forward if features.is_cpu else tensors.forward
            return simulate(spec, features, angles, differentiate=differentiate)
        forms = self._forms
        if forms is None or not forms.serve(spec, angles, dtype):
            forms = self._forms = LayerForms(spec, angles, dtype)
        return forms.forward(features, differentiate=differentiate)

    def forward_circuit(
        self,
        compiled: CompiledLayer,
        features: torch.Tensor,
        weights: torch.Tensor,
        differentiate: bool,
    ) -> Forward:
        """A circuit of the user's: compiled on the CPU and on CUDA, elsewhere torch's operations.

        On a device nothing waits for it: what is not finite has outputs of NaN.
        """
        if features.is_cpu:
            circuit = engine_of(compiled.spec, features.dtype)
            return circuit.forward(features, weights, differentiate=differentiate)
        if (fused := self._fused(compiled.spec, features)) is not None:
            return fused.forward(compiled.spec, features, weights, differentiate)
        return in_torch.forward(compiled.spec, features, weights, differentiate=differentiate)

    def forms(self, compiled: CompiledLayer, weights: Array) -> Forms:
        unitaries = Unitaries(in_catalogue(compiled.spec, "a layer on every pixel"), weights)
        return Forms(unitaries.forms(), unitaries.pull_forms)

    def pixel_circuits(
        self, compiled: CompiledLayer, weights: Array, dtype: DTypeLike
    ) -> PixelCircuits:
        spec = in_catalogue(compiled.spec, "a layer on every pixel")
        return PixelCircuits(spec, weights, dtype)

    def run(self, request: Request, job_id: str) -> Result:
        return _run_rows(request, job_id)

    def close(self) -> None:
        self._forms, self._engines = None, {}

    def __getstate__(self) -> dict[str, object]:
        return {"seed": self.seed, "_forms": None, "_engines": {}}

    def _fused(self, layer: Layer, features: torch.Tensor) -> Engine | None:
        """What runs the layer by fused kernels where its features are, None where none can."""
        if not features.is_cuda:
            return None
        device = features.device
        if device not in self._engines:
            machine = machine_of(device)
            self._engines[device] = None if machine is None else Engine(machine)
        engine = self._engines[device]
        return engine if engine is not None and engine.takes(layer, features.dtype) else None


@lru_cache(maxsize=64)
def _small_batches(spec: LayerSpec, dtype: torch.dtype) -> tuple[small_batch.Program, int]:
    """What trains on batches that pass in one call, and how many rows are few enough for that."""
    program = small_batch.program(spec, dtype)
    if spec.n_wires > FORM_WIRES or spec.n_layers == 1:
        return program, program.max_rows
    n_vectors = FORM_OVERHEAD / (spec.n_layers - 1)
    return program, min(program.max_rows, int(n_vectors * VECTOR_BYTES / dtype.itemsize))


def _prefers_forms(spec: LayerSpec, features: torch.Tensor, differentiate: bool) -> bool:
    """Whether quadratic forms cost less than statevectors; the same for the same shapes.

    Measured: rows pass through forms, and back, in the time of one repetition of an ansatz.
    """
    if not features.is_cpu:
        return spec.n_wires <= TENSOR_FORM_WIRES
    if spec.n_wires > FORM_WIRES or not differentiate:
        return spec.n_wires <= FORM_WIRES
    n_vectors = features.shape[0] * features.element_size() / VECTOR_BYTES
    return (spec.n_layers - 1) * n_vectors > FORM_OVERHEAD


def _run_rows(request: Request, job_id: str) -> Result:
    """Expectation values of every row, grouped by weight vector."""
    if not isinstance(request.compiled.spec, LayerSpec):
        values = in_torch.values_of_angles(request.compiled.spec, request.parameters)
        return _exact(values, job_id)
    spec = request.compiled.spec
    n_angles = spec.encoding_rule.n_angles(spec.n_wires)
    angles, given = request.parameters[:, :n_angles], request.parameters[:, n_angles:]
    rule = spec.encoding_rule
    rows = angles if rule.is_product else rule.states_of_angles(angles)
    values = np.empty((len(rows), spec.n_outputs))
    weights, group = np.unique(given, axis=0, return_inverse=True)
    for index, vector in enumerate(weights):
        chosen = group.ravel() == index
        done = engine.forward(spec, torch.from_numpy(rows[chosen]), vector, differentiate=False)
        values[chosen] = done.values.numpy()
    return _exact(values, job_id)


def _exact(values: Array, job_id: str) -> Result:
    return Result(
        values=values,
        stderr=np.zeros_like(values),
        shots=None,
        job_ids=(job_id,),
        device="native",
    )
