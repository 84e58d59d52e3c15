"""Pauli programs in torch: wherever torch runs, and what other engines are measured by.

Derivatives are torch's own. Letters: D = 4^Q Pauli coefficients, K turns, M observables, N rows.
"""

from __future__ import annotations

import torch

from .program import PauliProgram, Segment


class TorchSegment:
    """A segment on one device and in one number format."""

    def __init__(self, segment: Segment, dtype: torch.dtype, device: torch.device) -> None:
        self._stages = [
            (
                [
                    (constant.qubits, torch.from_numpy(constant.matrix).to(device, dtype))
                    for constant in stage.constants
                ],
                stage.turned,
            )
            for stage in segment.stages
        ]

    def advance(self, states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        """Pauli vectors (D, N) after the segment, for angles (K, N) or (K, 1)."""
        cosines, sines = torch.cos(angles), torch.sin(angles)
        turn = 0
        for constants, turned in self._stages:
            for qubits, matrix in constants:
                states = _multiply(states, qubits, matrix)
            for qubit in turned:
                states = _turn(states, qubit, cosines[turn], sines[turn])
                turn += 1
        return states

    def retreat(self, forms: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        """Observables (D, M) before the segment, for angles (K, 1)."""
        cosines, sines = torch.cos(angles), torch.sin(angles)
        turn = len(angles)
        for constants, turned in reversed(self._stages):
            for qubit in reversed(turned):
                turn -= 1
                forms = _turn(forms, qubit, cosines[turn], -sines[turn])
            for qubits, matrix in reversed(constants):
                forms = _multiply(forms, qubits, matrix.T)
        return forms


class TorchProgram:
    """A Pauli program on one device; the same calls as `CpuProgram`, by tensors that stay there.

    The tail is always computed in float64: it is computed once for a whole batch.
    """

    def __init__(self, program: PauliProgram, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype = dtype
        self._start = torch.from_numpy(program.start).to(device, dtype)
        self._observables = torch.from_numpy(program.observables).to(device)
        self._head = TorchSegment(program.head, dtype, device)
        self._tail = TorchSegment(program.tail, torch.float64, device)

    def fault(self) -> None:
        """None: what is not finite shows in the outputs alone."""

    def forms(self, angles: torch.Tensor) -> torch.Tensor:
        """The observables before the tail, (M, D), for its angles (K,)."""
        return self._tail.retreat(self._observables.T, angles[:, None]).T

    def pull_forms(self, angles: torch.Tensor, of_forms: torch.Tensor) -> torch.Tensor:
        """Gradient by the tail's angles (K,), from that by the forms (M, D)."""
        if len(angles) == 0:
            return angles
        # Within another backward pass torch keeps no track of what is done.
        with torch.enable_grad():
            turns = angles.detach().requires_grad_()
            forms = self.forms(turns)
        (gradient,) = torch.autograd.grad(forms, turns, of_forms, materialize_grads=True)
        return gradient

    def values(self, forms: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        """Expectation values (N, M) for forms (M, D) and the head's angles (N, K)."""
        return (forms.to(self._dtype) @ self._states(angles)).T

    def gradients(
        self, forms: torch.Tensor, angles: torch.Tensor, cotangent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of sum(values * cotangent (N, M)) by the angles (N, K) and forms (M, D)."""
        with torch.enable_grad():
            leaves = [forms.detach().requires_grad_(), angles.detach().requires_grad_()]
            values = self.values(*leaves)
        of_forms, of_angles = torch.autograd.grad(
            values, leaves, cotangent.to(self._dtype), materialize_grads=True
        )
        return of_angles, of_forms

    def coefficients(self, angles: torch.Tensor) -> torch.Tensor:
        """The Pauli vectors (N, D) behind the head, for its angles (N, K)."""
        return self._states(angles).T

    def _states(self, angles: torch.Tensor) -> torch.Tensor:
        starts = self._start[:, None].expand(-1, len(angles))
        return self._head.advance(starts, angles.to(self._dtype).T)


def _multiply(states: torch.Tensor, qubits: tuple[int, ...], matrix: torch.Tensor) -> torch.Tensor:
    n_qubits = (len(states).bit_length() - 1) // 2
    axes = [n_qubits - 1 - qubit for qubit in reversed(qubits)]
    front = list(range(len(axes)))
    digits = states.reshape([4] * n_qubits + [-1]).movedim(axes, front)
    product = matrix @ digits.reshape(len(matrix), -1)
    return product.reshape(digits.shape).movedim(front, axes).reshape(states.shape)


def _turn(
    states: torch.Tensor, qubit: int, cosine: torch.Tensor, sine: torch.Tensor
) -> torch.Tensor:
    i, x, y, z = states.reshape(-1, 4, 4**qubit, states.shape[1]).unbind(1)
    turned = [i, cosine * x - sine * y, sine * x + cosine * y, z]
    return torch.stack(turned, dim=1).reshape(states.shape)
