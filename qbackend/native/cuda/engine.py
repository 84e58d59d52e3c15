"""Layers as launches of the fused kernels: outputs, and gradients by the adjoint method.

A forward pass is one launch, a backward pass one; wide layers take a few of each. Nothing waits
for the device, so that a training step can be captured. Equal inputs give equal bits.

Letters: B batch, F features, W weights, M observables, Q wires.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import torch

from ...errors import InputError
from ...layers.spec import LayerSpec
from ...seam.backend import Forward, Gradients
from ...seam.forms import inverse_norms, pull_states
from .code import Code
from .coordinates import Shape
from .driver import Kernel, Machine
from .parameters import MOST_INDEX_BITS, Variant, capacity, parameters, shared_bytes
from .passes import MOST_TURNS, Pass, passes
from .strings import turned_circuit

MOST_HELD = 3
"""Index bits of a thread: 2^3 amplitudes of state and adjoint fill its registers."""
MANY_AMPLITUDES = 2**18
"""Of a batch from which a thread had better hold more, and fewer threads exchange."""
LARGEST_TILE, WIDE_TILE, SMALLEST_TILE = 12, 8, 6
BLOCK_THREADS, FEW_ROWS = 128, 32
OWN_SHARED_BYTES = 16
"""That a kernel takes by itself."""
NUMBERS = (torch.float32, torch.float64)


class Engine:
    """Runs layers on one machine, in float32 or float64."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._fault = machine, machine.cell()
        self._plans: dict[tuple[LayerSpec, bool, torch.dtype], _Plan | None] = {}

    def takes(self, spec: LayerSpec, dtype: torch.dtype) -> bool:
        """Whether the layer is one of those that the kernels do."""
        return dtype in NUMBERS and self._plan(spec, False, dtype) is not None

    def forward(
        self, spec: LayerSpec, features: torch.Tensor, weights: torch.Tensor, differentiate: bool
    ) -> Forward:
        """Outputs for features (B, F) and weights (W,), in the features' dtype and on their device.

        Rows with a feature that is not finite, or all with a weight that is not, have outputs of
        NaN, and the next call says which: to say it at once would be to wait for the device.

        Raises:
            InputError: an entry of an earlier call is not finite.
        """
        self._tell()
        features = features.detach().contiguous()
        weights = weights.detach().to(features).contiguous()
        n_rows = features.shape[0]
        if n_rows == 0:
            values = features.new_zeros(0, spec.n_outputs)
            return Forward(values, lambda *_, **__: (features, torch.zeros_like(weights)))
        is_large = n_rows << spec.n_wires >= MANY_AMPLITUDES
        # Blocks for large batches can take more room than there is.
        plan = self._plan(spec, is_large, features.dtype) or self._plan(spec, False, features.dtype)
        assert plan is not None  # `takes` was asked first
        values, states = plan.forward(features, weights, keep=differentiate)
        if states is None or not differentiate:
            return Forward(values, None)

        def pull(
            cotangent: torch.Tensor, of_features: bool = True, of_weights: bool = True
        ) -> Gradients:
            self._tell()
            given = cotangent.detach().to(features).contiguous()
            by_features, by_weights = plan.backward(features, weights, states, given, of_features)
            return by_features, by_weights if of_weights else None

        return Forward(values, pull)

    def _plan(self, spec: LayerSpec, is_large: bool, dtype: torch.dtype) -> _Plan | None:
        """For large batches or small ones; None for a layer that the kernels do not do."""
        key = spec, is_large, dtype
        if key not in self._plans:
            shape = self._shape(spec, is_large, dtype)
            self._plans[key] = (
                None if shape is None else _Plan(self._machine, self._fault, spec, shape, dtype)
            )
        return self._plans[key]

    def _shape(self, spec: LayerSpec, is_large: bool, dtype: torch.dtype) -> Shape | None:
        """How a batch lies in blocks, None where a block has no room for it."""
        if spec.n_wires > MOST_INDEX_BITS:
            return None
        n_angles = spec.n_wires if spec.encoding_rule.is_product else 0
        for tile in range(min(spec.n_wires, LARGEST_TILE), 0, -1):
            shape = block_shape(tile, is_large)
            most = Code.longest(min(spec.n_weights, MOST_TURNS), max(n_angles, spec.n_outputs))
            needed = shared_bytes(
                shape,
                dtype.itemsize,
                n_weights=spec.n_weights,
                n_angles=n_angles,
                n_states=2,
                code=most,
            )
            if needed + OWN_SHARED_BYTES <= self._machine.shared_bytes:
                return shape
            if tile <= SMALLEST_TILE:
                break
        return None

    def _tell(self) -> None:
        if (found := self._fault.value) != 0:
            self._fault.value = 0
            what, index = ("features row", found - 1) if found > 0 else ("weight", -1 - found)
            raise InputError(
                f"{what} {index} of an earlier call has an entry that is not finite: the outputs "
                "were NaN"
            )


def block_shape(tile: int, is_large: bool) -> Shape:
    """How amplitudes lie in a block, for a large batch or a small one."""
    held = min(tile, MOST_HELD if tile >= WIDE_TILE and is_large else 2)
    row_threads = 1 << (tile - held)
    fill = min(FEW_ROWS, max(1, BLOCK_THREADS // row_threads))
    return Shape(tile, held, fill if row_threads <= 32 else 1)


@dataclass
class _Launch:
    """A kernel and what it is given, but for what differs from call to call."""

    kernel: Kernel
    given: Any

    def __call__(self, n_blocks: int, **changing: int | None) -> None:
        for name, value in changing.items():
            setattr(self.given, name, value)
        self.kernel.launch(self.given, n_blocks)


class _Plan:
    """A layer's launches for batches of one shape and number format."""

    def __init__(
        self,
        machine: Machine,
        fault: ctypes.c_int,
        spec: LayerSpec,
        shape: Shape,
        dtype: torch.dtype,
    ) -> None:
        self._machine, self._fault = machine, fault
        self._spec, self._shape, self._dtype = spec, shape, dtype
        self._circuit = turned_circuit(spec)
        self._by_angle = spec.encoding_rule.is_product
        self._outer = spec.n_wires - shape.tile
        self._blocks = (1 << self._outer,) if self._outer else ()
        self._passes = passes(self._circuit, shape)
        # Addresses are entered one by one: another thread's must not come in between.
        self._lock = Lock()

    @cached_property
    def _forwards(self) -> list[_Launch]:
        return [
            self._launch("forward", each, each.forward)
            for each in self._passes
            if each.forward is not None
        ]

    @cached_property
    def _backwards(self) -> list[_Launch]:
        return [self._launch("backward", each, each.backward) for each in self._passes[::-1]]

    def forward(
        self, features: torch.Tensor, weights: torch.Tensor, *, keep: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Values (B, M), and the states that a backward pass begins with where they are kept."""
        n_rows, launches = features.shape[0], self._forwards
        parts = features.new_empty(n_rows, *self._blocks, self._spec.n_outputs)
        states = self._states(n_rows) if keep or len(launches) > 1 else None
        norms, n_groups = self._norms(features), self._n_groups(n_rows)
        fixed = {
            **self._row_inputs(features, weights, norms),
            "states_out": _address(states),
            "of_rows": parts.data_ptr(),
        }
        with self._lock:
            for index, launch in enumerate(launches):
                n_blocks = min(n_groups, launch.kernel.most_blocks)
                launch(n_blocks, **fixed, states_in=_address(states) if index else None)
        return parts if self._outer == 0 else parts.sum(1), states

    def backward(
        self,
        features: torch.Tensor,
        weights: torch.Tensor,
        states: torch.Tensor,
        cotangent: torch.Tensor,
        wants_features: bool,
    ) -> Gradients:
        """Gradients by features (B, F), if wanted, and weights (W,)."""
        n_rows, launches = features.shape[0], self._backwards
        # No kernel writes of weights that no output depends on.
        new = torch.zeros_like if self._circuit.idle else torch.empty_like
        of_weights = new(weights)
        is_whole = self._outer == 0
        of_rows = of_features = behind = adjoint = None
        if wants_features and self._by_angle:
            of_rows = features.new_empty(n_rows, *self._blocks, self._spec.n_wires)
        elif wants_features and is_whole:
            of_features = torch.empty_like(features)
        if len(launches) > 1 or not is_whole:
            behind, adjoint = self._states(n_rows), self._states(n_rows)
        norms, n_groups = self._norms(features), self._n_groups(n_rows)
        counter = self._machine.counter()
        fixed = {
            **self._row_inputs(features, weights, norms),
            "cotangent": cotangent.data_ptr(),
            "states_out": _address(behind),
            "adjoint_out": _address(adjoint),
            "of_rows": _address(of_rows),
            "of_weights": of_weights.data_ptr(),
            "counter": counter.data_ptr(),
        }
        with self._lock:
            for index, launch in enumerate(launches):
                n_blocks = min(n_groups, launch.kernel.most_blocks)
                partial = features.new_empty(launch.given.n_sums * n_blocks)
                launch(
                    n_blocks,
                    **fixed,
                    states_in=_address(behind if index else states),
                    adjoint_in=_address(adjoint) if index else None,
                    of_features=_address(of_features) if launch is launches[-1] else None,
                    partial=partial.data_ptr(),
                )
        if of_rows is not None:
            return of_rows if is_whole else of_rows.sum(1), of_weights
        if wants_features and norms is not None and adjoint is not None:
            of_states = 2 * adjoint[..., 0]
            of_features = pull_states(self._spec, features, features * norms, of_states)
        return of_features, of_weights

    def _launch(self, name: str, done: Pass, code: Code) -> _Launch:
        machine, shape, spec = self._machine, self._shape, self._spec
        n_angles = spec.n_wires if self._by_angle else 0
        words = capacity(len(code.words)) if machine.has_long_launches else 0
        device = machine.device
        places = [*code.weights, *(~item if item < 0 else item for item in code.items)]
        kept = [torch.tensor(places or [0], dtype=torch.int32, device=device)]
        given = parameters(words)()
        if words:
            ctypes.memmove(
                ctypes.byref(given, type(given).code.offset),
                code.words.ctypes.data,
                code.words.nbytes,
            )
        else:
            kept.append(torch.from_numpy(code.words).to(device))
            given.words = kept[1].data_ptr()
        given.places, given.fault = kept[0].data_ptr(), ctypes.addressof(self._fault)
        given.n_weights, given.n_angles, given.n_outputs = spec.n_weights, n_angles, spec.n_outputs
        given.n_sums, given.n_row_sums = len(code.weights), len(code.items)
        given.row_stride = spec.n_outputs if name == "forward" else spec.n_wires
        given.outer, given.product = self._outer, n_angles
        given.columns[: spec.n_wires] = done.columns
        shared = shared_bytes(
            shape,
            self._dtype.itemsize,
            n_weights=spec.n_weights,
            n_angles=n_angles,
            n_states=1 if name == "forward" else 2,
            code=code,
        )
        variant = Variant(shape, words, self._dtype == torch.float64)
        kernel = machine.kernel(name, variant, shared)
        # A captured step outlives the layer that was in it.
        machine.keep(*kept)
        return _Launch(kernel, given)

    def _states(self, n_rows: int) -> torch.Tensor:
        """Room for complex states (B, 2^Q, 2)."""
        size = n_rows, 1 << self._spec.n_wires, 2
        return torch.empty(size, dtype=self._dtype, device=self._machine.device)

    def _norms(self, features: torch.Tensor) -> torch.Tensor | None:
        """Reciprocal norms (B, 1) of rows that no block holds whole."""
        return None if self._by_angle or self._outer == 0 else inverse_norms(features)

    def _row_inputs(
        self, features: torch.Tensor, weights: torch.Tensor, norms: torch.Tensor | None
    ) -> dict[str, int | None]:
        by_angle = self._by_angle
        return {
            "n_rows": features.shape[0],
            "weights": weights.data_ptr(),
            "features": None if by_angle else features.data_ptr(),
            "angles": features.data_ptr() if by_angle else None,
            "norms": _address(norms),
        }

    def _n_groups(self, n_rows: int) -> int:
        return -(-n_rows // self._shape.rows) << self._outer


def _address(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
