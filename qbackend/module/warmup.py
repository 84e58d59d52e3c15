"""What is compiled at its first use, compiled beforehand.

A kernel is compiled for the types that it is called with, so layers are run by every road that a
run can take, forwards and backwards, in both number formats. Kernels are found by looking through
the modules that may have them: `tests/module/test_warmup.py` fails for one that no layer calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from ..kernels.cache import kernels, number_format, sources
from ..layers.circuit_layer import CircuitLayer
from ..layers.program import Layer
from ..layers.spec import LayerSpec
from ..native.cuda.driver import DOUBLE, Cuda, called, kept_in, machine_of
from .pointwise import QuantumPointwiseConv2d
from .quantum_layer import QuantumLayer

FEW, MANY = 3, 4096
"""Rows that pass in one call, and rows that are worth other roads."""
DTYPES = (torch.float32, torch.float64)
NOISY = "native:fake_manila"


@dataclass(frozen=True)
class Warmed:
    """A kernel in one number format.

    Attributes:
        name: by its module; of CUDA's, its file and what it is compiled for.
        numbers: float32 or float64.
        seconds: that compiling took, None if it was in the cache.
        place: the folder that it is kept in, None where none can be written.
    """

    name: str
    numbers: str
    seconds: float | None
    place: str | None


Work = Callable[[], None]


def work(device: torch.device) -> list[Work]:
    """Calls that between them compile all that runs on a device, each some seconds long."""
    rows = [
        partial(_rows, backend, layer, dtype, device)
        for dtype in DTYPES
        for backend, layer in _layers()
    ]
    images = [
        partial(_images, backend, channels, dtype, device)
        for dtype, backend, channels in product(DTYPES, ("native", "aer"), (4, 64))
    ]
    return [*rows, *images]


def warmed() -> list[Warmed]:
    """What this process has compiled or taken from the cache so far."""
    return [*_on_cpu(), *_on_cuda()]


def _layers() -> Iterator[tuple[str, Layer]]:
    """Backends and layers that take different roads."""
    for backend in ("native", "aer"):
        for n_wires, n_layers in ((4, 2), (6, 2)):
            for encoding in ("amplitude", "angle"):
                yield backend, LayerSpec(n_wires, encoding, "basic_entangler", n_layers)
    yield "native", _circuit(6)
    yield NOISY, LayerSpec(1, "angle", "basic_entangler", 1)
    yield NOISY, LayerSpec(2, "amplitude", "basic_entangler", 1)
    yield NOISY, LayerSpec(2, "angle", "basic_entangler", 2)
    yield NOISY, _circuit(2)


def _circuit(n_qubits: int) -> CircuitLayer:
    features, weights = ParameterVector("x", n_qubits), ParameterVector("w", n_qubits)
    circuit = QuantumCircuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(features[qubit], qubit)
        circuit.rx(features[qubit] * weights[qubit], qubit)
        circuit.cx(qubit, (qubit + 1) % n_qubits)
        circuit.rz(weights[qubit], qubit)
    return CircuitLayer(
        circuit,
        features=list(features),
        weights=list(weights),
        observables=[SparsePauliOp("I" * (n_qubits - 1) + "Z"), SparsePauliOp("Z" * n_qubits)],
    )


def _rows(backend: str, layer: Layer, dtype: torch.dtype, device: torch.device) -> None:
    module = QuantumLayer(layer, backend=backend, seed=0).to(device, dtype)
    for n_rows in (FEW, MANY):
        features = torch.ones(n_rows, layer.n_features, dtype=dtype, device=device)
        with torch.no_grad():
            module(features)
        module(features.requires_grad_()).sum().backward()


def _images(backend: str, channels: int, dtype: torch.dtype, device: torch.device) -> None:
    layer = QuantumPointwiseConv2d(channels, channels, depth=2, backend=backend, seed=0)
    images = torch.ones(2, channels, 4, 4, dtype=dtype, device=device, requires_grad=True)
    layer.to(device, dtype)(images).sum().backward()


def _on_cpu() -> Iterator[Warmed]:
    package = __package__.rpartition(".")[0]
    root = sources()[0].parents[1]
    for source in sources():
        parts = source.relative_to(root).with_suffix("").parts
        for kernel in kernels(import_module(".".join([package, *parts]))):
            told = kernel._cache
            for signature in kernel.overloads:
                numbers, seconds = number_format(signature), told.seconds.get(signature)
                yield Warmed(told.name, numbers, seconds, told.place)


def _on_cuda() -> Iterator[Warmed]:
    machine = machine_of(torch.device("cuda")) if torch.cuda.is_available() else None
    if isinstance(machine, Cuda):
        for variant, seconds in machine.seconds.items():
            numbers = "float64" if DOUBLE in variant.definitions else "float32"
            yield Warmed(called(variant), numbers, seconds, str(kept_in()))
