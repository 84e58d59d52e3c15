"""Layers from what is written of them, and those of the catalogue told from all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .program import Layer
from .spec import LayerSpec

if TYPE_CHECKING:
    from .circuit_layer import CircuitLayer


def layer_of(values: Mapping[str, Any]) -> LayerSpec | CircuitLayer:
    """The layer that its `to_dict` described; raises `SpecError` for what describes none."""
    if "circuit" not in values:
        return LayerSpec.from_dict(values)
    # Circuits load Qiskit, for which the catalogue need not wait.
    from .circuit_layer import CircuitLayer

    return CircuitLayer.from_dict(values)


def in_catalogue(layer: Layer, what: str) -> LayerSpec:
    """The layer, for `what` knows the catalogue's alone; raises `OptionError` for another."""
    if not isinstance(layer, LayerSpec):
        raise OptionError(f"{what} takes a LayerSpec of the catalogue, not {layer!r}")
    return layer
