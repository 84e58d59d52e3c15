"""Circuits of the user's own on the kernels: a launch for the angles, then those for the states.

Letters: B batch, F features, W weights, M observables, Q wires, A angles of a row, S shared ones.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import torch

from ...layers.program import Layer
from ...seam.backend import Gradients
from .coordinates import Shape
from .driver import Machine
from .launches import OWN_SHARED_BYTES, Given, Launch, Launches, Task, address
from .own_circuit import own_circuit
from .tape import Levels, Tape, TapeParameters, TapeVariant


def circuit_task(layer: Layer) -> Task:
    """What launches compute of it."""
    own = own_circuit(layer)
    n_shared, n_moving = len(own.tape.shared.angles), len(own.tape.moving.angles)
    return Task(own.turned, n_shared, n_moving, layer.n_outputs, own)


def row_threads(layer: Layer, machine: Machine) -> int | None:
    """How many share a row of the angles; None where a block has no room for one."""
    tape = own_circuit(layer).tape
    n_threads = tape.row_threads
    while tape.shared_bytes(n_threads, back=True) + OWN_SHARED_BYTES > machine.shared_bytes:
        n_threads *= 2
        if n_threads > TapeVariant.threads:
            return None
    return n_threads


@dataclass(frozen=True)
class Kept:
    """What a backward pass needs of the forward one.

    Attributes:
        shared_halves: (S, 2) cosines and sines of half the shared angles.
        row_halves: (B, A, 2) and of each row's.
        whole: (B,) 1, or NaN for a row with a feature that is not finite.
        states: (B, 2^Q, 2), None where they are not kept.
    """

    shared_halves: torch.Tensor
    row_halves: torch.Tensor
    whole: torch.Tensor
    states: torch.Tensor | None


class CircuitPlan:
    """One of them for batches of one shape and number format."""

    def __init__(
        self,
        machine: Machine,
        fault: ctypes.c_int,
        layer: Layer,
        task: Task,
        shape: Shape,
        dtype: torch.dtype,
        n_threads: int,
    ) -> None:
        assert task.own is not None
        self._machine, self._fault, self._dtype, self._task = machine, fault, dtype, task
        self._own, self._layer, self._n_threads = task.own, layer, n_threads
        self._launches = Launches(machine, fault, task, shape, dtype)
        self._lock = Lock()

    @cached_property
    def _forward_tape(self) -> Launch:
        return self._tape_launch("forward")

    @cached_property
    def _backward_tape(self) -> Launch:
        return self._tape_launch("backward")

    @cached_property
    def _start(self) -> torch.Tensor:
        """(2^Q, 2) real and imaginary parts."""
        start = torch.view_as_real(torch.from_numpy(self._own.start))
        found = start.to(self._machine.device, self._dtype).contiguous()
        self._machine.keep(found)
        return found

    def forward(
        self, features: torch.Tensor, weights: torch.Tensor, *, keep: bool
    ) -> tuple[torch.Tensor, Kept | None]:
        """Values (B, M), and what a backward pass needs where that is kept."""
        n_rows, task = features.shape[0], self._task
        shared = features.new_empty(task.n_shared, 2)
        by_row = features.new_empty(n_rows, task.n_moving, 2)
        kept = Kept(shared, by_row, features.new_empty(n_rows), None)
        self._run_tape(
            self._forward_tape,
            features,
            weights,
            shared_halves=kept.shared_halves.data_ptr(),
            row_halves=kept.row_halves.data_ptr(),
            whole=kept.whole.data_ptr(),
        )
        values, states = self._launches.forward(n_rows, self._given(kept), keep=keep)
        return values, replace(kept, states=states) if keep else None

    def backward(
        self,
        features: torch.Tensor,
        weights: torch.Tensor,
        kept: Kept,
        cotangent: torch.Tensor,
        wants_features: bool,
    ) -> Gradients:
        """Gradients by features (B, F), if wanted, and weights (W,)."""
        assert kept.states is not None
        of_moving, of_shared, _ = self._launches.backward(
            features.shape[0],
            {**self._given(kept), "cotangent": cotangent.data_ptr()},
            kept.states,
            of_moving=True,
        )
        tape, layer = self._own.tape, self._layer
        of_features = None
        if wants_features:
            # What no angle depends on, no node writes of.
            is_partial = tape.moving.missing(layer.n_features)
            of_features = (torch.zeros_like if is_partial else torch.empty_like)(features)
        is_partial = tape.shared.missing(layer.n_weights)
        of_weights = (torch.zeros_like if is_partial else torch.empty_like)(weights)
        launch = self._backward_tape
        n_blocks = self._tape_blocks(features.shape[0], launch)
        size = launch.given.n_crossings * n_blocks
        partial = torch.empty(size, dtype=torch.float64, device=features.device)
        self._run_tape(
            launch,
            features,
            weights,
            of_shared_angles=of_shared.data_ptr(),
            of_row_angles=address(of_moving),
            of_features=address(of_features),
            of_weights=of_weights.data_ptr(),
            partial=partial.data_ptr(),
            counter=self._machine.counter().data_ptr(),
        )
        return of_features, of_weights

    def _given(self, kept: Kept) -> Given:
        return {
            "start": self._start.data_ptr(),
            "norms": kept.whole.data_ptr(),
            "shared_halves": kept.shared_halves.data_ptr(),
            "row_halves": kept.row_halves.data_ptr(),
        }

    def _run_tape(
        self, launch: Launch, features: torch.Tensor, weights: torch.Tensor, **places: int | None
    ) -> None:
        n_rows = features.shape[0]
        with self._lock:
            launch(
                self._tape_blocks(n_rows, launch),
                n_rows=n_rows,
                features=features.data_ptr(),
                weights=weights.data_ptr(),
                **places,
            )

    def _tape_blocks(self, n_rows: int, launch: Launch) -> int:
        rows = TapeVariant.threads // self._n_threads
        return int(min(-(-n_rows // rows), launch.kernel.most_blocks))

    def _tape_launch(self, name: str) -> Launch:
        machine, layer, tape = self._machine, self._layer, self._own.tape
        given = TapeParameters()
        for levels, place in ((tape.shared, given.shared), (tape.moving, given.moving)):
            self._enter(levels, place, "nodes", "levels", "uses", "angles")
            place.n_nodes, place.n_levels = len(levels), len(levels.levels) - 1
            place.n_angles = len(levels.angles)
        self._enter(tape, given, "constants", "crossings", "crossing_uses")
        given.fault = ctypes.addressof(self._fault)
        given.n_features, given.n_weights = layer.n_features, layer.n_weights
        given.n_crossings, given.row_threads = len(tape.crossings) - 1, self._n_threads
        shared = tape.shared_bytes(self._n_threads, back=name == "backward")
        kernel = machine.kernel(name, TapeVariant(self._dtype == torch.float64), shared)
        return Launch(kernel, given)

    def _enter(self, source: Levels | Tape, place: Any, *names: str) -> None:
        """Enter arrays by their names; they are kept as long as the machine is."""
        for name in names:
            array = torch.from_numpy(getattr(source, name)).to(self._machine.device)
            self._machine.keep(array)
            setattr(place, name, array.data_ptr())
