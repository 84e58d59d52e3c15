"""The compact preparation's angles by one launch, where torch would take hundreds."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...circuits.orthogonal import QUATERNION_PRODUCTS
from ...circuits.preparation import CompactPreparation
from ...layers.canonical import references
from ...layers.program import InputMap
from ...layers.spec_inputs import SpecInputs
from ..cuda.driver import Machine

N_WIRES = 4
"""That the kernel is written for: an SO(4) and no singular value decomposition of more."""
N_ANGLES = 15


class Parameters(ctypes.Structure):
    """What a launch is given, byte for byte as `compact.cu` has it."""

    _fields_ = (
        ("features", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("reference", ctypes.c_void_p),
        ("references", ctypes.c_void_p),
        ("products", ctypes.c_void_p),
        ("angles", ctypes.c_void_p),
        ("n_rows", ctypes.c_int),
        ("spare", ctypes.c_int),
    )


@dataclass(frozen=True)
class Variant:
    """What the kernel is compiled for; see `..cuda.parameters.Variant`."""

    source = "compact.cu"
    threads = 32

    @property
    def definitions(self) -> list[str]:
        """As a compiler's options."""
        return ["-DDOUBLE"]


class FusedPreparation:
    """Features (B, 16) to angles (B, 15), both in float64; see `CompactPreparation`.

    Args:
        machine: what runs the kernel.
        order: amplitude `order[k]` of the layer is amplitude k of the line.
    """

    def __init__(self, machine: Machine, order: Sequence[int]) -> None:
        self._kernel = machine.kernel("forward", Variant(), 0)
        constants = (
            np.array(order, dtype=np.int32),
            references(2**N_WIRES)[0],
            references(4),
            QUATERNION_PRODUCTS.reshape(16, 16),
        )
        there = [torch.from_numpy(each.copy()).to(machine.device) for each in constants]
        # A captured step outlives the layer that was in it.
        machine.keep(*there)
        self._fixed = [each.data_ptr() for each in there]

    def __call__(self, features: Tensor) -> Tensor:
        """Angles; zero for a row that encodes nothing."""
        features, n_rows = features.contiguous(), len(features)
        angles = features.new_empty(n_rows, N_ANGLES)
        given = Parameters(features.data_ptr(), *self._fixed, angles.data_ptr(), n_rows)
        self._kernel.launch(given, -(-n_rows // Variant.threads))
        return angles


def fused_inputs(inputs: InputMap, machine: Machine | None) -> InputMap:
    """The map to a layer's angles, by the kernel where that is for it."""
    if machine is None or not isinstance(inputs, SpecInputs):
        return inputs
    prepare = inputs.prepare
    if not isinstance(prepare, CompactPreparation) or len(prepare.order) != 2**N_WIRES:
        return inputs
    return replace(inputs, prepare=FusedPreparation(machine, prepare.order))
