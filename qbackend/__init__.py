"""One quantum layer, every backend.

>>> from qbackend import LayerSpec, QuantumLayer
>>> layer = QuantumLayer(LayerSpec(n_wires=4), backend="aer", seed=7)

Names load on first use: the command line reads only `errors` and must answer at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .layers.spec import LayerSpec
    from .module.quantum_layer import QuantumLayer
    from .registry import get_backend, list_backends

__all__ = ["LayerSpec", "QuantumLayer", "errors", "get_backend", "list_backends"]

_HOME = {
    "LayerSpec": "layers.spec",
    "QuantumLayer": "module.quantum_layer",
    "get_backend": "registry",
    "list_backends": "registry",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module(".errors", __name__)
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
