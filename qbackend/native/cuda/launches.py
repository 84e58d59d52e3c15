"""A layer's passes as launches of the kernels of `states.cu`, for one shape and number format.

Letters: B batch, M outputs, Q wires, A angles of a row, S angles that rows share.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import torch

from .code import Code
from .coordinates import Shape
from .driver import Kernel, Machine
from .own_circuit import OwnCircuit, Sums
from .parameters import MOST_INDEX_BITS, Variant, capacity, parameters, shared_bytes
from .passes import MOST_TURNS, Pass, passes
from .turned import TurnedCircuit

Given = dict[str, int | None]
"""Fields of a launch's parameters: numbers and addresses."""

MOST_HELD = 3
"""Index bits of a thread: 2^3 amplitudes of state and adjoint fill its registers."""
LARGEST_TILE, WIDE_TILE, SMALLEST_TILE = 12, 8, 6
BLOCK_THREADS, FEW_ROWS = 128, 32
OWN_SHARED_BYTES = 16
"""That a kernel takes by itself."""


@dataclass(frozen=True)
class Task:
    """What launches compute.

    Attributes:
        circuit: what becomes of a row.
        n_shared: S.
        n_moving: A.
        n_outputs: M.
        own: the user's circuit whose outputs are sums of observables; None where they are these.
    """

    circuit: TurnedCircuit
    n_shared: int
    n_moving: int
    n_outputs: int
    own: OwnCircuit | None = None

    @property
    def n_seeds(self) -> int:
        """Observables that gradients are put together for."""
        return 0 if self.own is None else len(self.circuit.observables)

    def shape(self, machine: Machine, dtype: torch.dtype, *, is_large: bool) -> Shape | None:
        """How a batch lies in blocks, None where a block has no room for it."""
        if self.circuit.n_wires > MOST_INDEX_BITS:
            return None
        n_items = max(min(self.n_moving, MOST_TURNS), len(self.circuit.observables))
        most = Code.longest(min(self.n_shared, MOST_TURNS), n_items)
        for tile in range(min(self.circuit.n_wires, LARGEST_TILE), 0, -1):
            shape = block_shape(tile, is_large)
            needed = shared_bytes(
                shape,
                dtype.itemsize,
                n_weights=self.n_shared,
                n_angles=self.n_moving,
                n_states=2,
                code=most,
                n_seeds=self.n_seeds,
            )
            if needed + OWN_SHARED_BYTES <= machine.shared_bytes:
                return shape
            if tile <= SMALLEST_TILE:
                break
        return None


def block_shape(tile: int, is_large: bool) -> Shape:
    """How amplitudes lie in a block, for a large batch or a small one."""
    held = min(tile, MOST_HELD if tile >= WIDE_TILE and is_large else 2)
    row_threads = 1 << (tile - held)
    fill = min(FEW_ROWS, max(1, BLOCK_THREADS // row_threads))
    return Shape(tile, held, fill if row_threads <= 32 else 1)


@dataclass
class Launch:
    """A kernel and what it is given, but for what differs from call to call."""

    kernel: Kernel
    given: Any

    def __call__(self, n_blocks: int, **changing: int | None) -> None:
        for name, value in changing.items():
            setattr(self.given, name, value)
        self.kernel.launch(self.given, n_blocks)


class Launches:
    """A task's launches for batches of one shape and number format."""

    def __init__(
        self, machine: Machine, fault: ctypes.c_int, task: Task, shape: Shape, dtype: torch.dtype
    ) -> None:
        self._machine, self._fault = machine, fault
        self._task, self._shape, self._dtype = task, shape, dtype
        self.n_outer = task.circuit.n_wires - shape.tile
        self._blocks = (1 << self.n_outer,) if self.n_outer else ()
        self._passes = passes(task.circuit, shape)
        # Addresses are entered one by one: another thread's must not come in between.
        self._lock = Lock()

    @cached_property
    def _forwards(self) -> list[tuple[Pass, Launch]]:
        return [
            (each, self._launch("forward", each, each.forward))
            for each in self._passes
            if each.forward is not None
        ]

    @cached_property
    def _backwards(self) -> list[Launch]:
        return [self._launch("backward", each, each.backward) for each in self._passes[::-1]]

    def forward(
        self, n_rows: int, given: Given, *, keep: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Values (B, M), and the states that a backward pass begins with where they are kept."""
        launches, n_groups = self._forwards, self._n_groups(n_rows)
        size = n_rows, *self._blocks, self._task.n_outputs
        parts = [self._new(*size) for each in self._passes if each.reads]
        states = self._states(n_rows) if keep or len(launches) > 1 else None
        with self._lock:
            unread = iter(parts)
            for index, (done, launch) in enumerate(launches):
                launch(
                    min(n_groups, launch.kernel.most_blocks),
                    **given,
                    n_rows=n_rows,
                    states_in=address(states) if index else None,
                    states_out=address(states) if done.leaves else None,
                    of_rows=next(unread).data_ptr() if done.reads else None,
                )
        values = parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
        return values.sum(1) if self._blocks else values, states

    def backward(
        self,
        n_rows: int,
        given: Given,
        states: torch.Tensor,
        *,
        of_moving: bool,
        of_features: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """Gradients by a row's angles (B, A), if wanted, and shared ones (S,).

        Args:
            n_rows: B.
            given: to every launch; the outputs' gradients among it.
            states: that the forward pass has left.
            of_moving: whether the first are wanted.
            of_features: (B, 2^Q) to fill with the gradients by features of an amplitude encoding
                that a block holds.

        Returns the adjoint states in front of everything too, where they are in memory.
        """
        launches, n_groups = self._backwards, self._n_groups(n_rows)
        # No kernel writes of angles that no output depends on.
        of_shared = self._new(self._task.n_shared)
        if self._task.circuit.idle:
            of_shared.zero_()
        of_rows = behind = adjoint = None
        if of_moving:
            of_rows = self._new(n_rows, *self._blocks, self._task.n_moving)
        if len(launches) > 1 or self._blocks:
            behind, adjoint = self._states(n_rows), self._states(n_rows)
        counter = self._machine.counter()
        fixed = {
            **given,
            "n_rows": n_rows,
            "states_out": address(behind),
            "adjoint_out": address(adjoint),
            "of_rows": address(of_rows),
            "of_weights": of_shared.data_ptr(),
            "counter": counter.data_ptr(),
        }
        with self._lock:
            for index, launch in enumerate(launches):
                n_blocks = min(n_groups, launch.kernel.most_blocks)
                partial = self._new(launch.given.n_sums * n_blocks)
                launch(
                    n_blocks,
                    **fixed,
                    states_in=address(behind if index else states),
                    adjoint_in=address(adjoint) if index else None,
                    of_features=address(of_features) if launch is launches[-1] else None,
                    partial=partial.data_ptr(),
                )
        if of_rows is not None and self._blocks:
            of_rows = of_rows.sum(1)
        return of_rows, of_shared, adjoint

    def _launch(self, name: str, done: Pass, code: Code) -> Launch:
        machine, shape, task = self._machine, self._shape, self._task
        forwards = name == "forward"
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
        given.n_weights, given.n_angles = task.n_shared, task.n_moving
        given.n_outputs, given.row_stride = task.n_outputs, task.n_outputs
        if not forwards:
            given.row_stride = task.n_moving
        given.n_sums, given.n_row_sums = len(code.weights), len(code.items)
        given.outer = self.n_outer
        given.product = task.circuit.n_wires if task.circuit.is_product else 0
        given.columns[: task.circuit.n_wires] = done.columns
        if task.own is not None and done.reads:
            given.n_seeds = 0 if forwards else task.n_seeds
            kept += self._sums(given, task.own.outputs(code.items) if forwards else task.own.seeds)
        shared = shared_bytes(
            shape,
            self._dtype.itemsize,
            n_weights=task.n_shared,
            n_angles=task.n_moving,
            n_states=1 if forwards else 2,
            code=code,
            n_seeds=given.n_seeds,
        )
        variant = Variant(shape, words, self._dtype == torch.float64, task.own is not None)
        kernel = machine.kernel(name, variant, shared)
        # A captured step outlives the layer that was in it.
        machine.keep(*kept)
        return Launch(kernel, given)

    def _sums(self, given: Any, sums: Sums) -> list[torch.Tensor]:
        """Enter them; returns what they are read from."""
        device = self._machine.device
        firsts, columns = (
            torch.from_numpy(each).to(device) for each in (sums.firsts, sums.columns)
        )
        factors = torch.from_numpy(sums.factors).to(device, self._dtype)
        given.term_firsts, given.term_columns = firsts.data_ptr(), columns.data_ptr()
        given.term_factors = factors.data_ptr()
        return [firsts, columns, factors]

    def _new(self, *size: int) -> torch.Tensor:
        return torch.empty(size, dtype=self._dtype, device=self._machine.device)

    def _states(self, n_rows: int) -> torch.Tensor:
        """Room for complex states (B, 2^Q, 2)."""
        return self._new(n_rows, 1 << self._task.circuit.n_wires, 2)

    def _n_groups(self, n_rows: int) -> int:
        return -(-n_rows // self._shape.rows) << self.n_outer


def address(tensor: torch.Tensor | None) -> int | None:
    """Where it lies, None of none."""
    return None if tensor is None else tensor.data_ptr()
