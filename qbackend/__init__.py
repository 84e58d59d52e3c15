"""One quantum layer, every backend.

>>> from qbackend import LayerSpec, QuantumLayer
>>> layer = QuantumLayer(LayerSpec(n_wires=4), backend="aer", seed=7)

Names load on first use: the command line names backends and options, and must answer at once.

Lowest first:

- `errors`: everything that qhc raises on purpose
- `layers`: what a layer is
- `kernels`: the toolbox of compiled CPU code
- `seam`: what a backend is asked and answers
- `gradients`: derivatives as plans
- `circuits`: from a layer to a device
- `devices`: what a device reports, and its noise
- `aer`: Qiskit Aer, exact and with noise
- `native`: our simulator, exact and with noise
- `machines`: paid jobs, whoever sells them
- `ibm`: IBM's dialect of that
- `generic`: any other Qiskit backend
- `registry`: backends by name, or from objects
- `pixels`: engines for a layer on every pixel of feature maps
- `module`: the layer as a torch module
- `validation`: any torch model on any backends, planned and recorded
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .devices.noise_spec import NoiseSpec
    from .layers.circuit_layer import CircuitLayer
    from .layers.spec import LayerSpec
    from .module.pointwise import QuantumPointwiseConv2d
    from .module.quantum_layer import QuantumLayer
    from .registry import get_backend, list_backends
    from .validation.estimating import estimate
    from .validation.validate import validate

__all__ = [
    "CircuitLayer",
    "LayerSpec",
    "NoiseSpec",
    "QuantumLayer",
    "QuantumPointwiseConv2d",
    "errors",
    "estimate",
    "get_backend",
    "list_backends",
    "validate",
]

_HOME = {
    "CircuitLayer": "layers.circuit_layer",
    "LayerSpec": "layers.spec",
    "NoiseSpec": "devices.noise_spec",
    "QuantumLayer": "module.quantum_layer",
    "QuantumPointwiseConv2d": "module.pointwise",
    "estimate": "validation.estimating",
    "get_backend": "registry",
    "list_backends": "registry",
    "validate": "validation.validate",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module(".errors", __name__)
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
