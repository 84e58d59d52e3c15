"""Pauli programs as launches of a fused kernel: one forwards and one back, for each segment.

A segment is words that the kernel reads (`../cuda/pauli.cu` says what they mean). The tail is a
segment too, its stages in reverse, and the observables are its rows. Equal inputs give equal bits.

Letters: D = 4^Q Pauli coefficients, K turns, M observables, N rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..cuda.driver import Machine
from .program import PauliProgram
from .words import Parameters, Step, Variant, steps, steps_back, written

KEPT_BYTES = 2**30
"""Of the device's memory, that vectors kept for the way back may take."""
NUMBERS = (torch.float32, torch.float64)


class FusedProgram:
    """A Pauli program on one machine; the same calls as `TorchProgram`."""

    def __init__(self, machine: Machine, program: PauliProgram, dtype: torch.dtype) -> None:
        device, n_qubits = machine.device, program.n_qubits
        self._dtype = dtype
        self._start = torch.from_numpy(program.start).to(device, dtype)
        self._observables = torch.from_numpy(program.observables).to(device).contiguous()
        self._head = _Sweep(machine, steps(program.head), n_qubits, dtype)
        self._tail = _Sweep(machine, steps_back(program.tail), n_qubits, torch.float64)
        machine.keep(self._start, self._observables)

    @staticmethod
    def takes(machine: Machine, program: PauliProgram, dtype: torch.dtype) -> bool:
        """Whether a block has room for the program's vectors, in float64 too as the tail's are."""
        needed = Variant(program.n_qubits, is_double=True).shared_bytes
        return dtype in NUMBERS and needed <= machine.shared_bytes

    def fault(self) -> str | None:
        """What of an earlier call gave an angle that is not finite; told once."""
        weights, features = self._tail.fault(), self._head.fault()
        if weights:
            return "the weights"
        return f"features row {features - 1}" if features else None

    def forms(self, angles: Tensor) -> Tensor:
        """The observables before the tail, (M, D), for its angles (K,)."""
        return self._tail.forward(self._observables, -angles, None)

    def pull_forms(self, angles: Tensor, of_forms: Tensor) -> Tensor:
        """Gradient by the tail's angles (K,), from that by the forms (M, D)."""
        of_turns, _ = self._tail.backward(self._observables, -angles, None, of_forms.double())
        return -of_turns.sum(dim=0)

    def values(self, forms: Tensor, angles: Tensor) -> Tensor:
        """Expectation values (N, M) for forms (M, D) and the head's angles (N, K)."""
        return self._head.forward(self._start, angles.to(self._dtype), forms.to(self._dtype))

    def gradients(self, forms: Tensor, angles: Tensor, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of sum(values * cotangent (N, M)) by the angles (N, K) and forms (M, D)."""
        given = (each.to(self._dtype) for each in (angles, forms, cotangent))
        of_angles, of_forms = self._head.backward(self._start, *given)
        assert of_forms is not None
        return of_angles, of_forms.sum(dim=0, dtype=torch.float64)


class _Sweep:
    """A segment's launches: Pauli vectors through it, and a cotangent back."""

    def __init__(
        self, machine: Machine, in_order: Iterable[Step], n_qubits: int, dtype: torch.dtype
    ) -> None:
        self._dtype, self._dimension = dtype, 4**n_qubits
        self._variant = variant = Variant(n_qubits, dtype == torch.float64)
        self._kernels = {
            name: machine.kernel(name, variant, variant.shared_bytes)
            for name in ("forward", "backward")
        }
        found, matrices, self._n_kept = written(in_order)
        columns = [matrix.T.ravel() for matrix in matrices] or [np.zeros(4)]
        rows = [matrix.ravel() for matrix in matrices] or [np.zeros(4)]
        constants = (
            torch.tensor(found or [[0] * 4], dtype=torch.int32, device=machine.device),
            torch.from_numpy(np.concatenate(columns)).to(machine.device, dtype),
            torch.from_numpy(np.concatenate(rows)).to(machine.device, dtype),
        )
        # A captured step outlives the layer that was in it.
        machine.keep(*constants)
        self._fault = machine.cell()
        self._fixed = {
            **{
                name: _address(each)
                for name, each in zip(("words", "matrices", "transposed"), constants, strict=True)
            },
            "fault": ctypes.addressof(self._fault),
            "n_words": len(found),
            "n_kept": self._n_kept,
        }

    def fault(self) -> int:
        """1 + a row of an earlier call that had an angle that is not finite, or 0; told once."""
        found, self._fault.value = self._fault.value, 0
        return found

    def forward(self, starts: Tensor, angles: Tensor, forms: Tensor | None) -> Tensor:
        """What becomes of the vectors (D,) or (N, D) for angles (K,) or (N, K).

        The vectors themselves (N, D), or their products with forms (M, D): (N, M).
        """
        starts, angles = starts.contiguous(), angles.contiguous()
        forms = None if forms is None else forms.contiguous()
        n_rows = len(angles) if angles.ndim == 2 else len(starts)
        values = starts.new_empty(n_rows, self._dimension if forms is None else len(forms))
        self._launch("forward", starts, angles, forms, n_rows, values=_address(values))
        return values

    def backward(
        self, starts: Tensor, angles: Tensor, forms: Tensor | None, cotangent: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients by angles (N, K), and by forms (blocks, M, D), to be summed.

        `cotangent` is that of what `forward` gives.
        """
        starts, angles, cotangent = (x.contiguous() for x in (starts, angles, cotangent))
        forms = None if forms is None else forms.contiguous()
        n_rows, n_blocks = len(cotangent), self._n_blocks("backward", len(cotangent))
        size = n_blocks * self._variant.rows * self._n_kept * self._dimension
        kept, of_angles = starts.new_empty(size), starts.new_empty(n_rows, angles.shape[-1])
        of_forms = None if forms is None else forms.new_empty(n_blocks, *forms.shape)
        self._launch(
            "backward",
            starts,
            angles,
            forms,
            n_rows,
            cotangent=_address(cotangent),
            of_angles=_address(of_angles),
            of_forms=_address(of_forms),
            kept=_address(kept),
        )
        return of_angles, of_forms

    def _launch(
        self,
        name: str,
        starts: Tensor,
        angles: Tensor,
        forms: Tensor | None,
        n_rows: int,
        **others: int | None,
    ) -> None:
        given = Parameters(
            **self._fixed,
            **others,
            starts=_address(starts),
            angles=_address(angles),
            forms=_address(forms),
            n_rows=n_rows,
            n_angles=angles.shape[-1],
            n_forms=0 if forms is None else len(forms),
            start_stride=self._dimension if starts.ndim == 2 else 0,
            angle_stride=angles.shape[-1] if angles.ndim == 2 else 0,
        )
        self._kernels[name].launch(given, self._n_blocks(name, n_rows))

    def _n_blocks(self, name: str, n_rows: int) -> int:
        rows, most = self._variant.rows, self._kernels[name].most_blocks
        if name == "backward" and self._n_kept > 0:
            kept = self._dtype.itemsize * self._dimension * rows * self._n_kept
            most = max(1, min(most, KEPT_BYTES // kept))
        return min(-(-n_rows // rows), most)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
